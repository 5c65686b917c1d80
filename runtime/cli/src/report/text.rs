//! Numbers and names for people.
//!
//! Owns: how durations, sizes and times are written, and that no text of somebody else's controls the terminal. Does
//! not know: what they measure or name.

/// A duration with the unit that suits it: `3.2 µs`, `87 ms`, `1.24 s`, `2 min 05 s`.
pub(crate) fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} ms", ns as f64 / 1e6),
        1_000_000_000..60_000_000_000 => format!("{seconds:.2} s"),
        _ => {
            let whole = ns / 1_000_000_000;
            match whole / 3600 {
                0 => format!("{} min {:02} s", whole / 60, whole % 60),
                hours => format!("{hours} h {:02} min", whole / 60 % 60),
            }
        }
    }
}

/// A size in bytes with the unit that suits it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// `1 job`, `2 jobs`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

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
    text.chars().map(|char| if is_harmful(char) || char == '\n' { '\u{fffd}' } else { char }).collect()
}

/// The same for several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.chars().map(|char| if is_harmful(char) { '\u{fffd}' } else { char }).collect()
}

fn is_harmful(char: char) -> bool {
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

    #[test]
    fn durations_take_the_unit_that_suits_them() {
        let cases: [(u64, &str); 8] = [
            (0, "0 ns"),
            (3_210, "3.2 µs"),
            (4_560_000, "4.6 ms"),
            (87_400_000, "87 ms"),
            (1_240_000_000, "1.24 s"),
            (125_000_000_000, "2 min 05 s"),
            (7_500_000_000_000, "2 h 05 min"),
            (u64::MAX, "5124095 h 34 min"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn sizes_take_the_unit_that_suits_them() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (64 << 20, "64 MiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
