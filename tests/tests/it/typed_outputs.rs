//! Jobs of the SDK that give several results: each is taken for itself, by its name and with its type.

use crate::support::TestSpace;

const PLAN: &str = r#"
    name = "several results"
    [modules.jobs]
    file = "sdk_outputs.wasm"
    [defaults]
    module = "jobs"
    [jobs.split]
    entry = "split"
    for-each = { text = "texts/*" }
    in = { "/in/text" = "{text}" }
    [jobs.join]
    entry = "join"
    in = { "/in/words" = { job = "split[a]", path = "short" } }
    save = { "result.json" = "saved/joined" }
    [jobs.sum]
    entry = "sum"
    in = { "/in/counts" = { jobs = "split", path = "count" } }
    save = { "result.json" = "saved/sum" }
    [jobs.long]
    entry = "long"
    in = { "/in/text" = "texts/a" }
    yields = "result.json"
    save = { "result.json" = "saved/long" }
    [jobs.short]
    entry = "short"
    in = { "/in/text" = "texts/a" }
    yields = "result.json"
    save = { "result.json" = "saved/short" }
    [jobs.pack]
    entry = "pack_all"
    in = { "/in/texts" = "texts" }
    yields = "result.json"
    save = { "result.json" = "saved/pack" }
    [jobs.some]
    entry = "sum_of"
    for-each = { prefix = ["a", "z"] }
    in = { "/in/texts" = "texts" }
    input = { prefix = "{prefix}" }
    yields = "result.json"
    save = { "result.json" = "saved/some-{prefix}" }
    [jobs.given]
    entry = "sum"
    input = { counts = { one = { words = 1 }, two = { words = 2 } } }
    save = { "result.json" = "saved/given" }
"#;

fn space(plan: &str) -> TestSpace {
    let space = TestSpace::new();
    space.guest("sdk_outputs").write("mill.toml", plan);
    space.write("texts/a", "one fifteen two").write("texts/b", "three");
    space
}

#[test]
fn one_of_several_results_is_taken_for_itself() {
    let space = space(PLAN);
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let saved = |name: &str| space.read(&format!("saved/{name}"));
    assert_eq!((saved("joined"), saved("sum")), ("\"one-two\"\n".to_owned(), "4\n".to_owned()));
    assert_eq!((saved("long"), saved("short")), ("[\"fifteen\"]\n".to_owned(), "\"one-two\"\n".to_owned()));
    assert_eq!(saved("pack"), "\"ONE FIFTEEN TWOa=ONE FIFTEEN TWOb=THREE\"\n");
    assert_eq!(
        (saved("some-a"), saved("some-z"), saved("given")),
        ("3\n".to_owned(), "0\n".to_owned(), "3\n".to_owned())
    );

    // Whoever takes a result that is as it was has nothing to do.
    space.write("texts/a", "one sixteen two");
    let again = space.jobs(&["--job", "join", "--job", "sum"]);
    assert_eq!(again.executed(), ["split[a]"]);
}

#[test]
fn results_are_checked_by_their_names() {
    let plan = r#"
    [modules.jobs]
    file = "sdk_outputs.wasm"
    [defaults]
    module = "jobs"
    [jobs.split]
    entry = "split"
    for-each = { text = "texts/*" }
    in = { "/in/text" = "{text}" }
    [jobs.whole]
    entry = "join"
    in = { "/in/words" = { job = "split[a]" } }
    [jobs.misspelt]
    entry = "join"
    in = { "/in/words" = { job = "split[a]", path = "shrot" } }
    [jobs.other]
    entry = "join"
    in = { "/in/words" = { job = "split[a]", path = "count" } }
    [jobs.written-by-itself]
    entry = "join"
    in = { "/in/words" = { job = "split[a]", path = "note.json" } }
    [jobs.in-its-file]
    entry = "join"
    in = { "/in/words" = { job = "split[a]", path = "long/result.json" } }
    [jobs.no-counts]
    entry = "sum"
    input = { counts = { one = 1 } }
    [jobs.each-file]
    entry = "sum"
    in = { "/in/counts" = { jobs = "split", path = "count/result.json" } }
    [jobs.each-whole]
    entry = "sum"
    in = { "/in/counts" = { jobs = "split" } }
"#;
    let space = space(plan);
    let checked = space.run(&["plan", "check"]);
    assert_eq!(checked.code, 102, "{checked:?}");
    insta::assert_snapshot!(checked.whole());
    let said = space.run(&["inspect", "sdk_outputs.wasm"]);
    let rest = said.stdout.split_once('\n').map(|(_, rest)| rest.to_owned()).expect("lines");
    insta::assert_snapshot!(rest);
}
