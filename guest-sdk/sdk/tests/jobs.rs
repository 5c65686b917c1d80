//! Jobs of every shape, called through the protocol.
//!
//! Owns: what `#[job]` accepts, and what each kind of call leaves behind. Does not know: WebAssembly; the same
//! program on a real WASI host is the business of the integration tests.
#![expect(clippy::needless_pass_by_value, reason = "a job owns its input, even where it only reads it")]

use std::fmt;

use tempfile::TempDir;

use wasmill_sdk::__private::{Invocation, Job, jobs};
use wasmill_sdk::prelude::*;

#[derive(Deserialize)]
struct Person {
    name: String,
    years: Vec<u8>,
}

/// Greets a person.
///
/// And says no more here.
#[job]
fn greet(person: Person) -> Result<String> {
    let first = person.years.first().context("no years")?;
    let parsed: u8 = person.name.trim_start_matches(char::is_alphabetic).parse().unwrap_or(0);
    Ok(format!("{} {first} {parsed}", person.name))
}

#[job]
fn silent() {}

#[job]
fn plain(number: Option<u32>) -> u32 {
    number.unwrap_or(7)
}

#[job]
fn read_maybe(words: Option<Text>) -> Option<String> {
    words.map(|words| words.to_string())
}

type Hidden = Result<u8, String>;

#[job]
fn alias(text: String) -> Hidden {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it broke")
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&fmt::Error)
    }
}

#[job]
fn own_error() -> Result<(), Broken> {
    Err(Broken)
}

#[job]
fn r#match(r#type: ()) -> Result<&'static str, Box<dyn std::error::Error>> {
    let () = r#type;
    Ok("raw")
}

#[job]
fn no_json() -> std::collections::BTreeMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

#[derive(Deserialize)]
struct Nested {
    above: Option<File>,
}

#[job]
fn places(text: Text, dir: Dir, file: Option<File>, nested: Nested, each: Each<u8>) -> Result<String> {
    let names: Vec<_> = dir.entries()?.iter().map(|entry| entry.name().to_owned()).collect();
    let file = file.map(|file| file.read_to_string()).transpose()?;
    let above = nested.above.map(|file| file.path().display().to_string());
    let each: Vec<_> = each.iter()?.map(|(name, value)| Ok((name, value?))).collect::<Result<_>>()?;
    Ok(format!("{} {names:?} {file:?} {above:?} {each:?}", &*text))
}

/// Names that the macros might use, or that a job has as well.
mod interface {
    use wasmill_sdk::prelude::*;

    pub(crate) const JOB: usize = 2;

    #[derive(Serialize, Deserialize, Schema)]
    pub(crate) struct Options {
        pub(crate) bytes: [u8; JOB],
    }

    pub(crate) mod crowded {
        pub(crate) fn run() -> u8 {
            7
        }
    }

    #[derive(Serialize, Deserialize, Schema)]
    pub(crate) struct A {
        pub(crate) b: Vec<B>,
    }

    #[derive(Serialize, Deserialize, Schema)]
    pub(crate) struct B {
        #[schema(opaque)]
        pub(crate) a: Vec<A>,
    }
}
use interface::{JOB, crowded};

#[job]
fn crowded(options: interface::Options, bytes: [u8; JOB], each_other: Option<interface::A>) -> u8 {
    let others = each_other.map_or(0, |a| a.b.iter().map(|b| b.a.len()).sum::<usize>());
    crowded::run() + options.bytes[0] + bytes[1] + u8::try_from(others).unwrap_or(u8::MAX)
}

#[deprecated]
#[job]
fn serde_json(number: u64) -> u64 {
    number
}

#[job]
fn total(counts: Each<u64>) -> Result<u64> {
    counts.iter()?.map(|(_, count)| count).sum()
}

#[job]
fn plan(texts: Vec<File>) -> Result<Plan<u64>> {
    Ok(Plan::map(texts, plan_of_one_later).then(total_later))
}

#[job]
fn plan_of_one(text: Text) -> u64 {
    text.len() as u64
}

/// Calls the module and gives the exit code, the message and the result file.
fn call(arguments: &[&str], input: &str) -> (u8, String, Option<String>) {
    let out = tempfile::tempdir().expect("a temporary directory");
    call_with(&out, arguments, input)
}

