//! `examples/text-index` over the project's own documentation, and over texts whose every score is known.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{TestSpace, repository};

/// A manual page: `fuel - burn the limit`.
const PAGE_GZ: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xd3\x0b\xf1Pp\x0bu\xf5Q0\xe4\xd2\x0b\xf6P\xf0s\xf4u\xe5J+M\xcdQ\x88\xd1UH*-\xcaS(\xc9HU\xc8\xc9\xcc\xcd,\xe1\x02\x00L\x0aS\xc0+\x00\x00\x00";

/// Queries as the plan has them, and as words in a row.
const QUERIES: [(&str, &[&[&str]]); 6] = [
    ("fuel limit", &[&["fuel"], &["limit"]]),
    ("caus*", &[&["caus*"]]),
    ("for-each job", &[&["for", "each"], &["job"]]),
    ("\"the LIMIT\"", &[&["the", "limit"]]),
    ("txt odd", &[&["txt"], &["odd"]]),
    ("unicorn*", &[&["unicorn*"]]),
];

/// The example's plan with something changed, the guest still where it is.
fn plan(changes: &[(&str, &str)]) -> String {
    let example = repository().join("examples/text-index");
    let plan = std::fs::read_to_string(example.join("mill.toml")).unwrap();
    let guest = format!("crate = '{}'", example.join("guest").display());
    let mut plan = plan.replace("crate = \"guest\"", &guest);
    for (from, to) in changes {
        assert!(plan.contains(from), "{from} is not in the plan");
        plan = plan.replace(from, to);
    }
    plan
}

fn answers(space: &TestSpace, path: &str) -> Value {
    serde_json::from_str(&space.read(&format!("{path}/target/answers.json"))).unwrap()
}

#[test]
fn text_index_finds_what_is_there_and_indexes_only_what_changed() {
    let space = TestSpace::new();
    documentation(&space);
    texts(&space);
}

/// The plan as it is, over the documentation as it is.
fn documentation(space: &TestSpace) {
    let mut pages = 3;
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        space.write(name, std::fs::read(repository().join(name)).unwrap());
    }
    for folder in ["docs", "docs/design"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                pages += 1;
                space.write(&format!("{folder}/{}", name(&path)), std::fs::read(&path).unwrap());
            }
        }
    }
    let at = "examples/text-index";
    space.write(&format!("{at}/mill.toml"), plan(&[]));
    let queries = std::fs::read_to_string(repository().join(at).join("queries.txt")).unwrap();
    space.write(&format!("{at}/queries.txt"), &queries);
    let jobs = space.jobs(&[at]);
    assert_eq!(jobs.code, 0, "{jobs:#?}");
    let found = answers(space, at);
    assert_eq!(found["contents"]["documents"], pages);
    let asked: Vec<_> = found["answers"].as_array().unwrap().iter().map(|answer| &answer["query"]).collect();
    assert_eq!(asked, queries.lines().collect::<Vec<_>>(), "in their order");
    let hit = found["answers"].as_array().unwrap().iter().find(|answer| answer["query"] == "for-each").unwrap();
    assert!(hit["hits"].to_string().contains("docs/plan.md"), "{hit}");
    assert!(space.jobs(&[at]).all("succeeded", true));
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Texts made for this, so that what is to be found is known.
fn texts(space: &TestSpace) {
    let corpus = write_corpus(space);
    let from = plan(&[]);
    let from = &from[from.find("\"/in/corpus/docs\"").unwrap()..from.find("# How many shards").unwrap()];
    space.write("small/mill.toml", plan(&[(from, "\"/in/corpus\" = \"corpus\"\n\n"), ("32768", "1000")]));
    space.write("small/queries.txt", QUERIES.map(|(query, _)| query).join("\n\n"));
    let first = space.jobs(&["small"]);
    assert_eq!(first.code, 0, "{first:#?}");
    let shards = first.executed().iter().filter(|job| job.starts_with("index[")).count();
    assert!(shards > 4, "{first:#?}");

    let found = answers(space, "small");
    check_scores(&found, &corpus);
    let left_out: Vec<_> = found["contents"]["left_out"].as_array().unwrap().iter().collect();
    let paths: Vec<_> = left_out.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["broken.gz", "latin.txt", "picture.png"]);
    assert_eq!(left_out[1]["why"], "not UTF-8: byte 3");
    let page = space.read("small/target/answers.html");
    assert!(page.contains("<mark>fuel</mark>") && page.contains("&lt;b&gt;") && !page.contains("<b> limit"), "{page}");
    assert!(space.read("small/target/answers.txt").contains("«fuel»"));

    // Everything comes about again: from nothing, and on the other engine.
    let (code, events) = space.events(&["verify", "--engine", "pulley"]);
    assert_eq!((code, events.last().unwrap()["same"].as_u64()), (0, Some(first.by_name.len() as u64)), "{events:#?}");
    assert!(space.jobs(&["small"]).all("succeeded", true));

    // One text changes: its shard, and what is made of all of them.
    space.write("small/corpus/notes/3.txt", corpus["notes/3.txt"].1.replace("fuel", "odds"));
    let jobs = space.jobs(&["small"]);
    let (indexed, others): (Vec<_>, Vec<_>) = jobs.executed().into_iter().partition(|job| job.starts_with("index["));
    assert_eq!((indexed.len(), others.len()), (1, 3 + QUERIES.len()), "{indexed:?} {others:?}");

    // One query changes.
    space.write("small/queries.txt", QUERIES.map(|(query, _)| query).join("\n").replace("unicorn*", "job"));
    assert_eq!(space.jobs(&["small"]).executed(), ["page", "query[job]"]);

    // A corpus without a file has an index without a document.
    std::fs::remove_dir_all(space.path("small/corpus")).unwrap();
    std::fs::create_dir(space.path("small/corpus")).unwrap();
    let jobs = space.jobs(&["small"]);
    assert!(jobs.code == 0 && jobs.executed().contains(&"index[all]"), "{jobs:#?}");
    let found = answers(space, "small");
    assert_eq!((&found["contents"]["documents"], &found["contents"]["terms"]), (&0.into(), &0.into()));
    assert!(found["answers"].as_array().unwrap().iter().all(|answer| answer["documents"] == 0));
}

