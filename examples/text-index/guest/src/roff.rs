//! Manual pages as plain text.
//!
//! Owns: which characters of roff's source are text, well enough to search in. Does not know: how a page would look.
//! Requests and macros are not carried out; those of `man` and `mdoc` have their text as arguments.

/// Requests and macros whose arguments are no text.
const SILENT: [&str; 30] = [
    "TH", "Dd", "Dt", "Os", "PP", "LP", "RS", "RE", "sp", "nr", "ds", "de", "so", "if", "ie", "el", "in", "ft", "nh",
    "hy", "ad", "ne", "tr", "PD", "Bd", "Bl", "IX", "UR", "MT", "ta",
];

/// Whether a text is the source of a manual page: its name ends with a section, and it begins as one.
pub fn is_manual(path: &str, text: &str) -> bool {
    let has_section = path.rsplit_once('.').is_some_and(|(_, end)| end.starts_with(|char: char| char.is_ascii_digit()));
    has_section && text.trim_start().starts_with(['.', '\''])
}

/// The text of a page, and its title: the line below `NAME`.
pub fn read(source: &str) -> (String, Option<String>) {
    let mut page = Page::default();
    // What is inside of a macro's definition is no text of the page.
    let mut in_definition = false;
    for line in source.lines() {
        match line.strip_prefix(['.', '\'']) {
            Some(rest) if in_definition => in_definition = rest.trim_end() != ".",
            Some(rest) => in_definition = page.request(rest.trim_start()),
            None if in_definition => {}
            None => page.line(&unescape(line)),
        }
    }
    (page.text, page.title)
}

#[derive(Default)]
struct Page {
    text: String,
    title: Option<String>,
    /// Whether the next line of text is below `NAME`.
    at_name: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if self.at_name {
            let title = self.title.get_or_insert_default();
            if !title.is_empty() {
                title.push(' ');
            }
            title.push_str(line);
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Takes a line that begins with a dot, and says whether it begins a definition.
    fn request(&mut self, line: &str) -> bool {
        let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        match name {
            "SH" | "Sh" | "SS" | "Ss" => {
                let heading = arguments(rest).join(" ");
                self.at_name = false;
                self.line(&heading);
                self.at_name = name.eq_ignore_ascii_case("SH") && self.title.is_none() && heading == "NAME";
            }
            // A dash before a description, and before an option.
            "Nd" => self.line(&format!("- {}", arguments(rest).join(" "))),
            "Fl" => self.line(&arguments(rest).iter().map(|option| format!("-{option}")).collect::<Vec<_>>().join(" ")),
            // Their arguments are one word in changing fonts.
            "BR" | "RB" | "BI" | "IB" | "IR" | "RI" => self.line(&arguments(rest).concat()),
            _ if name.starts_with("\\\"") || SILENT.contains(&name) => {}
            _ => self.line(&arguments(rest).join(" ")),
        }
        matches!(name, "de" | "de1" | "am" | "ig")
    }
}

/// The arguments of a macro: words, or what stands in quotation marks.
fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with("\\\"") {
        let (argument, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => word(rest),
        };
        arguments.push(unescape(argument));
        rest = after.trim_start();
    }
    arguments
}

/// A word, in which a blank behind a backslash is part of it, and what is behind.
fn word(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            '\\' => escaped = !escaped,
            ' ' | '\t' if !escaped => return text.split_at(at),
            _ => escaped = false,
        }
    }
    (text, "")
}

/// A line with its escapes as what they stand for.
fn unescape(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('-') => text.push('-'),
            Some('e' | '\\') => text.push('\\'),
            Some('\'') => text.push('\''),
            Some('`') => text.push('`'),
            Some(' ' | '~' | '0' | 't') => text.push(' '),
            Some('(') => text.push_str(special(&chars.by_ref().take(2).collect::<String>())),
            Some('[') => text.push_str(special(&chars.by_ref().take_while(|char| *char != ']').collect::<String>())),
            Some('f' | '*' | 'n' | 'm' | 'F' | 'g') => skip_name(&mut chars),
            Some('s') => skip_size(&mut chars),
            Some('h' | 'v' | 'w' | 'o' | 'l' | 'L' | 'D' | 'b' | 'N') => skip_quoted(&mut chars),
            // A comment to the end of the line.
            Some('"' | '#') => break,
            // `\&`, `\|`, `\c` and others stand for nothing that can be read.
            _ => {}
        }
    }
    text
}