/// The same, where files were put at paths below its `/in`.
fn call_with(root: &TempDir, arguments: &[&str], input: &str) -> (u8, String, Option<String>) {
    let out = root;
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let invocation = Invocation {
        arguments,
        in_dir: format!("{}/in", root.path().display()),
        out_dir: out.path().display().to_string(),
    };
    let (exit_code, message) = match invocation.run(&jobs(), || Ok(input.into())) {
        Ok(()) => (0, String::new()),
        Err(refusal) => (refusal.exit_code, refusal.message),
    };
    (exit_code, message, std::fs::read_to_string(out.path().join("result.json")).ok())
}

fn gives(arguments: &[&str], input: &str, result: &str) {
    assert_eq!(call(arguments, input), (0, String::new(), Some(result.to_owned())));
}

fn fails(arguments: &[&str], input: &str, exit_code: u8, message: &str) {
    assert_eq!(call(arguments, input), (exit_code, message.to_owned(), None));
}

#[test]
fn a_result_is_one_line_of_json() {
    gives(&["greet"], r#"{"person": {"name": "Ada9", "years": [1, 2]}}"#, "\"Ada9 1 9\"\n");
    gives(&["match"], "null", "\"raw\"\n");
    gives(&["match"], r#"{"type": null}"#, "\"raw\"\n");
    gives(&["plain"], r#"{"number": 3}"#, "3\n");
}

#[test]
fn no_input_is_null() {
    gives(&["plain"], "", "7\n");
    gives(&["plain"], " \n", "7\n");
    gives(&["plain"], "{\"number\": null}", "7\n");
}

#[test]
fn what_another_job_returned_as_none_is_none() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mounted = root.path().join("in/number");
    let called = |content: &str| {
        std::fs::create_dir_all(&mounted).expect("a directory");
        std::fs::write(mounted.join("result.json"), content).expect("a file");
        call_with(&root, &["plain"], "")
    };
    assert_eq!(called("null\n"), (0, String::new(), Some("7\n".to_owned())));
    assert_eq!(called("5\n"), (0, String::new(), Some("5\n".to_owned())));
    let (code, message, _) = called("nil\n");
    assert!(code == 65 && message.contains("`number`") && message.contains("in/number"), "{message}");
    // The same, as a file; and one that is asked for as such is no value.
    std::fs::remove_dir_all(&mounted).expect("it is removed");
    std::fs::write(&mounted, "null").expect("a file");
    assert_eq!(call_with(&root, &["plain"], ""), (0, String::new(), Some("7\n".to_owned())));
    std::fs::rename(&mounted, root.path().join("in/words")).expect("it is renamed");
    assert_eq!(call_with(&root, &["read_maybe"], ""), (0, String::new(), Some("\"null\"\n".to_owned())));
    // What must be there may not be none.
    std::fs::rename(root.path().join("in/words"), root.path().join("in/person")).expect("it is renamed");
    let (code, message, _) = call_with(&root, &["greet"], "");
    assert!(code == 65 && message.contains("in/person"), "{message}");
}

#[test]
fn names_do_not_get_into_each_other_s_way() {
    gives(&["crowded"], r#"{"options": {"bytes": [1, 2]}, "bytes": [3, 4]}"#, "12\n");
    gives(&["serde_json"], r#"{"number": 5}"#, "5\n");
}

#[test]
fn a_plan_is_a_result() {
    let (code, message, result) = call(&["plan"], r#"{"texts": ["/in/a", "/in/b"]}"#);
    let plan: serde_json::Value = serde_json::from_str(&result.unwrap_or(message)).expect("JSON");
    assert_eq!((code, &plan["result"]["job"]), (0, &"total".into()), "{plan}");
    assert_eq!(plan["jobs"]["total"]["in"]["/in/counts/2"]["job"], "plan_of_one-2", "{plan}");
}

#[test]
fn unit_leaves_no_result() {
    assert_eq!(call(&["silent"], ""), (0, String::new(), None));
}

#[test]
fn the_first_argument_is_tried_where_the_program_name_is_no_job() {
    gives(&["audit.wasm", "plain"], r#"{"number": 3}"#, "3\n");
    gives(&["plain", "greet"], r#"{"number": 3}"#, "3\n");
}

#[test]
fn a_jobs_error_comes_with_its_causes() {
    let person = r#"{"person": {"name": "Ada", "years": []}}"#;
    fails(&["greet"], person, 1, "error: no years\n");
    let broken = "error: it broke\n  caused by: an error occurred when formatting an argument\n";
    fails(&["own_error"], "", 1, broken);
}

#[test]
fn an_aliased_result_is_still_a_result() {
    gives(&["alias"], r#"{"text": "12"}"#, "12\n");
    fails(&["alias"], r#"{"text": "x"}"#, 1, "error: `x`: invalid digit found in string\n");
}

#[test]
fn an_input_that_does_not_fit_is_told_with_its_path() {
    let lead = "error: the input does not fit the job";
    let (code, message, _) = call(&["greet"], r#"{"person": {"name": "Ada", "years": [1, "two"]}}"#);
    assert_eq!(code, 65);
    let said = format!("{lead} `greet`\n  caused by: `person`, `years[1]`: invalid type");
    assert!(message.starts_with(&said), "{message}");
    for (job, input, wrong) in [
        ("plain", "3 4", "an object with a field for each parameter"),
        ("plain", "{\"number\": 3 4}", "an object with a field for each parameter"),
        (
            "greet",
            "",
            "`person`: nothing is given: mount something at `/in/person`, or give a field `person` of `input`",
        ),
        ("silent", "{\"a\": 1}", "`input` has `a`, which the job does not take: it takes nothing"),
        ("plain", "{\"nmber\": 1}", "`input` has `nmber`, which the job does not take: it takes `number`"),
    ] {
        let (code, message, _) = call(&[job], input);
        assert_eq!((code, message.contains(wrong)), (65, true), "{message}");
    }
}

#[test]
fn a_parameter_is_what_is_mounted_under_its_name() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, content: &[u8]| {
        let path = root.path().join("in").join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, content).expect("written");
    };
    write("text", "grüß".as_bytes());
    write("dir/b", b"");
    write("dir/a", b"");
    write("file", b"content");
    write("each/one/result.json", b"1\n");
    write("each/two/result.json", b"2\n");
    let (code, message, result) = call_with(&root, &["places"], r#"{"nested": {"above": "/in/x"}}"#);
    let expected = r#""grüß [\"a\", \"b\"] Some(\"content\") Some(\"/in/x\") [(\"one\", 1), (\"two\", 2)]""#;
    assert_eq!((code, message.as_str(), result), (0, "", Some(format!("{expected}\n"))));

    // A value that another job left, and one in a file.
    write("nested/result.json", b"{}");
    write("person", br#"{"name": "Ada", "years": [7]}"#);
    assert_eq!(call_with(&root, &["greet"], "").2, Some("\"Ada 7 0\"\n".to_owned()));
    assert_eq!(call_with(&root, &["places"], "").0, 0);

    // What is wrong with it is said with its path.
    for (path, content, job, wrong) in [
        ("text", &b"a\xff"[..], "places", "is no text: byte 1 is not UTF-8"),
        ("person", b"{\"name\": 1}", "greet", "`person`, `name`: in `"),
        ("number/a", b"", "plain", "has no `result.json`"),
    ] {
        write(path, content);
        let (code, message, _) = call_with(&root, &[job], r#"{}"#);
        assert_eq!((code, message.contains(wrong)), (65, true), "{message}");
    }
    let (code, message, _) = call_with(&root, &["greet"], r#"{"person": {"name": "Ada", "years": [1]}}"#);
    assert_eq!((code, message.contains("`person` is given twice")), (65, true), "{message}");
}

#[test]
fn a_result_without_a_form_in_json_is_refused() {
    let (code, message, result) = call(&["no_json"], "");
    assert_eq!((code, result), (74, None));
    assert!(message.contains("key must be a string"), "{message}");
}

#[test]
fn an_unknown_job_gets_the_list() {
    let (code, message, _) = call(&["audit.wasm", "scna"], "");
    assert_eq!(code, 64);
    assert!(message.starts_with("error: this module has no job `audit.wasm`, nor `scna`\n"), "{message}");
    assert!(message.lines().any(|line| line.split_whitespace().eq(["greet", "Greets", "a", "person."])), "{message}");
    assert!(call(&[], "").1.starts_with("error: no job was named\n"));
}

#[test]
fn two_jobs_of_one_name_are_refused_before_any_runs() {
    let twin = Job { name: "twin", about: "", run: |_| Ok(Vec::new()) };
    let invocation =
        Invocation { arguments: vec!["twin".to_owned()], in_dir: "/nowhere".into(), out_dir: "/nowhere".into() };
    let refusal = invocation.run(&[&twin, &twin], || Ok(Vec::new())).expect_err("refused");
    assert_eq!((refusal.exit_code, refusal.message.as_str()), (70, "error: this module has two jobs named `twin`\n"));
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let invocation = Invocation {
        arguments: vec!["plain".to_owned()],
        in_dir: "/nowhere".into(),
        out_dir: "/nowhere/at/all".into(),
    };
    let refusal = invocation.run(&jobs(), || Ok(Vec::new())).expect_err("no such directory");
    assert_eq!(refusal.exit_code, 74);
    assert!(refusal.message.contains("failed to write the result to `/nowhere/at/all"), "{}", refusal.message);
}

#[test]
fn jobs_are_ordinary_functions() {
    assert_eq!(plain(Some(1)), 1);
    assert_eq!(greet(Person { name: "A".to_owned(), years: vec![4] }).expect("greeted"), "A 4 0");
}

#[derive(Outputs)]
struct Parts {
    odd: u64,
    even: u64,
}

/// Leaves a file, and returns several things.
#[job]
fn parted(dir: Dir, numbers: Vec<u64>) -> Result<Parts> {
    let mut names = String::new();
    for entry in dir.walk() {
        names += entry?.name();
    }
    out::write("list/names", names)?;
    let (odd, even) = numbers.iter().partition::<Vec<u64>, _>(|number| *number % 2 == 1);
    Ok(Parts { odd: odd.iter().sum(), even: even.iter().sum() })
}

#[job]
fn breaks() {
    panic!("on purpose");
}

#[test]
fn a_trial_is_a_call_with_inputs_from_memory() -> Result<()> {
    let person = serde_json::json!({ "name": "Ada9", "years": [1, 2] });
    assert_eq!(greet_trial().value("person", &person).run().result::<String>()?, "Ada9 1 9");
    // A value may be in a file as well, and what a job takes of files is given in memory.
    assert_eq!(greet_trial().file("person", person.to_string()).run().result::<String>()?, "Ada9 1 9");
    let tried = places_trial()
        .file("text", "grüß")
        .file("dir/b", "")
        .file("dir/a", "")
        .value("nested", serde_json::json!({}))
        .results("each", [("one", 1), ("two", 2)])
        .run();
    assert_eq!(tried.result::<String>()?, r#"grüß ["a", "b"] None None [("one", 1), ("two", 2)]"#);
    let tried = parted_trial().file("dir/x/y", "").value("numbers", [1, 2, 3]).run();
    assert_eq!((tried.result_named::<u64>("odd")?, tried.result_named::<u64>("even")?), (4, 2));
    assert_eq!(tried.out("list/names")?, b"y");
    assert!(tried.result::<String>().is_err() && tried.result_named::<String>("odd").is_err());
    silent_trial().run();
    Ok(())
}

#[test]
fn a_trial_tells_how_a_job_fails() {
    let tried = own_error_trial().run();
    assert_eq!((tried.exit_code(), tried.result::<()>().map_err(|error| error.to_string())), {
        (1, Err("it broke\n  caused by: an error occurred when formatting an argument".to_owned()))
    });
    let tried = places_trial().file("text", b"a\xff").run();
    assert_eq!(tried.exit_code(), 65);
    assert!(tried.message().contains("`text`: `/in/text` is no text: byte 1 is not UTF-8"), "{}", tried.message());
    // What a test does wrong ends it.
    let panicked = |wrong: fn()| {
        let panic = std::panic::catch_unwind(wrong).expect_err("it is wrong");
        panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|said| (*said).to_owned()))
    };
    let said = panicked(|| drop(places_trial().file("txt/a", "").run()));
    assert!(said.is_some_and(|said| said.contains("takes no `txt`: it takes [\"text\", \"dir\"")));
    assert!(panicked(|| drop(places_trial().file("dir/../x", "").run())).is_some());
    assert_eq!(panicked(|| drop(breaks_trial().run())).as_deref(), Some("on purpose"));
}
