//! Looking after a store from the command line: putting in, getting out, pins, garbage, scrubbing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::TestSpace;

/// A plan whose jobs copy the files of `in`.
fn plan(space: &TestSpace, inputs: usize) {
    for index in 0..inputs {
        space.write(&format!("in/{index}"), format!("input {index} {}", "x".repeat(3_000)));
    }
    space.guest("copy").write(
        "mill.toml",
        r#"
            [modules.copy]
            file = "copy.wasm"
            [jobs.copy]
            module = "copy"
            for-each = { file = "in/*" }
            in = { "/in/leaf" = "{file}" }
        "#,
    );
}

fn json(space: &TestSpace, args: &[&str]) -> serde_json::Value {
    let said = space.run(&[args, &["--format", "json"]].concat());
    serde_json::from_str(said.stdout.lines().next().expect("a line")).expect("JSON")
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn what_is_put_can_be_had_again() {
    let space = TestSpace::new();
    space.write("tree/a", "first").write("tree/below/b", "second").write("file", "third");
    let put = space.run(&["put", "tree", "file"]);
    assert_eq!(put.code, 0, "{put:?}");
    let digests: Vec<&str> = put.stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(space.run(&["gc", "--grace", "0s"]).code, 0);
    assert_eq!(space.run(&["get", digests[1], "copy"]).code, 0);
    assert_eq!(space.read("copy"), "third");
    assert_eq!(space.run(&["get", "-r", digests[0], "there"]).code, 0);
    assert_eq!((space.read("there/a"), space.read("there/below/b")), ("first".to_owned(), "second".to_owned()));
    let wrong = space.run(&["get", "-r", digests[1], "nowhere"]);
    assert_eq!(wrong.code, 103, "{wrong:?}");
    assert!(wrong.stderr.contains("leave `--recursive` out"));
    assert_eq!(space.run(&["put", "nothing"]).code, 103);
    // Pins are listed, and go.
    let pins = space.run(&["pin"]).stdout;
    assert!(digests.iter().all(|digest| pins.contains(digest)) && pins.lines().count() == 2, "{pins}");
    assert_eq!(space.run(&["pin", "--remove", digests[0], digests[1]]).code, 0);
    assert_eq!(space.run(&["pin", "--remove", digests[0]]).code, 103);
    assert_eq!(space.run(&["gc", "--grace", "0s"]).code, 0);
    assert_eq!(space.run(&["cat", digests[1]]).code, 103);
}

#[test]
fn garbage_goes_and_what_the_latest_run_needs_stays() {
    let space = TestSpace::new();
    plan(&space, 40);
    assert!(space.jobs(&[]).all("succeeded", false));
    for index in 0..30 {
        fs::remove_file(space.path(&format!("in/{index}"))).unwrap();
    }
    assert!(space.jobs(&[]).all("succeeded", true));
    let before = json(&space, &["store"]);
    assert_eq!((before["actions"].as_u64(), before["runs"].as_u64()), (Some(40), Some(2)));
    let args = ["gc", "--keep-last", "1", "--keep-days", "0", "--grace", "0s"];
    let trial = json(&space, &[&args[..], &["--dry-run"]].concat());
    assert_eq!((trial["actions_removed"].as_u64(), trial["bytes_freed"].as_u64()), (Some(30), Some(0)));
    assert_eq!(json(&space, &["store"])["actions"], before["actions"]);
    let said = space.run(&args);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.starts_with("removed: 1 run, 30 results, "), "{}", said.stdout);
    let after = json(&space, &["store"]);
    assert_eq!((after["actions"].as_u64(), after["runs"].as_u64()), (Some(10), Some(1)));
    assert!(after["content_bytes"].as_u64() < before["content_bytes"].as_u64());
    assert!(space.jobs(&[]).all("succeeded", true), "the latest run's results are there");
    assert!(space.run(&["verify"]).stdout.contains("10 actions gave the same result again"));
    plan(&space, 40);
    let again = space.jobs(&[]);
    assert_eq!((again.executed().len(), again.by_name.len()), (30, 40));
}

