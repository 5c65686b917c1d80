//! Python scripts as modules of a plan: functions as jobs, and whole scripts.

use crate::support::{Said, TestSpace, foreign};

const SCRIPT: &str = r#"
import logging
from dataclasses import dataclass
from pathlib import Path

import wasmill


@dataclass
class Options:
    letters_min: int
    case: str = "kept"


@dataclass
class Counts:
    words: int
    lines: int


def count(text: str, options: Options | None = None) -> Counts:
    """Counts the words of a text."""
    least = options.letters_min if options else 1
    wasmill.progress(1, 1)
    logging.info("at least %d", least)
    words = [word for word in text.split() if len(word) >= least]
    return Counts(len(words), text.count("\n"))


def total(counts: wasmill.Each[dict], texts: Path, *, note="none") -> dict:
    """Adds up what every `count` found."""
    words = {name: count["words"] for name, count in counts}
    return {"words": words, "sum": sum(words.values()), "texts": len(list(texts.iterdir())), "note": note, "ß": [1.5, None]}


def plan(texts: Path):
    """A plan that counts each text, in jobs of this script."""
    jobs = {text.name: {"entry": "count", "in": {"/in/text": {"input": str(text)}}} for text in texts.iterdir()}
    mounts = {f"/in/counts/{name}": {"job": name} for name in jobs} | {"/in/texts": {"input": "/in/texts"}}
    jobs["total"] = {"entry": "total", "in": mounts, "input": {"note": "planned"}}
    return {"jobs": jobs, "result": {"job": "total"}}


def raises(at: int):
    return _helper(at)


def _helper(at):
    return [1, 2, 3][at]


def nan():
    return {"x": float("nan")}


def number(value):
    return value["words"]


def nothing():
    pass


from functools import lru_cache, wraps
from typing import ClassVar, Optional


@dataclass
class Inner:
    n: int


@dataclass
class Outer:
    inner: Inner
    count: "Optional[Inner]" = None
    kind: ClassVar[str] = "outer"


def shouted(function):
    @wraps(function)
    def shouting(*args, **kwargs):
        return function(*args, **kwargs).upper()

    return shouting


@shouted
def odd(text: Optional[str], outer: Outer, first, /, *, said: str, each: wasmill.Each):
    assert isinstance(outer.inner, Inner) and isinstance(outer.count, Inner) and first == 1
    return f"{text}{outer.inner.n}{outer.count.n}{said}{list(each)}"


@lru_cache
def says():
    wasmill.log("é" * 6000)
    return Outer(Inner(1))


def surrogate():
    return "\ud800"


async def later():
    return 1


if __name__ == "__main__":
    print("a script")
"#;

const PLAN: &str = r#"
    name = "python"
    [modules]
    words = { python = "scripts/words.py" }
    report = { python = "report.py", interpreter = "python.wasm" }
    random = { python = "scripts/random.py" }
    [defaults]
    module = "words"
    [jobs.count]
    entry = "count"
    for-each = { text = "texts/*" }
    in = { "/in/text" = "{text}" }
    input = { options = { letters_min = 2 } }
    [jobs.total]
    entry = "total"
    in = { "/in/counts" = { jobs = "count" }, "/in/texts" = "texts" }
    save = { "result.json" = "saved/total" }
    [jobs.plan]
    entry = "plan"
    in = { "/in/texts" = "texts" }
    yields = "result.json"
    save = { "result.json" = "saved/plan" }
    [jobs.number]
    entry = "number"
    in = { "/in/value" = { job = "count[a]" } }
    save = { "result.json" = "saved/number" }
    [jobs.report]
    module = "report"
    args = ["of", "{{this}}"]
    in = { "/in/total" = { job = "total", path = "result.json" }, "/wasmill/helpers.py" = "scripts/helpers.py" }
    save = { "report.txt" = "saved/report" }
    [jobs.odd]
    entry = "odd"
    in = { "/in/text" = { text = "t" }, "/in/said" = { job = "gives" } }
    input = { outer = { inner = { n = 1 }, count = { n = 2 } }, first = 1, each = { ab = 1, cd = 2 } }
    save = { "result.json" = "saved/odd" }
    [jobs.gives]
    entry = "raises"
    module = "random"
    [jobs.says]
    entry = "says"
    save = { "result.json" = "saved/says" }
    [jobs.whole]
"#;

/// A folder with scripts, and CPython as the plan looks for it.
fn space(plan: &str) -> Option<TestSpace> {
    let python = foreign("python")?;
    let space = TestSpace::new();
    // As a link: the module is large.
    if std::fs::hard_link(&python, space.path("python.wasm")).is_err() {
        std::fs::copy(&python, space.path("python.wasm")).expect("a copy");
    }
    space
        .write("mill.toml", plan)
        .write("scripts/words.py", SCRIPT)
        .write("texts/a", "one two a\n")
        .write("texts/b", "");
    space.write("scripts/helpers.py", "def line(total):\n    return f\"{total['sum']} words\\n\"\n");
    // A name that the standard library has as well.
    space.write("scripts/random.py", "import random\ndef raises():\n    return 'r' if random.random() >= 0 else 's'\n");
    space.write(
        "report.py",
        "import json, sys\nfrom helpers import line\ntotal = json.load(open('/in/total'))\n\
         open('/out/report.txt', 'w').write(' '.join(sys.argv[1:]) + ': ' + line(total))\n",
    );
    Some(space)
}