/// A character by its name.
fn special(name: &str) -> &'static str {
    match name {
        "em" => "—",
        "en" => "–",
        "hy" | "mi" | "-" => "-",
        "aq" | "cq" => "'",
        "oq" => "‘",
        "dq" | "lq" | "rq" => "\"",
        "bu" => "•",
        "rs" => "\\",
        "ha" => "^",
        "ti" => "~",
        "co" => "©",
        ":a" => "ä",
        ":o" => "ö",
        ":u" => "ü",
        "ss" => "ß",
        "'e" => "é",
        _ => "",
    }
}

/// Skips a name of one character, of two behind `(`, or in brackets.
fn skip_name(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('(') => drop(chars.nth(1)),
        Some('[') => drop(chars.find(|char| *char == ']')),
        _ => {}
    }
}

/// Skips a size such as `-1`, `12` or `[10]`.
fn skip_size(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => drop(chars.find(|char| *char == ']')),
        Some('+' | '-') => drop(chars.next()),
        _ => {}
    }
}

/// Skips an argument between two equal characters.
fn skip_quoted(chars: &mut std::str::Chars<'_>) {
    if let Some(mark) = chars.next() {
        let _ = chars.find(|char| *char == mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_man_is_read() {
        let source = ".\\\" made by hand\n.TH LS \"1\" \"2022\" \"x\"\n.SH NAME\nls \\- list directory contents\n.SH SYNOPSIS\n\
            .B ls\n[\\fI\\,OPTION\\/\\fR]...\n.de XX\nnot text\n..\n.TP\n\\fB\\-a\\fR, \\fB\\-\\-all\\fR\nshow \\(lqall\\(rq\n\
            .BR stat (2)\n.I \"two words\" more\n";
        let (text, title) = read(source);
        assert_eq!(title.as_deref(), Some("ls - list directory contents"));
        assert_eq!(
            text,
            "NAME\nls - list directory contents\nSYNOPSIS\nls\n[OPTION]...\n-a, --all\nshow \"all\"\nstat(2)\n\
             two words more\n"
        );
    }

    #[test]
    fn a_page_of_mdoc_is_read() {
        let (text, title) =
            read(".Dd May 1\n.Dt TRUE 1\n.Os\n.Sh NAME\n.Nm true\n.Nd return true\n.Sh OPTIONS\n.Fl x\n");
        assert_eq!(title.as_deref(), Some("true - return true"));
        assert!(text.ends_with("OPTIONS\n-x\n"), "{text}");
    }

    #[test]
    fn a_page_is_known_by_name_and_beginning() {
        assert!(is_manual("man1/ls.1", ".TH LS 1"));
        assert!(is_manual("CA.pl.1ssl", "\n'\\\" t"));
        assert!(!is_manual("notes.1", "Notes"));
        assert!(!is_manual("ls.txt", ".TH"));
        assert!(!is_manual("ls", ".TH"));
    }

    #[test]
    fn unfinished_escapes_end_with_the_line() {
        for line in ["a\\", "a\\f", "a\\f(", "a\\(", "a\\[", "a\\s", "a\\h", "a\\h'", "a\\\"", "a\\*["] {
            assert_eq!(unescape(line), "a", "{line}");
        }
        assert_eq!(read(".SH \"NAME\nx"), ("NAME\nx\n".to_owned(), Some("x".to_owned())));
        assert_eq!(unescape("\\s-1small\\s0 \\*(Tmx"), "small x");
    }
}
