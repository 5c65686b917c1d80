//! An upper bound for how deep a syntax tree will be, from its tokens alone.
//!
//! Owns: refusing what would exhaust the stack. Does not know: the grammar beyond what separates one construct
//! from the next. A parser and a visitor recurse as deep as the tree; a stack that runs out ends the whole job,
//! and with it the report on everything else in the crate. So every file is measured first, without recursion.
//!
//! Two things make a tree deep. *Brackets*: each pair is several levels. *Chains*: `a + b + c + …`, `a.b().c()…`,
//! `A<B<C<…`, `!!!!x`, `|a| |b| …`, `else if` nest without any bracket, at most one level for each token. A chain
//! ends at `;`, at `,` (but for those between `<` and `>` and within the parameters of a closure, which may go on
//! nesting), at `=>`, and behind a block that no operator follows. What brackets and chains cost is added up over
//! all brackets that are open, and the sum has one limit.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// The highest cost that is parsed, in units of about 400 bytes of stack.
///
/// Of 9200 files from the registry one comes to 860 (a pattern of a hundred alternatives) and all others stay
/// below 500. (Measured with syn 3 on 128 ways to nest: nothing that is let through overflows wasmtime's default
/// of 512 KiB for the stack, and under 384 KiB one way does.)
const COST_MAX: usize = 1000;

/// The cost of being within a pair of brackets, on top of the chain that they are a part of.
const BRACKETS_COST: usize = 7;

/// The syntax tree may be too deep to parse and visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;

impl std::fmt::Display for TooDeep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an expression or a type may nest deeper than can be parsed")
    }
}

/// Measures tokens.
///
/// # Errors
/// They pass the limit.
pub fn check(tokens: TokenStream) -> Result<(), TooDeep> {
    let mut levels = vec![Level::new(tokens, false)];
    // The cost of all levels but the innermost.
    let mut outer_cost = 0;
    while let Some(level) = levels.last_mut() {
        let Some(token) = level.tokens.next() else {
            levels.pop();
            outer_cost -= levels.last().map_or(0, Level::cost_within);
            continue;
        };
        if let Some((content, in_macro)) = level.take(token) {
            outer_cost += level.cost_within();
            levels.push(Level::new(content, in_macro));
        }
        if outer_cost + levels.last().map_or(0, |level| level.chain) > COST_MAX {
            return Err(TooDeep);
        }
    }
    Ok(())
}

/// The tokens between one pair of brackets.
struct Level {
    tokens: proc_macro2::token_stream::IntoIter,
    /// Whether they are a macro's, which the parser leaves alone.
    in_macro: bool,
    /// The cost of the tokens since the last end of a chain.
    chain: usize,
    /// The chain at the last `if` in it.
    if_at: usize,
    /// `<` without their `>` in this chain.
    angles: usize,
    /// Whether a closure began in this chain.
    closure: bool,
    last: Last,
    /// The last tokens were `name!` or `name! name`.
    macro_call: bool,
    /// The last tokens were `#` or `#!`.
    in_attribute: bool,
}

/// The token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// None, an operator, or a word like `return`: an operand follows.
    Operator(char),
    Name,
    /// A literal or a group that is no block.
    Operand,
    Block,
}

impl Level {
    fn new(tokens: TokenStream, in_macro: bool) -> Self {
        let tokens = tokens.into_iter();
        Self {
            tokens,
            in_macro,
            chain: 0,
            if_at: 0,
            angles: 0,
            closure: false,
            last: Last::Operator(' '),
            macro_call: false,
            in_attribute: false,
        }
    }

    /// The cost of being within the brackets just taken.
    fn cost_within(&self) -> usize {
        self.chain + BRACKETS_COST
    }

