//! The language of candidates and helpers: reading it and writing it.
//!
//! Owns: the grammar. Does not know: which functions there are.
//!
//! ```text
//! program = step { "|" step }
//! step    = name { number | name } [ "(" program ")" ]
//! helper  = name { name } "=" program            one on each line of a library
//! ```
//!
//! `#` begins a comment.

use std::fmt::{self, Display, Write as _};

/// How deep brackets may be in one another. It keeps the parser, and whoever walks through a program, far from the end of
/// the stack.
pub const DEPTH_MAX: usize = 64;

/// Steps, each of which takes the grid that the one before it has made.
pub type Program = Vec<Step>;

/// A function, and what it is given beside the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The function's name.
    pub name: String,
    /// The numbers behind it.
    pub args: Vec<Arg>,
    /// The program in brackets behind these.
    pub body: Option<Program>,
}

/// A number, or the name of a helper's parameter that stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A number.
    Number(u8),
    /// A parameter.
    Name(String),
}

/// A line of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// What it is called.
    pub name: String,
    /// The names of the numbers that it takes.
    pub params: Vec<String>,
    /// What it does.
    pub program: Program,
}

impl Display for Arg {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

/// The one way to write a program: [`parse`] reads it back.
pub fn write(program: &[Step]) -> String {
    let mut text = String::new();
    for step in program {
        if !text.is_empty() {
            text.push_str(" | ");
        }
        text.push_str(&step.name);
        for arg in &step.args {
            // Writing to a String cannot fail.
            let _ = write!(text, " {arg}");
        }
        if let Some(body) = &step.body {
            let _ = write!(text, "({})", write(body));
        }
    }
    text
}

/// Reads a program.
pub fn parse(text: &str) -> Result<Program, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let program = parser.program(0)?;
    parser.end()?;
    Ok(program)
}

/// Reads a library.
pub fn library(text: &str) -> Result<Vec<Helper>, String> {
    let mut helpers = Vec::<Helper>::new();
    for (at, line) in text.lines().enumerate() {
        let on_line = |error: String| format!("line {}: {error}", at + 1);
        let tokens = tokens(line).map_err(on_line)?;
        if tokens.is_empty() {
            continue;
        }
        let helper = Parser { tokens, at: 0 }.helper().map_err(on_line)?;
        if helpers.iter().any(|before| before.name == helper.name) {
            return Err(on_line(format!("there is a `{}` already", helper.name)));
        }
        helpers.push(helper);
    }
    Ok(helpers)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Number(u8),
    Sign(char),
}

impl Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(formatter, "`{name}`"),
            Self::Number(number) => write!(formatter, "`{number}`"),
            Self::Sign(sign) => write!(formatter, "`{sign}`"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '|' | '(' | ')' | '=' => {
                tokens.push(Token::Sign(first));
                1
            }
            first if is_part(first) => {
                let word = &rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())];
                tokens.push(if first.is_ascii_digit() {
                    Token::Number(word.parse().map_err(|_| format!("`{word}` is not a number from 0 to 255"))?)
                } else {
                    Token::Name(word.to_owned())
                });
                word.len()
            }
            other => return Err(format!("`{}` means nothing here", other.escape_debug())),
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Goes on if the next token is this sign.
    fn sign(&mut self, sign: char) -> bool {
        let is_there = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_there);
        is_there
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, String> {
        Err(match self.peek() {
            Some(token) => format!("there should be {wanted} in place of {token}"),
            None => format!("there should be {wanted} at the end"),
        })
    }

    fn end(&self) -> Result<(), String> {
        if self.at == self.tokens.len() { Ok(()) } else { self.unexpected("`|` or the end") }
    }

    fn name(&mut self, wanted: &str) -> Result<String, String> {
        let Some(Token::Name(name)) = self.peek() else { return self.unexpected(wanted) };
        let name = name.clone();
        self.at += 1;
        Ok(name)
    }

    fn program(&mut self, depth: usize) -> Result<Program, String> {
        let mut steps = vec![self.step(depth)?];
        while self.sign('|') {
            steps.push(self.step(depth)?);
        }
        Ok(steps)
    }

    fn step(&mut self, depth: usize) -> Result<Step, String> {
        if depth > DEPTH_MAX {
            return Err(format!("brackets are more than {DEPTH_MAX} deep in one another"));
        }
        let name = self.name("a function")?;
        let mut args = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Number(number)) => args.push(Arg::Number(*number)),
                Some(Token::Name(name)) => args.push(Arg::Name(name.clone())),
                _ => break,
            }
            self.at += 1;
        }
        let body = if self.sign('(') { Some(self.program(depth + 1)?) } else { None };
        if body.is_some() && !self.sign(')') {
            return self.unexpected("`|` or `)`");
        }
        Ok(Step { name, args, body })
    }

    fn helper(mut self) -> Result<Helper, String> {
        let name = self.name("a name")?;
        let mut params = Vec::new();
        while !self.sign('=') {
            let param = self.name("a parameter or `=`")?;
            if params.contains(&param) {
                return Err(format!("`{name}` has two parameters `{param}`"));
            }
            params.push(param);
        }
        let program = self.program(0)?;
        self.end()?;
        Ok(Helper { name, params, program })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = "rotate | recolor 1 x | fix(sink | below(flip)) | mirror";
        assert_eq!(write(&parse(text).expect("a program")), text);
        assert_eq!(write(&parse(" fix (\n sink )|tile 2 2 # twice").expect("a program")), "fix(sink) | tile 2 2");
    }

    #[test]
    fn mistakes_are_told() {
        let deep = format!("{}sink{}", "fix(".repeat(10_000), ")".repeat(10_000));
        let cases = [
            ("", "a function at the end"),
            ("rotate |", "a function at the end"),
            ("rotate | | flip", "a function in place of `|`"),
            ("fix(sink", "`|` or `)` at the end"),
            ("fix(sink) 3", "`|` or the end in place of `3`"),
            ("recolor 1 256", "`256` is not a number"),
            ("recolor 1 2x", "`2x` is not a number"),
            ("a ; b", "`;` means nothing"),
            (deep.as_str(), "more than 64 deep"),
        ];
        for (text, expected) in cases {
            let said = parse(text).expect_err("a mistake");
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    #[test]
    fn a_library_has_helpers() {
        let helpers = library("# falling\nsettle = fix(sink)\n\nswap a b = recolor a b # no\n").expect("a library");
        assert_eq!(helpers.iter().map(|helper| helper.name.as_str()).collect::<Vec<_>>(), ["settle", "swap"]);
        assert_eq!(helpers[1].params, ["a", "b"]);
        for (text, expected) in [
            ("a = flip\n\na = flip", "line 3: there is a `a` already"),
            ("a b b = flip", "line 1: `a` has two parameters `b`"),
            ("a 3 = flip", "line 1: there should be a parameter"),
            ("a", "line 1: there should be a parameter or `=` at the end"),
            ("= flip", "line 1: there should be a name"),
        ] {
            let said = library(text).expect_err("a mistake");
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }
}
