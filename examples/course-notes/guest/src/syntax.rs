//! Colours for code.
//!
//! Owns: finding words, numbers, texts and comments of JavaScript, well enough for colours. Does not know: what the code
//! means; nothing depends on this but how it looks.

use std::fmt::Write as _;

use crate::html::Escaped;

const KEYWORDS: [&str; 36] = [
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "in",
    "instanceof",
    "let",
    "new",
    "null",
    "of",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "while",
    "yield",
];

/// The lines of code, as HTML.
pub fn lines(code: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = code;
    while !rest.is_empty() {
        let (class, length) = token(rest);
        let (token, after) = rest.split_at(length);
        rest = after;
        // A comment or a template can go over several lines.
        for (at, part) in token.split('\n').enumerate() {
            if at > 0 {
                lines.push(String::new());
            }
            let part = part.trim_end_matches('\r');
            if let Some(line) = lines.last_mut().filter(|_| !part.is_empty()) {
                let _ = match class {
                    Some(class) => write!(line, "<span class=\"{class}\">{}</span>", Escaped(part)),
                    None => write!(line, "{}", Escaped(part)),
                };
            }
        }
    }
    lines
}

/// What code begins with, and how long that is in bytes, which is never 0.
fn token(code: &str) -> (Option<&'static str>, usize) {
    let while_all = |is: fn(char) -> bool| code.find(|letter| !is(letter)).unwrap_or(code.len());
    let first = code.chars().next().unwrap_or(' ');
    if code.starts_with("//") {
        return (Some("comment"), code.find('\n').unwrap_or(code.len()));
    }
    if let Some(inside) = code.strip_prefix("/*") {
        return (Some("comment"), inside.find("*/").map_or(code.len(), |end| end + 4));
    }
    match first {
        '"' | '\'' | '`' => (Some("text"), quoted(code, first)),
        '0'..='9' => (Some("literal"), while_all(|letter| letter.is_alphanumeric() || letter == '.' || letter == '_')),
        _ if is_of_word(first) => {
            let length = while_all(is_of_word);
            (KEYWORDS.contains(&&code[..length]).then_some("keyword"), length)
        }
        _ => (None, first.len_utf8()),
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// How long a text in quotes is, which ends with its line at the latest if it is not a template.
fn quoted(code: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in code.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + 1,
            '\n' if quote != '`' => return at,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_classes() {
        let html = lines("const a = 'x\\'' // <b>\n/* 1\n2 */ news += 1.5e3").join("\n");
        assert_eq!(
            html,
            "<span class=\"keyword\">const</span> a = <span class=\"text\">'x\\''</span> <span class=\"comment\">// &lt;b&gt;</span>\n\
             <span class=\"comment\">/* 1</span>\n<span class=\"comment\">2 */</span> news += <span class=\"literal\">1.5e3</span>"
        );
    }

    #[test]
    fn any_text_is_kept() {
        for code in ["", "'", "/*", "\"a\nb", "`${'\n", "\\", "é'ü\\", "0x", "a\r\nb", "/", "/*/"] {
            let html = lines(code).join("\n");
            let mut plain = String::new();
            let mut is_tag = false;
            for letter in html.replace("&quot;", "\"").chars() {
                match letter {
                    '<' => is_tag = true,
                    '>' => is_tag = false,
                    _ if !is_tag => plain.push(letter),
                    _ => {}
                }
            }
            assert_eq!(plain, code.replace('\r', ""), "{html}");
        }
    }
}