    /// Takes the next token; gives the content of a group and whether it is a macro's.
    fn take(&mut self, token: TokenTree) -> Option<(TokenStream, bool)> {
        if self.in_macro {
            return if let TokenTree::Group(group) = token { Some((group.stream(), true)) } else { None };
        }
        if let Some(content) = self.attribute(&token) {
            return content.map(|content| (content, false));
        }
        if self.last == Last::Block && starts_afresh(&token) {
            self.end_chain();
        }
        self.chain += cost(&token);
        match token {
            TokenTree::Group(group) => {
                let macro_call = std::mem::take(&mut self.macro_call);
                self.last = if group.delimiter() == Delimiter::Brace { Last::Block } else { Last::Operand };
                return Some((group.stream(), macro_call));
            }
            TokenTree::Ident(ident) => {
                self.branch(&ident);
                self.macro_call &= matches!(self.last, Last::Operator('!'));
                self.last = if is_prefix_word(&ident.to_string()) { Last::Operator(' ') } else { Last::Name };
            }
            TokenTree::Literal(_) => {
                self.macro_call = false;
                self.last = Last::Operand;
            }
            TokenTree::Punct(punct) => {
                let char = punct.as_char();
                self.macro_call = char == '!' && self.last == Last::Name && punct.spacing() == Spacing::Alone;
                self.punct(char);
                // A `'` belongs to the name that follows; a `?` ends an operand.
                self.last = if char == '?' { Last::Operand } else { Last::Operator(char) };
            }
        }
        None
    }

    /// Takes a token of an attribute, if it is one: `#`, `!`, and the brackets with its content. Attributes come
    /// one after the other (a doc comment is one for each line) and never nest, so they are no part of a chain.
    fn attribute(&mut self, token: &TokenTree) -> Option<Option<TokenStream>> {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                self.in_attribute = true;
                Some(None)
            }
            TokenTree::Punct(punct) if self.in_attribute && punct.as_char() == '!' => Some(None),
            TokenTree::Group(group) if std::mem::take(&mut self.in_attribute) => Some(Some(group.stream())),
            _ => {
                self.in_attribute = false;
                None
            }
        }
    }

    /// Takes back the cost of a condition and its block: what follows `else` is beside them, one level deeper.
    fn branch(&mut self, word: &Ident) {
        if word == "if" {
            self.if_at = self.chain;
        } else if word == "else" && self.last == Last::Block {
            self.chain = self.chain.min(self.if_at + 3);
        }
    }

    fn punct(&mut self, char: char) {
        match char {
            ';' => self.end_chain(),
            ',' if self.angles == 0 && !self.closure => self.end_chain(),
            '<' => self.angles += 1,
            '>' => match self.last {
                Last::Operator('=') => self.end_chain(),
                Last::Operator('-') => {}
                _ => self.angles = self.angles.saturating_sub(1),
            },
            // Behind an operand it is an operator or part of a pattern.
            '|' if !matches!(self.last, Last::Name | Last::Operand) => self.closure = true,
            _ => {}
        }
    }

    fn end_chain(&mut self) {
        self.chain = 0;
        self.if_at = 0;
        self.angles = 0;
        self.closure = false;
    }
}

/// The cost of a token: what most cost is the unit, and a few nest by larger steps.
fn cost(token: &TokenTree) -> usize {
    match token {
        TokenTree::Ident(ident) if is_prefix_word(&ident.to_string()) => 3,
        TokenTree::Punct(punct) if punct.as_char() == '<' => 3,
        TokenTree::Punct(punct) if punct.as_char() == '&' => 2,
        _ => 1,
    }
}

/// Whether a token behind a block cannot go on with the expression that the block ended.
fn starts_afresh(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(ident) => !["as", "else", "in", "where"].iter().any(|word| ident == word),
        TokenTree::Punct(punct) => punct.as_char() == '\'',
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    }
}

