//! Jobs of every shape, called through the protocol.
//!
//! Owns: what `#[job]` accepts, and what each kind of call leaves behind. Does not know: WebAssembly; the same
//! program on a real WASI host is the business of the integration tests.
#![expect(clippy::needless_pass_by_value, reason = "a job owns its input, even where it only reads it")]

use std::fmt;

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
fn r#match(_: ()) -> Result<&'static str, Box<dyn std::error::Error>> {
    Ok("raw")
}

#[job]
fn no_json() -> std::collections::BTreeMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

/// Calls the module and gives the exit code, the message and the result file.
fn call(arguments: &[&str], input: &str) -> (u8, String, Option<String>) {
    let out = tempfile::tempdir().expect("a temporary directory");
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let invocation = Invocation { arguments, out_dir: out.path().to_owned() };
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
    gives(&["greet"], r#"{"name": "Ada9", "years": [1, 2]}"#, "\"Ada9 1 9\"\n");
    gives(&["match"], "null", "\"raw\"\n");
    gives(&["plain"], "3", "3\n");
}

#[test]
fn no_input_is_null() {
    gives(&["plain"], "", "7\n");
    gives(&["plain"], " \n", "7\n");
}

#[test]
fn unit_leaves_no_result() {
    assert_eq!(call(&["silent"], ""), (0, String::new(), None));
}

#[test]
fn the_first_argument_is_tried_where_the_program_name_is_no_job() {
    gives(&["audit.wasm", "plain"], "3", "3\n");
    gives(&["plain", "greet"], "3", "3\n");
}

#[test]
fn a_jobs_error_comes_with_its_causes() {
    let person = r#"{"name": "Ada", "years": []}"#;
    fails(&["greet"], person, 1, "error: no years\n");
    let broken = "error: it broke\n  caused by: an error occurred when formatting an argument\n";
    fails(&["own_error"], "", 1, broken);
}

#[test]
fn an_aliased_result_is_still_a_result() {
    gives(&["alias"], "\"12\"", "12\n");
    fails(&["alias"], "\"x\"", 1, "error: `x`: invalid digit found in string\n");
}

#[test]
fn an_input_that_does_not_fit_is_told_with_its_path() {
    let lead = "error: the input does not fit the job";
    let (code, message, _) = call(&["greet"], r#"{"name": "Ada", "years": [1, "two"]}"#);
    assert_eq!(code, 65);
    assert!(message.starts_with(&format!("{lead} `greet`\n  caused by: `years[1]`: invalid type")), "{message}");
    let (code, message, _) = call(&["plain"], "3 4");
    assert_eq!((code, message.contains("trailing characters")), (65, true), "{message}");
    let refused = format!("{lead} `silent`\n  caused by: the job takes no input, but was given one\n");
    fails(&["silent"], "{}", 65, &refused);
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
    assert!(message.contains("\n  greet      Greets a person.\n"), "{message}");
    assert!(call(&[], "").1.starts_with("error: no job was named\n"));
}

#[test]
fn two_jobs_of_one_name_are_refused_before_any_runs() {
    let twin = Job { name: "twin", about: "", run: |_| Ok(None) };
    let invocation = Invocation { arguments: vec!["twin".to_owned()], out_dir: "/nowhere".into() };
    let refusal = invocation.run(&[&twin, &twin], || Ok(Vec::new())).expect_err("refused");
    assert_eq!((refusal.exit_code, refusal.message.as_str()), (70, "error: this module has two jobs named `twin`\n"));
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let invocation = Invocation { arguments: vec!["plain".to_owned()], out_dir: "/nowhere/at/all".into() };
    let refusal = invocation.run(&jobs(), || Ok(Vec::new())).expect_err("no such directory");
    assert_eq!(refusal.exit_code, 74);
    assert!(refusal.message.contains("failed to write the result to `/nowhere/at/all"), "{}", refusal.message);
}

#[test]
fn jobs_are_ordinary_functions() {
    assert_eq!(plain(Some(1)), 1);
    assert_eq!(greet(Person { name: "A".to_owned(), years: vec![4] }).expect("greeted"), "A 4 0");
}
