//! Descriptions of modules, and types beside each other.

use std::io::Cursor;

use super::*;

fn ty(text: &str) -> Type {
    serde_json::from_str(text).expect("a type")
}

fn accepts(wanted: &str, given: &str) -> Option<(String, String, String)> {
    ty(wanted).accept(&ty(given)).err().map(|misfit| (misfit.at, misfit.wanted, misfit.given))
}

fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("short")];
    body.extend(name.as_bytes());
    body.extend(content);
    let mut section = vec![0, (body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8];
    section.extend(body);
    section
}

/// The same with a content of any length.
fn long_custom(name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("short")];
    body.extend(name.as_bytes());
    body.extend(content);
    let len = body.len();
    let mut section = vec![0];
    section.extend((0..5).map(|at| (len >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }));
    section.extend(body);
    section
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

const JOB: &str = r#"{"job":"count","about":"Counts.","parameters":[{"name":"text","type":"text"}],"returns":"u64"}"#;

#[test]
fn a_description_is_found_wherever_it_is() {
    let lines = [format!("{JOB}\n"), "{\"sdk\":\"0.1.0\",\"abi\":1}\n".to_owned()];
    let sections =
        [custom("name", b"x"), custom("wasmill", lines[0].as_bytes()), custom("wasmill", lines[1].as_bytes())];
    let wasm = module(&sections);
    let found = Interface::find(Cursor::new(&wasm)).expect("readable").expect("there");
    assert_eq!((found.sdk.as_str(), found.abi, found.jobs.len()), ("0.1.0", 1, 1));
    assert_eq!(found.job("count").map(|job| job.parameters[0].ty.to_string()), Some("Text".to_owned()));

    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend([1, (wasm.len() & 0x7f) as u8 | 0x80, (wasm.len() >> 7) as u8]);
    component.extend(&wasm);
    component.extend(custom("producers", b"y"));
    assert_eq!(Interface::find(Cursor::new(component)).expect("readable"), Some(found));
}

#[test]
fn what_has_none_or_is_cut_short_has_none() {
    let wasm = module(&[custom("name", b"x"), custom("wasmill", JOB.as_bytes())]);
    assert!(Interface::find(Cursor::new(b"no module")).expect("readable").is_none());
    assert!(Interface::find(Cursor::new(module(&[]))).expect("readable").is_none());
    for len in 0..wasm.len() {
        // Nothing that a file may be cut short to keeps anybody from saying so.
        let _ = Interface::find(Cursor::new(&wasm[..len]));
    }
    let wrong = Interface::find(Cursor::new(module(&[custom("wasmill", b"{\n")])));
    assert!(matches!(wrong, Err(InterfaceError::Damaged(_))), "{wrong:?}");
}

#[test]
fn what_means_harm_costs_little() {
    // Components in components, as deep as they like.
    let level = b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\x0f";
    assert!(Interface::find(Cursor::new(level.repeat(20_000))).expect("readable").is_none());
    // Types in types: more than a reader of JSON follows is damaged, and nothing is read twice.
    let deep = format!("{{\"option\":{}\"u8\"{}", "{\"option\":".repeat(1_000), "}".repeat(1_001));
    let line = format!("{{\"job\":\"a\",\"returns\":{deep}}}\n");
    let wasm = module(&[long_custom("wasmill", line.as_bytes())]);
    assert!(matches!(Interface::find(Cursor::new(wasm)), Err(InterfaceError::Damaged(_))));
    let wide = format!("{{\"tuple\":[{}]}}", vec!["\"u8\""; 200_000].join(","));
    let nested = format!("{}{wide}{}", "{\"option\":".repeat(60), "}".repeat(60));
    let lines = format!("{{\"sdk\":\"9\",\"abi\":1}}\n{{\"job\":\"a\",\"parameters\":[],\"returns\":{nested}}}\n");
    let found = Interface::find(Cursor::new(module(&[long_custom("wasmill", lines.as_bytes())]))).expect("readable");
    assert_eq!(found.expect("there").jobs.len(), 1);
    // More than there may be, in one section or in many.
    let line = format!("{{\"job\":\"{}\",\"returns\":\"u8\"}}\n", "a".repeat(1 << 20));
    let sections = vec![long_custom("wasmill", line.as_bytes()); 5];
    assert!(matches!(Interface::find(Cursor::new(module(&sections))), Err(InterfaceError::Damaged(_))));
}

#[test]
fn no_byte_of_a_damaged_file_does_harm() {
    let lines = format!("{JOB}\n{{\"sdk\":\"0.1.0\",\"abi\":1}}\n");
    let wasm = module(&[custom("name", b"x"), custom("wasmill", lines.as_bytes())]);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend([1, (wasm.len() & 0x7f) as u8 | 0x80, (wasm.len() >> 7) as u8]);
    component.extend(&wasm);
    for at in 0..component.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = component.clone();
            damaged[at] ^= bits;
            // Found or not, with or without an error: never a panic.
            let _ = Interface::find(Cursor::new(damaged));
        }
    }
}