/// Whether an operand follows the word, so that a `!` behind it negates and a `|` begins a closure.
fn is_prefix_word(word: &str) -> bool {
    const WORDS: [&str; 26] = [
        "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "for", "if",
        "impl", "in", "let", "loop", "match", "move", "mut", "ref", "return", "static", "unsafe", "while", "yield",
    ];
    WORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(), TooDeep> {
        check(text.parse().expect("tokens"))
    }

    fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
        format!("fn f() {{ x = {}{inner}{}; }}", open.repeat(times), close.repeat(times))
    }

    #[test]
    fn brackets_have_a_limit() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("a!(", ")"), ("a!{ b! [", "]}")] {
            assert_eq!(of(&nested(open, "1", close, 50)), Ok(()), "{open}");
            assert_eq!(of(&nested(open, "1", close, COST_MAX / 7)), Err(TooDeep), "{open}");
            assert_eq!(of(&nested(open, "1", close, 50_000)), Err(TooDeep), "{open}");
        }
    }

    #[test]
    fn chains_have_a_limit() {
        let links = [
            "!",
            "-",
            "&",
            "*",
            "1 + ",
            "a.",
            "a().",
            "a = ",
            "a..",
            "a as ",
            "|a| ",
            "|a, b| ",
            "1 | |a, b| ",
            "move |a, b| ",
            "return ",
            "break ",
            "A<",
            "A::<u8, A<u8, ",
            "A<fn(a) -> b, ",
            "&mut ",
            "if a {} else ",
            "for A {} in ",
            "if let A {} = ",
            "match a {} + ",
            "return!",
            "a?.",
            "fn(a) -> ",
            "a > A<b, ",
            "1 + #[a] ",
            "{} + #[a] {} * ",
            "if !a {} else ",
        ];
        for link in links {
            assert_eq!(of(&nested(link, "1", "", 20)), Ok(()), "{link}");
            assert_eq!(of(&nested(link, "1", "", COST_MAX + 1)), Err(TooDeep), "{link}");
        }
    }

    #[test]
    fn the_costliest_that_is_let_through_can_be_parsed() {
        let links =
            [("(", ")"), ("|| {", "}"), ("f(", ")"), ("match ", "{}"), ("return ", ""), ("|| ", ""), ("a = ", "")];
        for (open, close) in links {
            let fits = |times: &usize| of(&nested(open, "1", close, *times)).is_ok();
            let most = (1..COST_MAX).take_while(fits).last().expect("one level fits");
            let text = nested(open, "1", close, most);
            // Without optimisation the frames are several times as large.
            let thread = std::thread::Builder::new().stack_size(16 << 20);
            let parsed = thread.spawn(move || crate::syntax::parse(&text).is_ok()).expect("a thread").join();
            assert!(parsed.expect("no overflow"), "{open} × {most}");
        }
    }

    #[test]
    fn a_chain_adds_up_over_brackets() {
        let half = "!".repeat(COST_MAX / 2 + 1);
        assert_eq!(of(&format!("x = {half}1; x = {half}1;")), Ok(()));
        assert_eq!(of(&format!("x = {half}({half}1);")), Err(TooDeep));
        assert_eq!(of(&format!("x = {half}(1) + (2); x = {half}1;")), Ok(()));
    }

    #[test]
    fn long_is_not_deep() {
        let links = [
            "fn f(a: u8) -> A<u8, B> { a + 1 }\n",
            "const A: u8 = 1;",
            "struct A { a: Vec<u8>, b: u8 }",
            "#[a] impl A for B {}",
            "static A: &[u8] = &[1, 2];",
            "if a { b } if c { d } else { e }",
            "let A { b } = c else { d };",
            "match a { B | C => 1, D { e } if f => { 2 } _ => |a, b| a }",
            "'a: loop {} #[b] {}\n mod a {}",
            "f(|a, b| a, |c| d);",
            "a! { b c d }",
        ];
        for link in links {
            assert_eq!(of(&link.repeat(COST_MAX)), Ok(()), "{link}");
        }
        for element in ["1, ", "A | B, ", "(1, 'a'), ", "-1.5, ", "x => y | z, ", "X | Y => |a, b| z, ", "a: B { c }, "]
        {
            assert_eq!(of(&format!("x = [{}];", element.repeat(50_000))), Ok(()), "{element}");
        }
        assert_eq!(of(&format!("a! {{ {} }}", "b c < d ".repeat(50_000))), Ok(()));
        assert_eq!(of(&format!("macro_rules! a {{ {} }}", "b c < d ".repeat(50_000))), Ok(()));
    }
}
