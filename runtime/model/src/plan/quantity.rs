//! Sizes and durations as people write them.
//!
//! Owns: the units. Does not know: what a quantity limits.

const BYTE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a size such as `64MiB`, in bytes.
///
/// # Errors
/// Why the text is none, as a sentence.
pub fn bytes(text: &str) -> Result<u64, String> {
    quantity(text, &BYTE_UNITS)
}

/// Reads a duration such as `10s`, in milliseconds.
///
/// # Errors
/// Why the text is none, as a sentence.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    quantity(text, &DURATION_UNITS)
}

/// A size as a person would write it: in the largest unit that divides it.
pub(super) fn show_bytes(bytes: u64) -> String {
    let (unit, factor) = (BYTE_UNITS.into_iter().rev())
        .filter(|(unit, _)| unit.ends_with("iB"))
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("it must start with a whole number".to_owned());
    }
    let unit = unit.trim_start_matches(' ');
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<_> = units.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(format!("its unit must be one of {}", names.join(", ")));
    };
    let number: Option<u64> = number.parse().ok();
    number.and_then(|number| number.checked_mul(*factor)).ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("0 B"), Ok(0));
        assert_eq!(bytes("3KB"), Ok(3_000));
        assert_eq!(milliseconds("500ms"), Ok(500));
        assert_eq!(milliseconds("1h"), Ok(3_600_000));
    }

    #[test]
    fn what_is_no_quantity_says_why() {
        for text in ["", "MiB", "-1B", "1", "1mib", "1.5GiB", "1 s", "18446744073709551616B", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(milliseconds("5min"), Err("its unit must be one of `ms`, `s`, `m`, `h`".to_owned()));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(show_bytes(4 << 30), "4GiB");
        assert_eq!(show_bytes(65_536), "64KiB");
        assert_eq!(show_bytes(1_000), "1000B");
        assert_eq!(show_bytes(0), "0B");
    }
}
