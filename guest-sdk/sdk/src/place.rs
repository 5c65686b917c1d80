//! Where in a text of JSON something is wrong.
//!
//! Owns: finding the value at a position, as the path that leads to it. Does not know: what is wrong with it.
//!
//! Readers that keep track of where they are would make the program longer by a second reader of every type, and slower.

use std::fmt::Write as _;

/// One step on the way: into a table, with the key that was read last, or into a list.
enum Step<'j> {
    Table(Option<&'j [u8]>),
    List(usize),
}

/// The path of the value that an error is about, such as `texts[1].title`; empty for the whole. The text need not be well-formed.
///
/// An error that a type makes itself, without saying where, is at the end of the value, or of the one around it: then the path is
/// one step shorter. (A type that reads JSON out of a string and passes on that reader's error has its place taken for one in this text.)
pub(crate) fn path_of(json: &[u8], error: &serde_json::Error) -> String {
    let line = json.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let end = line.map(<[u8]>::len).sum::<usize>().saturating_add(error.column()).min(json.len());
    // A byte that should not be there opens nothing.
    let end = end - usize::from(error.is_syntax() && end > 0);
    let (text, rest) = json.split_at_checked(end).unwrap_or((json, &[]));
    let mut steps = steps_to(text);
    // `serde_json` reads the comma behind an item before it says where an error in it was. Only a list or a table is said to be
    // wrong where it begins; then it may be the one behind the comma.
    if let (Some(Step::List(index)), Some(b',')) = (steps.last_mut(), text.trim_ascii_end().last()) {
        match rest.trim_ascii_start().first() {
            Some(b'{' | b'[') => drop(steps.pop()),
            _ => *index = index.saturating_sub(1),
        }
    }
    written(&steps)
}

/// The way to the value that the text breaks off in, or behind.
fn steps_to(json: &[u8]) -> Vec<Step<'_>> {
    let (mut steps, mut at, mut awaits_key) = (Vec::new(), 0, false);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let text = json.get(at..).unwrap_or_default();
                let end = end_of_string(text);
                // What is wrong with a key is wrong with the table.
                let is_whole = end < text.len();
                if let Some(Step::Table(key)) = steps.last_mut().filter(|_| awaits_key && is_whole) {
                    *key = text.get(..end);
                    awaits_key = false;
                }
                at += end + 1;
            }
            b'{' | b'[' => {
                awaits_key = *byte == b'{';
                steps.push(if awaits_key { Step::Table(None) } else { Step::List(0) });
            }
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Table(key)) => (*key, awaits_key) = (None, true),
                Some(Step::List(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
    }
    steps
}

fn written(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Table(None) => Ok(()),
            Step::Table(Some(key)) => {
                let dot = if path.is_empty() { "" } else { "." };
                write!(path, "{dot}{}", String::from_utf8_lossy(key))
            }
            Step::List(index) => write!(path, "[{index}]"),
        };
    }
    path
}

