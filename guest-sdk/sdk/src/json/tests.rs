//! That JSON is read and written as `serde_json` does it.
//!
//! Owns: the comparison, for texts that are right and for texts that are nearly right. Does not know: what is said of an error.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{fields, from_slice, to_vec};

#[derive(Debug, Serialize, Deserialize)]
enum Variants {
    Unit,
    One(u8),
    Several(i64, String),
    Fields { fraction: Option<f64>, within: Vec<Variants> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Number { x: i32 },
    Nothing,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    List(Vec<Untagged>),
    Table { is: bool },
}

#[derive(Debug, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Serialize, Deserialize)]
struct Newtype(u32);

/// Whatever serde knows, once.
#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    variants: Vec<Variants>,
    tagged: Tagged,
    untagged: Vec<Untagged>,
    by_number: BTreeMap<i16, char>,
    by_word: BTreeMap<bool, ()>,
    by_variant: BTreeMap<String, f64>,
    newtype: Newtype,
    unit: Unit,
    large: u128,
    low: i128,
    tuple: (u8, i8, String),
    twice: Option<Option<u8>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    left_out: Vec<u8>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn everything() -> Everything {
    let within = vec![Variants::Unit];
    let text = "a\"\\/\u{1}\u{8}\u{c}\n\r\t\u{1f}\u{7f}é\u{1F600}".to_owned();
    Everything {
        variants: vec![
            Variants::Unit,
            Variants::One(3),
            Variants::Several(i64::MIN, text),
            Variants::Fields { fraction: Some(1e21), within },
        ],
        tagged: Tagged::Number { x: -1 },
        untagged: vec![
            Untagged::Number(-0.0),
            Untagged::Text("x".to_owned()),
            Untagged::List(vec![Untagged::Table { is: true }]),
        ],
        by_number: [(-3, 'ß'), (4, '"')].into(),
        by_word: [(true, ()), (false, ())].into(),
        by_variant: [("a".to_owned(), 0.1), ("b".to_owned(), f64::MAX), ("c".to_owned(), f64::NAN)].into(),
        newtype: Newtype(7),
        unit: Unit,
        large: u128::MAX,
        low: i128::MIN,
        tuple: (1, -2, "t".to_owned()),
        twice: Some(Some(1)),
        left_out: Vec::new(),
        rest: [("more".to_owned(), serde_json::json!({ "q": [1, 2.5, null, "w"] }))].into(),
    }
}

/// The same but for the last digits of fractions: `serde_json` reads those a little beside what they say.
fn is_near(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= one.abs() * 1e-14
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_near(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_near(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Reads a text as a type in both ways, and writes what is read in both ways. Whether it could be read.
fn compare<T: DeserializeOwned + Serialize>(text: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(text);
    match (from_slice::<T>(text), serde_json::from_slice::<T>(text)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(to_vec(&ours).ok(), serde_json::to_vec(&ours).ok(), "written otherwise: {shown}");
            let values = [serde_json::to_value(&ours), serde_json::to_value(&theirs)];
            if let [Ok(ours), Ok(theirs)] = values {
                assert!(is_near(&ours, &theirs), "{shown}: {ours} instead of {theirs}");
            }
            true
        }
        (Err(error), Err(_)) => {
            assert!(error.at() <= text.len());
            false
        }
        (ours, theirs) => panic!("{shown}: {:?} instead of {:?}", ours.map(drop), theirs.map(drop)),
    }
}

#[test]
fn what_is_written_is_what_serde_json_writes() {
    let everything = everything();
    let json = serde_json::to_vec(&everything).unwrap();
    assert_eq!(String::from_utf8(to_vec(&everything).unwrap()).unwrap(), String::from_utf8(json).unwrap());
    let short = [0.1, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY];
    assert_eq!(to_vec(&short).unwrap(), serde_json::to_vec(&short).unwrap());
    // What has no form in JSON has none.
    assert!(to_vec(&BTreeMap::from([(vec![1], 1)])).is_err());
    assert!(to_vec(&BTreeMap::from([((), 1)])).is_err());
}

/// Numbers without an end, the same each time (Marsaglia, 2003).
fn drawn() -> impl FnMut(usize) -> usize {
    let mut state = 1_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}

#[test]
fn texts_that_are_nearly_right_are_read_or_refused_as_by_serde_json() {
    const PIECES: [&[u8]; 30] = [
        b"",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d\\ude00",
        b"\\ud800",
        b"\\ud800\\u0041",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"1",
        b"-",
        b"0",
        b".5",
        b"e9",
        b"E+400",
        b"true",
        b"null",
        b"fals",
        b" \n",
        b"\t",
        b"\xc3\xa9",
        b"\xff",
        b"18446744073709551616",
        b"\\n",
        b"-0",
        b"\x1f",
    ];
    let mut whole = everything();
    whole.by_variant.remove("c");
    let whole = serde_json::to_vec(&whole).unwrap();
    let beginnings: [&[u8]; 6] = [
        &whole,
        br#"{"a":[1,-2,3.25e-3,{"b":null,"c":[true,false,"x\u00e9\ud83d\ude00\n"]}], "d" : {} , "e":[ ]}"#,
        b"[0, -0, 0.0, 1E5, 12345678901234567890123]",
        br#" "str" "#,
        b"-12.5e+3",
        br#"{"1": {"true": 1}, "-7": {"false": 2}}"#,
    ];
    let mut draw = drawn();
    let mut read = 0;
    for _ in 0..60_000 {
        let mut text = beginnings[draw(beginnings.len())].to_vec();
        for _ in 0..draw(3) {
            let at = draw(text.len() + 1);
            let cut = draw(3).min(text.len() - at);
            text.splice(at..at + cut, PIECES[draw(PIECES.len())].iter().copied());
        }
        read += usize::from(compare::<Value>(&text));
        compare::<Everything>(&text);
        compare::<String>(&text);
        compare::<Vec<f64>>(&text);
        compare::<i64>(&text);
        compare::<u128>(&text);
        compare::<Untagged>(&text);
        compare::<BTreeMap<i16, BTreeMap<bool, u8>>>(&text);
        let (ours, theirs) = (from_slice::<Box<RawValue>>(&text), serde_json::from_slice::<Box<RawValue>>(&text));
        assert_eq!(ours.ok().map(|raw| raw.to_string()), theirs.ok().map(|raw| raw.to_string()));
        fields(&text).iter().flatten().for_each(|(_, at)| assert!(text.get(at.clone()).is_some()));
    }
    assert!((1_000..59_000).contains(&read), "{read} of them could be read: the test wants some of each");
}

#[test]
fn every_length_of_a_text_but_the_whole_is_refused() {
    let mut whole = everything();
    whole.by_variant.remove("c");
    let whole = to_vec(&whole).unwrap();
    assert!(compare::<Everything>(&whole));
    for len in 0..whole.len() {
        assert!(!compare::<Everything>(&whole[..len]), "{len}");
    }
}

#[test]
fn fractions_are_what_they_say() {
    for text in
        ["0.1", "1e23", "2.2250738585072014e-308", "123456789012345680000", "1.7976931348623157e308", "-0", "5e-324"]
    {
        assert_eq!(from_slice::<f64>(text.as_bytes()).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
    }
    assert!(from_slice::<f64>(b"1e400").is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(compare::<Value>(&nested(127)));
    assert!(!compare::<Value>(&nested(128)));
    assert!(!compare::<Value>(&nested(1_000_000)));
    // What nobody wants may be as deep as it is.
    assert!(from_slice::<IgnoredAny>(&nested(100_000)).is_ok());
}

/// The items of a list that can be read; the others are passed over.
struct Readable<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for All<T> {
            type Value = Readable<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable<T>, A::Error> {
                let mut all = Vec::new();
                for _ in 0..1_000 {
                    match items.next_element() {
                        Ok(Some(item)) => all.push(item),
                        Ok(None) => return Ok(Readable(all)),
                        Err(_) => {}
                    }
                }
                Err(de::Error::custom("it does not come to an end"))
            }
        }
        deserializer.deserialize_seq(All(PhantomData))
    }
}

#[test]
fn who_minds_no_error_goes_on_behind_it() {
    fn count<T: DeserializeOwned>(text: &str) -> usize {
        let ours = from_slice::<Readable<T>>(text.as_bytes()).unwrap().0.len();
        assert_eq!(ours, serde_json::from_str::<Readable<T>>(text).unwrap().0.len(), "{text}");
        ours
    }
    // More than there may be in each other.
    let many = format!("[{}{{\"x\": 1}}]", "{},".repeat(200));
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Point {
        x: u8,
    }
    assert_eq!(count::<Point>(&many), 1);
    assert_eq!(count::<(u8, u8)>("[[1, 2], [3], [4, 300], [9, 10]]"), 2);
    assert_eq!(count::<Variants>(r#"["Unit", "None", {"One": 1}, {"One": 2}]"#), 3);
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    fn said<T: DeserializeOwned>(text: &str) -> String {
        from_slice::<T>(text.as_bytes()).map(drop).unwrap_err().in_text(text.as_bytes())
    }
    assert_eq!(said::<Variants>(" {}"), "expected the name of a variant at line 1 column 3");
    assert_eq!(said::<Vec<u8>>("[1,\n 300]"), "invalid value: integer `300`, expected u8 at line 2 column 2");
    assert_eq!(said::<Vec<u8>>("[1"), "the text ends too soon at line 1 column 3");
    assert_eq!(said::<BTreeMap<u8, u8>>(r#"{"": 1}"#), "invalid type: string \"\", expected u8 at line 1 column 4");
    assert_eq!(said::<BTreeMap<u8, u8>>(r#"{" 2": 1}"#), "invalid type: string \" 2\", expected u8 at line 1 column 6");
}

/// Why results are JSON between jobs as well (`docs/design/0009-guest-sdk.md`): what serde makes of a type may depend on its value, and a
/// format that does not say what follows cannot be read then. The worst is what it takes for something else.
#[test]
fn what_jobs_return_is_lost_in_a_format_that_does_not_describe_itself() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Found {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        count: u8,
        rest: u8,
    }
    let found = Found { note: None, count: 1, rest: 9 };
    assert_eq!(from_slice::<Found>(&to_vec(&found).unwrap()).unwrap(), found);
    let bytes = postcard::to_allocvec(&found).unwrap();
    assert!(postcard::from_bytes::<Found>(&bytes).is_err());
    // With others behind it, it is read, as something that nobody wrote.
    let several = postcard::to_allocvec(&(&found, 5_u8, 0_u8)).unwrap();
    let (read, _) = postcard::take_from_bytes::<Found>(&several).unwrap();
    assert_eq!(read, Found { note: Some(9), count: 5, rest: 0 }, "if this is what was written, postcard can do it");
    for text in ["1.5", r#""text""#, "[[true]]"] {
        let value = from_slice::<Untagged>(text.as_bytes()).ok();
        let bytes = value.map(|value| postcard::to_allocvec(&value).unwrap());
        assert!(bytes.is_none_or(|bytes| postcard::from_bytes::<Untagged>(&bytes).is_err()), "{text}");
    }
}