#[test]
fn garbage_is_collected_once_a_day_without_being_asked() {
    let space = TestSpace::new();
    plan(&space, 5);
    assert!(space.jobs(&[]).all("succeeded", false));
    let epoch = space.path("store/GC");
    let a_day_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    fs::File::options().write(true).open(&epoch).unwrap().set_modified(a_day_ago).unwrap();
    assert!(space.jobs(&[]).all("succeeded", true));
    let modified = fs::metadata(&epoch).unwrap().modified().unwrap();
    assert!(modified.elapsed().unwrap().as_secs() < 3600, "nothing was collected");
    assert!(space.jobs(&[]).all("succeeded", true));
}

#[test]
fn what_the_disk_lost_is_found_and_computed_again() {
    let space = TestSpace::new();
    plan(&space, 12);
    // Old enough that their digests are remembered, and nothing is put again.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(space.jobs(&[]).all("succeeded", false));
    assert_eq!(space.run(&["scrub"]).code, 0);
    assert_eq!(space.run(&["doctor"]).code, 0);
    // A byte in the middle of each of the log's contents.
    let log = files_below(&space.path("store/log"));
    let segment = log.iter().find(|path| path.extension().is_some_and(|end| end == "seg")).unwrap();
    let mut bytes = fs::read(segment).unwrap();
    let hits: Vec<usize> = (0..bytes.len() - 20).filter(|at| bytes[*at..].starts_with(b"input 7 xxx")).collect();
    assert!(!hits.is_empty());
    hits.iter().for_each(|at| bytes[at + 50] ^= 1);
    fs::write(segment, bytes).unwrap();
    let scrubbed = space.run(&["scrub"]);
    assert_eq!(scrubbed.code, 107, "{scrubbed:?}");
    assert!(scrubbed.stdout.contains("lost: blob"), "{}", scrubbed.stdout);
    let mended = space.jobs(&[]);
    assert_eq!(mended.code, 0);
    assert_eq!(mended.executed(), ["copy[7]"]);
    assert_eq!(space.run(&["scrub"]).code, 0);
    assert!(space.jobs(&[]).all("succeeded", true));
    assert_eq!(space.run(&["doctor", "--repair"]).code, 0);
}

#[test]
fn parts_and_everything_can_be_looked_at() {
    let space = TestSpace::new();
    space.write("file", "0123456789").write("tree/a", "first");
    let digest = json(&space, &["put", "file"])["digest"].as_str().unwrap().to_owned();
    for (range, expected) in [("2..5", "234"), ("..3", "012"), ("7..", "789"), ("20..30", ""), ("..", "0123456789")] {
        assert_eq!(space.run(&["cat", &digest, "--range", range]).stdout, expected);
    }
    for range in ["3", "a..b", "-1..2"] {
        let refused = space.run(&["cat", &digest, "--range", range]);
        assert_eq!(refused.code, 101, "{refused:?}");
    }
    assert_eq!(space.run(&["put", "tree"]).code, 0);
    let listed = space.run(&["ls"]).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains(&format!("blob  {digest}            10")), "{listed}");
}

#[test]
fn a_store_is_tuned_on_the_command_line() {
    let space = TestSpace::new();
    space.write("text", "the same again and again\n".repeat(20_000)).write("small", "some text\n".repeat(900));
    let tuning = ["--store-compress", "--store-segment", "1MiB", "--store-logged", "64KiB", "--store-cache", "1GiB"];
    let put = space.run(&[&["put", "text", "small"], &tuning[..]].concat());
    assert_eq!(put.code, 0, "{put:?}");
    let format = fs::read_to_string(space.path("store/FORMAT")).unwrap();
    assert!(format.contains("segment-bytes 1048576") && format.contains("logged-bytes-max 65536"), "{format}");
    let file = files_below(&space.path("store/blobs"));
    assert!(file.len() == 1 && fs::metadata(&file[0]).unwrap().len() < 100_000, "{file:?}");
    // Whoever reads it need not know.
    let digest = put.stdout.split_whitespace().nth(1).unwrap();
    assert_eq!(space.run(&["cat", digest, "--range", "499990.."]).stdout, "and again\n");
    assert_eq!(space.run(&["get", digest, "out"]).code, 0);
    assert_eq!(fs::read(space.path("out")).unwrap(), fs::read(space.path("text")).unwrap());
    assert_eq!(space.run(&["scrub"]).code, 0);
    assert_eq!(space.run(&["store", "--store-cache", "9GiB"]).code, 101);
}