#[test]
fn two_jobs_of_one_name_are_refused() {
    let job = |at: &str| format!("{{\"job\":\"a\",\"at\":\"{at}\",\"returns\":\"unit\"}}\n");
    let lines = ["{\"sdk\":\"1\",\"abi\":1}\n", &job("words"), &job("words::more")].concat();
    let wrong = Interface::find(Cursor::new(module(&[long_custom("wasmill", lines.as_bytes())]))).unwrap_err();
    let expected =
        "two of its jobs are called `a`, in `words` and in `words::more`: one of them has to have another name";
    assert_eq!(wrong.to_string(), expected);
}

#[test]
fn what_a_newer_sdk_says_is_not_known() {
    let lines = concat!(
        "{\"sdk\":\"9\",\"abi\":1,\"more\":true}\n",
        "{\"colour\":\"blue\"}\n",
        "{\"job\":\"a\",\"about\":\"\",\"parameters\":[{\"name\":\"x\",\"type\":{\"stream\":\"u8\"}}],\"returns\":\"i0\"}\n"
    );
    let found = Interface::find(Cursor::new(module(&[long_custom("wasmill", lines.as_bytes())])));
    let found = found.expect("readable").expect("there");
    assert!(found.jobs[0].parameters[0].ty.is_unknown() && found.jobs[0].returns.is_unknown());
    // Without the line of the SDK, it is no module of it.
    assert!(Interface::find(Cursor::new(module(&[custom("wasmill", JOB.as_bytes())]))).expect("readable").is_none());
}

#[test]
fn numbers_fit_where_some_of_them_may() {
    for (wanted, given, fits) in [
        ("u32", "u32", true),
        ("u64", "u32", true),
        ("u32", "u64", true),
        ("i64", "u32", true),
        ("i64", "u64", true),
        ("u64", "i8", true),
        ("f64", "u64", true),
        ("f32", "f64", true),
        ("u8", "f32", false),
        ("string", "u8", false),
        ("text", "string", true),
        ("bool", "bool", true),
    ] {
        assert_eq!(accepts(&format!("\"{wanted}\""), &format!("\"{given}\"")).is_none(), fits, "{wanted} of {given}");
    }
}

#[test]
fn a_misfit_is_told_with_its_place() {
    let wanted = r#"{"struct":"Counts","fields":[{"name":"words","type":{"seq":"u32"}},{"name":"note","type":"string","optional":true}]}"#;
    let given = |words: &str| {
        format!(r#"{{"struct":"Lines","fields":[{{"name":"words","type":{words}}},{{"name":"more","type":"bool"}}]}}"#)
    };
    assert_eq!(accepts(wanted, &given(r#"{"seq":"u8"}"#)), None);
    let misfit = accepts(wanted, &given(r#"{"seq":"string"}"#)).expect("a misfit");
    assert_eq!(misfit, ("words[]".to_owned(), "`u32`".to_owned(), "`String`".to_owned()));
    let without = r#"{"struct":"Lines","fields":[]}"#;
    let misfit = accepts(wanted, without).expect("a misfit");
    assert_eq!((misfit.1.as_str(), misfit.2.as_str()), ("`Counts` with a field `words`", "`Lines` without it"));
    assert_eq!(accepts(r#"{"option":"u8"}"#, "\"u8\""), None);
    assert_eq!(accepts("\"u8\"", r#"{"option":"u8"}"#), None);
    assert!(accepts("\"u8\"", r#"{"option":"bool"}"#).is_some());
    assert_eq!(accepts(r#"{"tuple":["u8","u8"]}"#, r#"{"seq":"u8"}"#), None);
    assert!(accepts(r#"{"tuple":["u8","u8"]}"#, r#"{"tuple":["u8"]}"#).is_some());
    assert_eq!(accepts(r#"{"seq":"u8"}"#, r#"{"tuple":["u8","u8"]}"#), None);
    assert_eq!(accepts(r#"{"any":"X"}"#, without), None);
    let either = |names: &[&str]| {
        let variants: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}","type":"unit"}}"#)).collect();
        format!(r#"{{"enum":"Kind","variants":[{}]}}"#, variants.join(","))
    };
    assert_eq!(accepts(&either(&["a", "b"]), &either(&["a"])), None);
    assert_eq!(accepts(&either(&["a"]), &either(&["a", "b"])), None);
    assert!(accepts(&either(&["a"]), &either(&["b", "c"])).is_some());
    assert_eq!(accepts("\"string\"", &either(&["a"])), None);
    assert!(accepts("\"u8\"", &either(&["a"])).is_some());
}
