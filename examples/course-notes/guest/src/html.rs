//! What all pages have in common.
//!
//! Owns: escaping, the frame of a page, its style. Does not know: what is on a page.

use std::fmt::{self, Display};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The style that all pages begin with.
const STYLE: &str = include_str!("style/base.css");

/// What a part of a path may keep in a link.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text that is shown as it is, in an element or in an attribute.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['&', '<', '>', '"']) {
            let end =
                part.len() - part.chars().next_back().filter(|end| "&<>\"".contains(*end)).map_or(0, char::len_utf8);
            formatter.write_str(&part[..end])?;
            formatter.write_str(match &part[end..] {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                _ => "",
            })?;
        }
        Ok(())
    }
}

/// One name of a path, as it stands in a link.
pub fn in_link(name: &str) -> impl Display + '_ {
    utf8_percent_encode(name, KEPT)
}

/// A whole page: its title, the style of its own, and what is in its body.
pub fn document(title: &str, style: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}{style}</style>\n</head>\n{body}</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(Escaped("a<b> & \"c\" é").to_string(), "a&lt;b&gt; &amp; &quot;c&quot; é");
        assert_eq!(in_link("ä b/c#.md").to_string(), "%C3%A4%20b%2Fc%23.md");
    }
}
