//! Numbers and names for people.
//!
//! Owns: how durations, sizes and times are written, and that no text of somebody else's controls the terminal. Does
//! not know: what they measure or name.

pub(crate) use wasmill_insight::text::{count, duration, size};

/// A point in time in the user's time zone.
pub(crate) fn time(unix_ms: u64) -> String {
    let timestamp = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    match timestamp {
        Some(timestamp) => timestamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => "-".to_owned(),
    }
}

/// A name or a line that somebody else chose, without what a terminal would obey: control characters, and those that
/// turn the direction of writing. A guest must not move the cursor or make a line look like another.
pub(crate) fn harmless(text: &str) -> String {
    without(text, |char| is_harmful(char) || char == '\n')
}

/// The same for several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    without(text, is_harmful)
}

fn without(text: &str, is_bad: impl Fn(char) -> bool) -> String {
    // Nearly always there is nothing, and looking is cheaper than building the text anew.
    if !text.chars().any(&is_bad) {
        return text.to_owned();
    }
    text.chars().map(|char| if is_bad(char) { '\u{fffd}' } else { char }).collect()
}

/// Whether a terminal does something with a character other than show it in its place.
pub(crate) fn is_harmful(char: char) -> bool {
    let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (char.is_control() && !matches!(char, '\t' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_controls_the_terminal() {
        assert_eq!(harmless("\x1b]0;title\x07 a\tb\nc\u{202e}"), "\u{fffd}]0;title\u{fffd} a\tb\u{fffd}c\u{fffd}");
        assert_eq!(harmless_lines("a\nb\r"), "a\nb\u{fffd}");
    }
}
