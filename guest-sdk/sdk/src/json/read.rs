//! Reading JSON.
//!
//! Owns: what is JSON, and where in a text each part of it is. Does not know: what serde's types make of it (`types`).

mod types;

use std::borrow::Cow;
use std::ops::Range;

use serde::de::DeserializeOwned;

use super::Error;

type Result<T> = std::result::Result<T, Error>;

/// Lists and tables in each other, as many as `serde_json` reads.
const DEPTH_MAX: u8 = 128;

/// A text of JSON, and how far it is read.
pub(crate) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

/// The value that is a text.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let mut reader = Reader::new(text)?;
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The names of the fields of an object, and where their values are. `null` is one without any.
pub(crate) fn fields(text: &[u8]) -> Result<Vec<(String, Range<usize>)>> {
    let mut reader = Reader::new(text)?;
    let mut all = Vec::new();
    if let Some(b'n') = reader.peek() {
        reader.expect_word("null")?;
    } else {
        reader.expect(b'{', "expected an object")?;
        while reader.next_key(all.is_empty())? {
            let name = reader.string()?.into_owned();
            reader.colon()?;
            let begin = reader.begin();
            reader.skip()?;
            all.push((name, begin..reader.at));
        }
    }
    reader.end()?;
    Ok(all)
}

enum Token<'de> {
    Null,
    Bool(bool),
    /// A whole number, as it is written.
    Whole(&'de str),
    Fraction(&'de str),
}

impl<'de> Token<'de> {
    /// The text of a whole number. (No whole number is a zero with a sign.)
    fn as_whole(&self) -> Option<&'de str> {
        match self {
            Token::Whole(number) if *number != "-0" => Some(number),
            _ => None,
        }
    }
}