/// Writes texts, and files that are none. Returns the title and the text of each that can be searched.
fn write_corpus(space: &TestSpace) -> BTreeMap<String, (String, String)> {
    let words = ["fuel", "limit", "the", "job", "for", "each", "Cause", "causing", "memory", "of", "a", "byte", "txt"];
    let mut corpus = BTreeMap::new();
    let mut random = 1u32;
    for number in 0..30 {
        let mut text = String::new();
        for _ in 0..20 + number * 3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Some words are rarer than others.
            let word = ((random >> 24) * (random >> 16 & 0xff)) as usize * words.len();
            text.push_str(words[word >> 16]);
            text.push_str([" ", ", ", "\n", " <b> "][(random >> 14 & 3) as usize]);
        }
        corpus.insert(format!("notes/{number}.txt"), (format!("{number}.txt"), text));
    }
    let odd = "# The odd limit\n\nFor each `job`, for-each.\n".to_owned();
    corpus.insert("odd dir/{a} [b] 'c' é.md".to_owned(), ("The odd limit".to_owned(), odd));
    for (path, (_, text)) in &corpus {
        space.write(&format!("small/corpus/{path}"), text);
    }
    space.write("small/corpus/man1/fuel.1.gz", PAGE_GZ);
    let title = "fuel - burn the limit".to_owned();
    corpus.insert("man1/fuel.1.gz".to_owned(), (title.clone(), format!("NAME {title}")));
    space.write("small/corpus/picture.png", b"\x89PNG\0");
    space.write("small/corpus/latin.txt", b"caf\xe9 noir");
    space.write("small/corpus/broken.gz", b"fuel");
    corpus
}

/// Looks for each query in every text, and compares what is found.
fn check_scores(found: &Value, corpus: &BTreeMap<String, (String, String)>) {
    assert_eq!(found["contents"]["documents"], corpus.len());
    let words = |text: &str| {
        let text = text.to_lowercase();
        text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let texts: BTreeMap<&str, (Vec<String>, Vec<String>)> =
        corpus.iter().map(|(path, (title, text))| (path.as_str(), (words(title), words(text)))).collect();
    let all: usize = texts.values().map(|(_, text)| text.len()).sum();
    assert_eq!(found["contents"]["words"], all);
    let average = all as f64 / texts.len() as f64;
    for ((query, clauses), answer) in QUERIES.iter().zip(found["answers"].as_array().unwrap()) {
        assert_eq!(answer["query"], *query);
        let mut scores = BTreeMap::<&str, f64>::new();
        for (clause, said) in clauses.iter().zip(answer["clauses"].as_array().unwrap()) {
            let with = texts.values().filter(|(_, text)| count(text, clause) > 0).count();
            assert_eq!(said["documents"], with, "{said} of {query}");
            let rarity = (1.0 + (texts.len() as f64 - with as f64 + 0.5) / (with as f64 + 0.5)).ln();
            for (path, (title, text)) in texts.iter().filter(|(_, (_, text))| count(text, clause) > 0) {
                let (often, length) = (count(text, clause) as f64, text.len() as f64 / average);
                let twice = if count(title, clause) > 0 { 2.0 } else { 1.0 };
                *scores.entry(path).or_default() +=
                    twice * rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length));
            }
        }
        assert_eq!(answer["documents"], scores.len(), "{query}");
        let mut ranked: Vec<_> = scores.into_iter().collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
        let hits = answer["hits"].as_array().unwrap();
        assert_eq!(hits.len(), ranked.len().min(10), "{query}");
        for (hit, (path, score)) in hits.iter().zip(ranked) {
            assert_eq!(hit["path"], path, "{query}: {hit}");
            assert!((hit["score"].as_f64().unwrap() - score).abs() < 1e-9, "{hit} should have {score}");
            assert!(hit["snippet"].as_array().unwrap().iter().any(|piece| piece["hit"] == true), "{hit}");
        }
    }
}

/// How often some words are in a row.
fn count(words: &[String], row: &[&str]) -> usize {
    let is = |word: &String, wanted: &&str| match wanted.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == wanted,
    };
    words.windows(row.len()).filter(|words| words.iter().zip(row).all(|(word, wanted)| is(word, wanted))).count()
}
