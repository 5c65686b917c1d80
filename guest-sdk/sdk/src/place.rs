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

/// The path of the value that begins at, or has in it, or is before, a byte of a text, such as `texts[1].title`; empty for the whole.
/// The text need not be well-formed.
pub(crate) fn path_of(json: &[u8], at: usize) -> String {
    written(&steps_to(json.get(..at).unwrap_or(json)))
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
                write!(path, "{dot}{}", std::str::from_utf8(key).unwrap_or_default())
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
        let error = crate::json::from_slice::<T>(json.as_bytes()).map(drop).expect_err("something is wrong");
        path_of(json.as_bytes(), error.at())
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

    #[test]
    fn errors_of_types_that_do_not_say_where_lead_to_the_value() {
        for (json, expected) in
            [("[true, 1]", "[0]"), ("[1, true, 2]", "[1]"), ("[1, true]", "[1]"), ("[1, [], [2]]", "[1]")]
        {
            assert_eq!(path::<Vec<Either>>(json), expected, "{json}");
        }
        for (json, expected) in [
            (r#"["bad", "ok"]"#, "[0]"),
            (r#"["ok", "bad", "ok"]"#, "[1]"),
            (r#"["ok", "bad" , {}]"#, "[1]"),
            (r#"["ok", "bad"]"#, "[1]"),
            (r#"["ok", 7, "ok"]"#, "[1]"),
        ] {
            assert_eq!(path::<Vec<Even>>(json), expected, "{json}");
        }
        let tagged = r#"[{"is": "Number", "value": 300}, {"is": "Nothing"}]"#;
        assert_eq!(path::<Vec<Tagged>>(tagged), "[0]");
        assert_eq!(path::<BTreeMap<String, Even>>(r#"{"a": "ok", "b": "bad", "c": "ok"}"#), "b");
    }

    #[test]
    fn what_is_behind_the_value_is_in_no_list_and_a_key_is_the_field_s() {
        assert_eq!(path::<Vec<u8>>("[1]\n[2]"), "");
        assert_eq!(path::<BTreeMap<u32, u8>>(r#"{"1": 1, "abc": 2}"#), "abc");
        assert_eq!(path::<Outer>(r#"{"name": "a", "texts": [], "at": [1, {"a": tru}]}"#), "at[1].a");
        assert_eq!(path::<Vec<Vec<u8>>>("[[1, 2], [3,\r\n 300]]"), "[1][1]");
    }

    #[test]
    fn no_text_is_too_broken() {
        let json = r#"{"a": [{"b": "c\"d"}, "e", {"é": 1.5}], "f": {}}"#;
        for end in 0..=json.len() {
            let cut = json.as_bytes().get(..end).expect("a part");
            if let Err(error) = crate::json::from_slice::<Value>(cut) {
                path_of(cut, error.at());
            }
            steps_to(&[cut, b"]}}\"]]"].concat());
        }
        let deep = "[".repeat(100_000);
        assert!(path::<Value>(&deep).starts_with("[0][0]"));
    }
}
