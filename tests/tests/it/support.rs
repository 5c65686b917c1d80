//! A folder for one test, the real program in it, and what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The folder of one test: plans, inputs, a store. Gone when the test is.
pub(crate) struct TestSpace {
    dir: tempfile::TempDir,
}

/// How the program ended and what it said, with the folder's path replaced by `[dir]`.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestSpace {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("wasmill-test-").tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file, and the folders that lead to it.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        std::fs::write(path, content).expect("files can be written");
        self
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Copies a guest program to `NAME.wasm`.
    pub(crate) fn guest(&self, name: &str) -> &Self {
        self.write(&format!("{name}.wasm"), std::fs::read(guest(name)).expect("guests are built"))
    }

    /// The program with this folder's store, to be started in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        self.isolate(&mut command);
        command
    }

    /// Has a command work with this folder's store, and with nothing that whoever runs the tests has set for themselves.
    pub(crate) fn isolate(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("WASMILL_") && !name.starts_with("WASMILL_GUEST")) {
                command.env_remove(name);
            }
        }
        command.env("WASMILL_STORE", self.path("store")).env("WASMILL_CONFIG", "").env("NO_COLOR", "1");
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.said(&self.command(args).output().expect("the program starts"))
    }

    pub(crate) fn said(&self, output: &Output) -> Said {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.dir.path().display().to_string(), "[dir]");
            text.replace("\r\n", "\n")
        };
        let code = output.status.code().unwrap_or(-1);
        Said { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Runs with `--format json` and returns the events.
    pub(crate) fn events(&self, args: &[&str]) -> (i32, Vec<Value>) {
        let said = self.run(&[args, &["--format", "json"]].concat());
        let events = said.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        (said.code, events)
    }

    /// Executes the plan and returns each job's status, whether it was cached, and the summary's counts.
    pub(crate) fn jobs(&self, args: &[&str]) -> Jobs {
        let (code, events) = self.events(&[&["run"], args].concat());
        let jobs = events.iter().filter(|event| event["event"] == "job-finished");
        let jobs = jobs.map(|job| {
            let text = |key: &str| job[key].as_str().expect("a text").to_owned();
            (text("job"), (text("status"), job["cached"].as_bool().expect("a bool"), job.clone()))
        });
        Jobs { code, by_name: jobs.collect() }
    }
}

/// What became of each job.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) code: i32,
    pub(crate) by_name: std::collections::BTreeMap<String, (String, bool, Value)>,
}

impl Jobs {
    /// The names of the jobs that were executed, not taken from the cache.
    pub(crate) fn executed(&self) -> Vec<&str> {
        let executed = self.by_name.iter().filter(|(_, (status, cached, _))| status == "succeeded" && !cached);
        executed.map(|(name, _)| name.as_str()).collect()
    }

    /// The status of a job.
    pub(crate) fn status(&self, job: &str) -> &str {
        &self.by_name.get(job).unwrap_or_else(|| panic!("no job {job} in {self:#?}")).0
    }

    pub(crate) fn all(&self, status: &str, cached: bool) -> bool {
        self.by_name.values().all(|job| job.0 == status && job.1 == cached)
    }

    pub(crate) fn output_digest(&self, job: &str) -> String {
        self.by_name[job].2["result"]["output"]["digest"].as_str().expect("a digest").to_owned()
    }
}

impl Said {
    /// Everything at once, for snapshots.
    pub(crate) fn whole(&self) -> String {
        format!("exit code {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

fn from_environment(name: &str) -> PathBuf {
    let found = std::env::var_os(name);
    PathBuf::from(found.unwrap_or_else(|| panic!("{name} is not set: run the tests with `cargo xtask test`")))
}

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    from_environment("WASMILL_BIN")
}

/// The module of a guest program from `tests/guests`.
pub(crate) fn guest(name: &str) -> PathBuf {
    from_environment("WASMILL_TEST_GUESTS").join(format!("{name}.wasm"))
}

/// A program that is not written in Rust; none where its compiler could not be had, which `cargo xtask test` has said.
pub(crate) fn foreign(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("WASMILL_TEST_FOREIGN")?).join(format!("{name}.wasm")))
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository")
}