impl<'de> Reader<'de> {
    pub(crate) fn new(text: &'de [u8]) -> Result<Self> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Self { text, at: 0, depth: DEPTH_MAX }),
            Err(error) => Err(Error::new("it is not UTF-8", Some(error.valid_up_to()))),
        }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("trailing characters")),
        }
    }

    /// Makes sure that nothing follows, and be it space.
    fn is_used_up(&self) -> Result<()> {
        if self.at == self.text.len() { Ok(()) } else { Err(self.wrong("trailing characters")) }
    }

    #[cold]
    fn wrong(&self, message: &str) -> Error {
        let is_cut = self.at >= self.text.len();
        Error::new(if is_cut { "the text ends too soon" } else { message }, Some(self.at.min(self.text.len())))
    }

    /// The next byte that is not space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Where the next value begins.
    fn begin(&mut self) -> usize {
        self.peek();
        self.at
    }

    fn expect(&mut self, byte: u8, otherwise: &str) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(otherwise));
        }
        self.at += 1;
        Ok(())
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        let is_it = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if !is_it {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn colon(&mut self) -> Result<()> {
        self.expect(b':', "expected `:`")
    }

    /// Whether a list goes on; what is behind a comma, or the end, is next.
    fn next_item(&mut self, is_first: bool, close: u8) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !is_first => {
                self.at += 1;
                if self.peek() == Some(close) {
                    return Err(self.wrong("trailing comma"));
                }
            }
            Some(_) if is_first => {}
            _ => return Err(self.wrong(if close == b']' { "expected `,` or `]`" } else { "expected `,` or `}`" })),
        }
        Ok(true)
    }

    /// Whether a table goes on, with a key.
    fn next_key(&mut self, is_first: bool) -> Result<bool> {
        let goes_on = self.next_item(is_first, b'}')?;
        if goes_on && self.peek() != Some(b'"') {
            return Err(self.wrong("a key must be a string"));
        }
        Ok(goes_on)
    }

    /// A word or a number.
    fn token(&mut self) -> Result<Token<'de>> {
        let begin = self.at;
        match self.byte() {
            Some(b'n') => self.expect_word("null").map(|()| Token::Null),
            Some(b't') => self.expect_word("true").map(|()| Token::Bool(true)),
            Some(b'f') => self.expect_word("false").map(|()| Token::Bool(false)),
            Some(b'-' | b'0'..=b'9') => {
                self.at += usize::from(self.byte() == Some(b'-'));
                let leading = self.byte();
                let whole = self.digits()?;
                if leading == Some(b'0') && whole > 1 {
                    return Err(self.wrong("invalid number"));
                }
                let mut is_whole = true;
                if self.byte() == Some(b'.') {
                    self.at += 1;
                    self.digits()?;
                    is_whole = false;
                }
                if let Some(b'e' | b'E') = self.byte() {
                    self.at += 1;
                    self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
                    self.digits()?;
                    is_whole = false;
                }
                let text = self.text.get(begin..self.at).unwrap_or_default();
                Ok(if is_whole { Token::Whole(text) } else { Token::Fraction(text) })
            }
            _ => Err(self.wrong("expected a value")),
        }
    }

    /// Passes over digits, and counts them. There is one at least.
    fn digits(&mut self) -> Result<usize> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == begin { Err(self.wrong("invalid number")) } else { Ok(self.at - begin) }
    }

    /// Goes on to the quote, backslash or control character that ends a piece of a string, and gives the piece.
    fn piece(&mut self) -> &'de str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        let piece = rest.as_bytes().iter().position(ends).and_then(|len| rest.get(..len)).unwrap_or(rest);
        self.at += piece.len();
        piece
    }

    /// A string; at its first quote.
    fn string(&mut self) -> Result<Cow<'de, str>> {
        self.at += 1;
        let first = self.piece();
        let mut whole = Cow::Borrowed(first);
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(whole);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.escaped()?;
                    let rest = self.piece();
                    let whole = whole.to_mut();
                    whole.push(escaped);
                    whole.push_str(rest);
                }
                _ => return Err(self.wrong("a control character in a string")),
            }
        }
    }

    /// Passes over a string. What its escapes stand for does not matter.
    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            self.piece();
            let byte = self.byte();
            self.at += 1;
            match byte {
                Some(b'"') => return Ok(()),
                Some(b'\\') => {
                    let byte = self.byte();
                    self.at += 1;
                    match byte {
                        Some(b'u') => drop(self.hex()?),
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        _ => return Err(self.wrong("invalid escape")),
                    }
                }
                _ => return Err(self.wrong("a control character in a string")),
            }
        }
    }

    /// The character that an escape stands for; behind its backslash.
    fn escaped(&mut self) -> Result<char> {
        let byte = self.byte();
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut code = self.hex()?;
                // Half of a character: the other half follows.
                if code & 0xfc00 == 0xd800 {
                    self.expect_word("\\u").map_err(|error| self.lone(error))?;
                    let low = self.hex()?;
                    // What is no second half leaves none.
                    code = if low & 0xfc00 == 0xdc00 { 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff) } else { code };
                }
                char::from_u32(code).ok_or_else(|| self.wrong("half a character in a string"))?
            }
            _ => return Err(self.wrong("invalid escape")),
        })
    }

    #[cold]
    fn lone(&self, _: Error) -> Error {
        self.wrong("half a character in a string")
    }

    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.wrong("invalid escape")) };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Passes over a value, as deep as it may be.
    fn skip(&mut self) -> Result<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            let mut is_first = false;
            match self.peek() {
                Some(b'"') => self.skip_string()?,
                Some(opens @ (b'[' | b'{')) => {
                    self.at += 1;
                    open.push(opens + 2);
                    is_first = true;
                }
                _ => {
                    self.token()?;
                }
            }
            loop {
                let Some(close) = open.last() else { return Ok(()) };
                let goes_on = if *close == b']' {
                    self.next_item(is_first, b']')?
                } else {
                    let goes_on = self.next_key(is_first)?;
                    if goes_on {
                        self.skip_string()?;
                        self.colon()?;
                    }
                    goes_on
                };
                if goes_on {
                    break;
                }
                open.pop();
                is_first = false;
            }
        }
    }
}
