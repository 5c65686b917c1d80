//! Texts put together of others.
//!
//! Owns: doing so in little code. Does not know: what they say.

/// As `format!`, where all the parts are texts: what every program has in it says its errors so, and links nothing that formats.
macro_rules! text {
    ($($part:expr),+ $(,)?) => { $crate::text::concat(&[$(::core::convert::AsRef::<str>::as_ref(&$part)),+]) };
}

pub(crate) use text;

/// Parts, one behind the other. (The standard library's `concat` is ten times as large as a program.)
#[inline(never)]
pub(crate) fn concat(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}