#[test]
fn a_damaged_index_is_made_anew_and_nothing_runs_again() {
    let space = TestSpace::new();
    plan(&space, 12);
    assert!(space.jobs(&[]).all("succeeded", false));
    let pinned = json(&space, &["put", "in/3"]);
    let index = space.path("store/index.redb");
    let len = usize::try_from(fs::metadata(&index).unwrap().len()).unwrap();
    fs::write(&index, vec![0x5a; len]).unwrap();
    let refused = space.run(&["store"]);
    assert_eq!(refused.code, 104);
    assert!(refused.stderr.contains("wasmill doctor --repair"), "{}", refused.stderr);
    let repaired = space.run(&["doctor", "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(repaired.stdout.contains("made anew"), "{}", repaired.stdout);
    assert!(space.jobs(&[]).all("succeeded", true));
    assert_eq!(json(&space, &["pin"])["digest"], pinned["digest"]);
    assert_eq!(space.run(&["runs"]).code, 0);
}

#[test]
fn a_damaged_output_is_told_as_such_and_computed_again() {
    let space = TestSpace::new();
    space.guest("copy").write("large", vec![7; 3 << 20]).write(
        "mill.toml",
        r#"modules = { copy = { file = "copy.wasm" } }
        [jobs.copy]
        module = "copy"
        in = { "/in/leaf" = "large" }
        save = { "result" = "out" }"#,
    );
    assert!(space.jobs(&[]).all("succeeded", false));
    fs::remove_file(space.path("out")).unwrap();
    let blobs = files_below(&space.path("store/blobs"));
    assert_eq!(blobs.len(), 1, "the file and its copy are the same");
    let mut content = fs::read(&blobs[0]).unwrap();
    content[1 << 20] ^= 1;
    // It may be linked to, and may not be written.
    fs::remove_file(&blobs[0]).unwrap();
    fs::write(&blobs[0], content).unwrap();
    let said = space.run(&["run"]);
    assert_eq!(said.code, 100, "{said:?}");
    let hint = "run it again: what the store has lost is computed anew";
    assert!(said.stderr.contains(hint) && !said.stderr.contains("--retry-failed"), "{}", said.stderr);
    assert!(space.jobs(&[]).all("succeeded", false));
    assert_eq!(fs::read(space.path("out")).unwrap(), vec![7; 3 << 20]);
}

#[test]
fn damage_to_the_index_is_told_in_words() {
    let space = TestSpace::new();
    plan(&space, 12);
    assert!(space.jobs(&[]).all("succeeded", false));
    let index = space.path("store/index.redb");
    let good = fs::read(&index).unwrap();
    let used = (4096..good.len()).step_by(4096).filter(|at| good[*at..*at + 4096].iter().any(|byte| *byte != 0));
    let mut refused = 0;
    for at in used.take(24) {
        for (from, byte) in [(at, 0x5a), (at + 2, 0xff)] {
            let mut damaged = good.clone();
            damaged[from..at + 64].fill(byte);
            fs::write(&index, damaged).unwrap();
            let said = space.run(&["run"]);
            assert!([0, 104].contains(&said.code) && !said.stderr.contains("panicked at"), "{at}: {said:?}");
            refused += usize::from(said.code == 104);
            let said = space.run(&["doctor"]);
            assert!([0, 104, 107].contains(&said.code) && !said.stderr.contains("panicked at"), "{at}: {said:?}");
            assert!(said.code == 0 || !said.stdout.contains("everything goes together"), "{at}: {said:?}");
        }
    }
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn stores_of_earlier_formats_are_migrated() {
    for format in 1..3 {
        a_store_is_migrated(format);
    }
}

fn a_store_is_migrated(format: u32) {
    let space = TestSpace::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/storage/src/tests/fixtures");
    let fixture = fixtures.join(format!("format-{format}"));
    for file in files_below(&fixture) {
        let to = space.path("store").join(file.strip_prefix(&fixture).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let refused = space.run(&["runs"]);
    assert_eq!(refused.code, 104);
    assert!(refused.stderr.contains("wasmill doctor --migrate"), "{}", refused.stderr);
    let migrated = json(&space, &["doctor", "--migrate"]);
    assert_eq!((&migrated["actions"], &migrated["blobs"]), (&20.into(), &24.into()));
    assert_eq!(space.run(&["doctor"]).code, 0);
    assert_eq!(json(&space, &["store"])["actions"], 20);
    assert!(space.run(&["doctor", "--migrate"]).stdout.contains("already"));
}
