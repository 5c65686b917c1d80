//! Numbers for people.
//!
//! Owns: how durations, sizes and counts are written. Does not know: what they measure.

/// A duration with the unit that suits it: `3.2 µs`, `87 ms`, `1.24 s`, `2 min 05 s`.
pub fn duration(ns: u64) -> String {
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
pub fn size(bytes: u64) -> String {
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
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A part of a whole in percent: `12 %`, `0.4 %`, `-` where there is no whole.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn parts_are_in_percent() {
        let cases = [(0, 0, "-"), (0, 3, "0 %"), (1, 3, "33 %"), (1, 250, "0.4 %"), (2, 2, "100 %")];
        for (part, whole, text) in cases {
            assert_eq!(percent(part, whole), text);
        }
    }
}
