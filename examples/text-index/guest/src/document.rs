//! A file of the corpus as text.
//!
//! Owns: which files are texts, and what of them is read. Does not know: words.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::roff;

/// The most bytes of a file, and of what a compressed one has in it.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// What there is to search in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// What it is called where it is found.
    pub title: String,
    /// Its text without markup.
    pub text: String,
}

/// Reads a file by its name and content.
///
/// # Errors
/// Why it is left out, in words.
pub fn read(path: &str, bytes: Vec<u8>) -> Result<Read, String> {
    let (path, bytes) = match path.strip_suffix(".gz") {
        Some(inner) => (inner, unpack(&bytes)?),
        None => (path, bytes),
    };
    if bytes.contains(&0) {
        return Err("binary: it has a zero byte".to_owned());
    }
    let source =
        String::from_utf8(bytes).map_err(|error| format!("not UTF-8: byte {}", error.utf8_error().valid_up_to()))?;
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let (text, title) = match extension.as_str() {
        "md" | "markdown" => markdown(source),
        _ if roff::is_manual(path, source) => roff::read(source),
        _ => (source.to_owned(), None),
    };
    if text.trim().is_empty() {
        return Err("there is no text in it".to_owned());
    }
    let title = title.map(|title| one_line(&title)).filter(|title| !title.is_empty());
    Ok(Read { title: title.unwrap_or_else(|| one_line(name)), text })
}

/// What is in a gzip file.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let unpacking = MultiGzDecoder::new(bytes).take(FILE_BYTES_MAX + 1).read_to_end(&mut unpacked);
    unpacking.map_err(|error| format!("damaged gzip: {error}"))?;
    if unpacked.len() as u64 > FILE_BYTES_MAX { Err(too_large()) } else { Ok(unpacked) }
}

/// Why a file is left out that has too many bytes.
pub fn too_large() -> String {
    format!("more than {} MiB", FILE_BYTES_MAX >> 20)
}

/// The text of a Markdown file, and its first heading. Blocks and cells of tables are lines.
fn markdown(source: &str) -> (String, Option<String>) {
    let mut text = String::with_capacity(source.len());
    let mut heading_start = None;
    let mut title = None;
    let mut in_metadata = false;
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for event in Parser::new_ext(source, options) {
        match event {
            Event::Start(Tag::MetadataBlock(_)) => in_metadata = true,
            Event::End(TagEnd::MetadataBlock(_)) => in_metadata = false,
            _ if in_metadata => {}
            Event::Start(Tag::Heading { .. }) => heading_start = Some(text.len()),
            Event::End(TagEnd::Heading(_)) => {
                if let (None, Some(start)) = (&title, heading_start.take()) {
                    title = Some(text[start..].to_owned());
                }
                text.push('\n');
            }
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::Rule => text.push('\n'),
            Event::End(TagEnd::TableCell) => text.push_str("  "),
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::CodeBlock | TagEnd::TableRow | TagEnd::TableHead) => {
                text.push('\n');
            }
            _ => {}
        }
    }
    (text, title)
}

/// A text on one line that does nothing to a terminal.
pub fn one_line(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).expect("memory");
        packer.finish().expect("memory")
    }

    fn text_of(path: &str, bytes: &[u8]) -> (String, String) {
        let read = read(path, bytes.to_vec()).expect("a text");
        (read.title, read.text)
    }

    fn why(path: &str, bytes: &[u8]) -> String {
        read(path, bytes.to_vec()).expect_err("left out")
    }

    #[test]
    fn markdown_is_read_without_its_marks() {
        let source = b"\xef\xbb\xbf<!-- no -->\n# The *plan*: `mill.toml`\n\nOne [link](http://x).\n\n| a | b |\n|---|---|\n| c | d |\n";
        let (title, text) = text_of("a/plan.md", source);
        assert_eq!(title, "The plan: mill.toml");
        assert_eq!(text, "The plan: mill.toml\nOne link.\na  b  \nc  d  \n");
    }

    #[test]
    fn other_texts_are_read_as_they_are() {
        assert_eq!(text_of("a/odd name", b"# text"), ("odd name".to_owned(), "# text".to_owned()));
        assert_eq!(text_of("notes.txt.gz", &gzip(b"packed")), ("notes.txt".to_owned(), "packed".to_owned()));
        let page = gzip(b".TH A 1\n.SH NAME\na \\- does\n");
        assert_eq!(text_of("man1/a.1.gz", &page), ("a - does".to_owned(), "NAME\na - does\n".to_owned()));
        assert_eq!(text_of("b.md", b"no heading").0, "b.md");
        assert_eq!(text_of("b.md", b"---\na: b\n---\n# B"), ("B".to_owned(), "B\n".to_owned()));
        assert_eq!(text_of("b.md", b"#\n\ntext").0, "b.md");
        assert_eq!(text_of("a\n \x1b[1mb", b"text").0, "a [1mb");
    }

    #[test]
    fn what_is_no_text_is_left_out_with_a_reason() {
        assert_eq!(why("a.png", b"\x89PNG\0"), "binary: it has a zero byte");
        assert_eq!(why("a.txt", b"caf\xe9 noir"), "not UTF-8: byte 3");
        assert_eq!(why("a.txt", b" \n"), "there is no text in it");
        assert_eq!(why("a.md", b"<!-- only a comment -->"), "there is no text in it");
        assert!(why("a.gz", b"no gzip").starts_with("damaged gzip: "));
        let mut cut = gzip(b"some text");
        cut.truncate(15);
        assert!(why("a.gz", &cut).starts_with("damaged gzip: "));
        assert_eq!(why("a.gz", &gzip(&vec![b'a'; FILE_BYTES_MAX as usize + 1])), "more than 8 MiB");
    }
}