/// In one store: compiling CPython takes longer than all else.
#[test]
fn functions_and_scripts_are_jobs() {
    let Some(space) = space(PLAN) else { return };
    they_give_and_take(&space);
    they_fail_in_words(&space);
}

fn they_give_and_take(space: &TestSpace) {
    let jobs = space.jobs(&[]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let saved = |name: &str| space.read(&format!("saved/{name}"));
    assert_eq!(
        saved("total"),
        "{\"words\":{\"a\":2,\"b\":0},\"sum\":2,\"texts\":2,\"note\":\"none\",\"ß\":[1.5,null]}\n"
    );
    assert!(saved("plan").contains("{\"a\":3,\"b\":0},\"sum\":3") && saved("plan").contains("planned"));
    assert_eq!((saved("number"), saved("report")), ("2\n".to_owned(), "of {this}: 2 words\n".to_owned()));
    assert_eq!(saved("odd"), "\"T12R[('AB', 1), ('CD', 2)]\"\n");
    assert_eq!(saved("says"), "{\"inner\":{\"n\":1},\"count\":null}\n");
    assert!(space.run(&["show", "1", "says"]).stdout.contains("said         info: ééé"));
    let stdout = jobs.by_name["whole"].2["result"]["stdout"]["digest"].as_str().expect("a digest");
    assert_eq!(space.run(&["cat", stdout]).stdout, "a script\n");
    let said = space.run(&["show", "1", "count[a]"]).stdout;
    assert!(said.contains("said         info: at least 2"), "{said}");

    // The script is an input like any other.
    assert!(space.jobs(&[]).all("succeeded", true));
    space.write("report.py", "import sys\nopen('/out/report.txt', 'w').write('other')\n");
    assert_eq!(space.jobs(&[]).executed(), ["report"]);
    let checked = space.run(&["plan", "check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
}

fn they_fail_in_words(space: &TestSpace) {
    let plan = r#"
    [modules]
    words = { python = "scripts/words.py" }
    [defaults]
    module = "words"
    [jobs.raises]
    entry = "raises"
    input = { at = 3 }
    [jobs.misspelt]
    entry = "cuont"
    [jobs.nan]
    entry = "nan"
    [jobs.missing]
    entry = "count"
    [jobs.unknown]
    entry = "nothing"
    input = { x = 1 }
    [jobs.twice]
    entry = "raises"
    in = { "/in/at" = { text = "1" } }
    input = { at = 1 }
    [jobs.binary]
    entry = "count"
    in = { "/in/text" = "binary" }
    [jobs.field]
    entry = "count"
    in = { "/in/text" = "texts/a" }
    input = { options = { letters = 2 } }
    [jobs.list]
    entry = "nothing"
    input = [1]
    [jobs.nothing]
    entry = "nothing"
"#;
    space.write("mill.toml", plan).write("binary", [0xff, 0xfe]);
    let said = space.run(&["run", "--keep-going", "--jobs", "1"]);
    assert_eq!(said.code, 100, "{said:?}");
    // The last lines say how long it took.
    let failures = said.stderr.split("[10/10]").next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(failures);
    assert!(said.stderr.contains("1 of 10 jobs succeeded"), "{said:?}");

    let plan = r#"
    [modules]
    words = { python = "scripts/words.py" }
    [defaults]
    module = "words"
    [jobs.surrogate]
    entry = "surrogate"
    [jobs.later]
    entry = "later"
    [jobs.each-number]
    entry = "total"
    in = { "/in/texts" = "texts" }
    input = { counts = 7 }
"#;
    let said = space.write("mill.toml", plan).run(&["run", "--keep-going"]);
    for why in [
        "`later` of words.py is no job: a job is a function that returns its result, neither async nor a generator",
        "the result cannot be written as JSON: 'utf-8' codec can't encode character '\\ud800'",
        "`counts`: it is neither a directory of results nor an object with a value for each name",
    ] {
        assert!(said.stderr.contains(why), "{}", said.stderr);
    }
}

#[test]
fn what_is_no_script_is_refused() {
    let space = TestSpace::new();
    let check = |plan: &str| -> Said {
        space.write("mill.toml", plan);
        space.run(&["plan", "check"])
    };
    let said = check(
        r#"
    [modules]
    own = { python = "scripts/wasmill.py" }
    other = { python = "words.rb" }
    two = { python = "a.py", file = "python.wasm" }
    alone = { interpreter = "python.wasm" }
    words = { python = "words.py" }
    [jobs.batched]
    module = "words"
    entry = "count"
    for-each = { x = ["a", "b"] }
    batch = 2
    [jobs.over]
    module = "words"
    in = { "/wasmill/words.py" = "other.py" }
"#,
    );
    assert_eq!(said.code, 102, "{said:?}");
    insta::assert_snapshot!(said.whole());
    check("[modules]\nwords = { python = \"words.py\" }\n[jobs.a]\nmodule = \"words\"\n");
    let said = space.run(&["run"]);
    assert!(said.code == 103 && said.stderr.contains("CPython for WASI"), "{said:?}");
}