/// Where the string ends that begins with a text; where that breaks off, its own end.
fn end_of_string(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    };
    text.iter().position(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;
    use crate::prelude::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        title: String,
        #[serde(default)]
        size: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        texts: Vec<Inner>,
        at: (i32, BTreeMap<String, bool>),
    }

    fn path<T: DeserializeOwned>(json: &str) -> String {
        let error = serde_json::from_str::<T>(json).map(drop).expect_err("something is wrong");
        path_of(json.as_bytes(), &error)
    }

    #[test]
    fn the_path_leads_to_what_is_wrong() {
        for (json, expected) in [
            ("[]", ""),
            ("{\"name\": 1}", "name"),
            (r#"{"name": "a \"quoted\" {[,", "texts": {}}"#, "texts"),
            (r#"{"name": "a", "texts": [{"title": "t"}, {"title": "t", "size": 300}]}"#, "texts[1].size"),
            (r#"{"name": "a", "texts": [{"title": "t"}, {"title": ["t"]}]}"#, "texts[1].title"),
            // What is missing in the second.
            (r#"{"name": "a", "texts": [{"title": "t"}, {"size": 1}], "at": [1, {}]}"#, "texts[1]"),
            (r#"{"name": "a", "texts": [{"tilte": "t"}]}"#, "texts[0].tilte"),
            (
                "{\n  \"name\": \"a\",\n  \"texts\": [],\n  \"at\": [\n    1,\n    {\"x\": true, \"y\": 1}\n  ]\n}",
                "at[1].y",
            ),
            (r#"{"name": "a", "texts": [], "at": [{"x": 1}]}"#, "at[0]"),
            (r#"{"name": "a", "texts": [], "at": []}"#, "at"),
            (r#"{"name": "a", "texts": []}"#, ""),
            (r#"{"name": "a", "texts": [{"title": "t""#, "texts[0].title"),
            (r#"{"name": "a", "texts": [{"title": "t"#, "texts[0].title"),
            ("{\"name\": \"\\\\\", \"texts\": [1]}", "texts[0]"),
        ] {
            assert_eq!(path::<Outer>(json), expected, "{json}");
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only read")]
    enum Either {
        Number(u8),
        Text(String),
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "is")]
    #[expect(dead_code, reason = "only read")]
    enum Tagged {
        Number { value: u8 },
        Nothing,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Even;

    impl TryFrom<String> for Even {
        type Error = String;

        fn try_from(text: String) -> std::result::Result<Self, String> {
            if text.len() % 2 == 0 { Ok(Self) } else { Err(format!("`{text}` is odd")) }
        }
    }

    /// The place is that of the value, or of what it is in; never that of another.
    #[test]
    fn errors_of_types_that_do_not_say_where_lead_to_no_other_value() {
        for (json, expected) in [("[true, 1]", "[0]"), ("[1, true, 2]", "[1]"), ("[1, true]", ""), ("[1, [], [2]]", "")]
        {
            assert_eq!(path::<Vec<Either>>(json), expected, "{json}");
        }
        for (json, expected) in [
            (r#"["bad", "ok"]"#, "[0]"),
            (r#"["ok", "bad", "ok"]"#, "[1]"),
            (r#"["ok", "bad" , {}]"#, ""),
            (r#"["ok", "bad"]"#, ""),
            (r#"["ok", 7, "ok"]"#, "[1]"),
        ] {
            assert_eq!(path::<Vec<Even>>(json), expected, "{json}");
        }
        let tagged = r#"[{"is": "Number", "value": 300}, {"is": "Nothing"}]"#;
        assert_eq!(path::<Vec<Tagged>>(tagged), "");
        assert_eq!(path::<BTreeMap<String, Even>>(r#"{"a": "ok", "b": "bad", "c": "ok"}"#), "b");
    }

    #[test]
    fn what_is_behind_the_value_or_is_a_key_is_in_no_list() {
        assert_eq!(path::<Vec<u8>>("[1]\n[2]"), "");
        assert_eq!(path::<BTreeMap<u32, u8>>(r#"{"1": 1, "abc": 2}"#), "");
        assert_eq!(path::<Outer>(r#"{"name": "a", "texts": [], "at": [1, {"a": tru}]}"#), "at[1].a");
        assert_eq!(path::<Vec<Vec<u8>>>("[[1, 2], [3,\r\n 300]]"), "[1][1]");
    }

    #[test]
    fn no_text_is_too_broken() {
        let json = r#"{"a": [{"b": "c\"d"}, "e", {"é": 1.5}], "f": {}}"#;
        for end in 0..=json.len() {
            let cut = json.as_bytes().get(..end).expect("a part");
            if let Err(error) = serde_json::from_slice::<Value>(cut) {
                path_of(cut, &error);
            }
            steps_to(&[cut, b"]}}\"]]"].concat());
        }
        let deep = "[".repeat(100_000);
        assert!(path::<Value>(&deep).starts_with("[0][0]"));
    }
}
