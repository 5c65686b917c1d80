//! Trying a job in a test, as wasmill runs it.
//!
//! Owns: laying out in a folder what the job is given, and what of it can be asked afterwards. Does not know: jobs, or the sandbox: it is
//! this machine's program that runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmill_abi::{IN_DIR, OUT_DIR, RESULT_FILE};

use crate::command::{Invocation, jobs};
use crate::error::{Context as _, Error, Result};
use crate::{json, root};

/// A call of a job with inputs from memory. Values are read and results written as in the sandbox, so a test sees what a plan would: fields
/// that do not fit, a result's form, files in `/out`, exit codes. `#[job] fn count(…)` comes with `count_trial()`, in programs that are not
/// WebAssembly.
///
/// ```
/// use wasmill_sdk::prelude::*;
///
/// /// Counts the lines of a text that are long enough.
/// #[job]
/// fn lines(text: Text, least: usize) -> usize {
///     text.lines().filter(|line| line.len() >= least).count()
/// }
///
/// let tried = lines_trial().file("text", "a\nlonger\nlongest\n").value("least", 2).run();
/// assert_eq!(tried.result::<usize>()?, 2);
/// let tried = lines_trial().file("text", "").value("least", "two").run();
/// assert_eq!(tried.exit_code(), 65);
/// assert!(tried.message().contains("`least`: invalid type: string \"two\", expected usize"));
/// # Ok::<(), wasmill_sdk::Error>(())
/// ```
///
/// What a trial cannot do, because a test is wrong or has no disk to work on, it panics over, as assertions do.
#[derive(Debug)]
#[must_use = "a trial does nothing until it is run"]
pub struct Trial {
    job: &'static str,
    takes: &'static [&'static str],
    /// The values of parameters, as JSON.
    input: Vec<(String, Vec<u8>)>,
    folder: Folder,
}

impl Trial {
    /// One of a job that takes these parameters.
    #[doc(hidden)]
    #[track_caller]
    pub fn new(job: &'static str, takes: &'static [&'static str]) -> Self {
        let folder = Folder::new();
        for dir in [IN_DIR, OUT_DIR] {
            fs::create_dir(folder.at(dir)).expect("a trial's folder can be written");
        }
        Self { job, takes, input: Vec::new(), folder }
    }

    /// Gives a parameter a value, as a plan's `input` does.
    ///
    /// # Panics
    /// The job has no such parameter, or the value has no form in JSON.
    #[track_caller]
    pub fn value(mut self, parameter: &str, value: impl Serialize) -> Self {
        self.check(parameter);
        let value = json::to_vec(&value).expect("a value for JSON");
        self.input.push((parameter.to_owned(), value));
        self
    }

    /// Puts a file at a path below `/in`, as a plan's `in` does: a parameter's name, or a file in a directory that is a parameter.
    ///
    /// # Panics
    /// The job has no such parameter, or the path leaves it.
    #[track_caller]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.check(path.split('/').next().unwrap_or(path));
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "`{path}` is no path below `{IN_DIR}`");
        let file = self.folder.at(IN_DIR).join(path);
        fs::create_dir_all(file.parent().unwrap_or(&file)).expect("a trial's folder can be written");
        fs::write(&file, content).expect("a trial's folder can be written");
        self
    }

    /// Gives a parameter what the items of a `for-each` job returned, by the items' names: an [`crate::Each`].
    ///
    /// # Panics
    /// The job has no such parameter, or a value has no form in JSON.
    #[track_caller]
    pub fn results<T: Serialize>(
        self,
        parameter: &str,
        results: impl IntoIterator<Item = (impl AsRef<str>, T)>,
    ) -> Self {
        self.check(parameter);
        fs::create_dir_all(self.folder.at(IN_DIR).join(parameter)).expect("a trial's folder can be written");
        results.into_iter().fold(self, |trial, (item, value)| {
            let json = json::to_vec(&value).expect("a value for JSON");
            trial.file(&format!("{parameter}/{}/{RESULT_FILE}", item.as_ref()), json)
        })
    }

    /// Runs the job, in this thread. A job that panics does so here.
    pub fn run(self) -> Tried {
        let Self { job, input, folder, .. } = self;
        let path = |dir: &str| folder.at(dir).display().to_string();
        let invocation = Invocation { arguments: vec![job.to_owned()], in_dir: path(IN_DIR), out_dir: path(OUT_DIR) };
        let ended = root::within(&folder.path, || invocation.run(&jobs(), || Ok(object(&input))));
        let (exit_code, message) = match ended {
            Ok(()) => (0, String::new()),
            // As the sandbox has it, where `/` is what the folder is here.
            Err(refusal) => (refusal.exit_code, refusal.message.replace(&folder.path.display().to_string(), "")),
        };
        Tried { exit_code, message, folder }
    }

    #[track_caller]
    fn check(&self, parameter: &str) {
        let Self { job, takes, .. } = self;
        assert!(takes.contains(&parameter), "the job `{job}` takes no `{parameter}`: it takes {takes:?}");
    }
}

/// What came of a trial. Its files are there until it is dropped.
#[derive(Debug)]
pub struct Tried {
    exit_code: u8,
    message: String,
    folder: Folder,
}

impl Tried {
    /// What the job returned.
    ///
    /// # Errors
    /// What it said, if it failed; or it returned something else.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T> {
        self.read(RESULT_FILE)
    }

    /// One of several results ([`crate::Outputs`]).
    ///
    /// # Errors
    /// As of [`Tried::result`].
    pub fn result_named<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.read(&format!("{name}/{RESULT_FILE}"))
    }

    /// A file that the job left in `/out`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn out(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.at(OUT_DIR).join(path)).with_context(|| format!("failed to read `{OUT_DIR}/{path}`"))
    }

    /// How it ended: 0 where it returned a value, 1 where that was an error, 65 where its input did not fit (`docs/guest-abi.md`).
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// What it said of how it ended; nothing where it returned a value.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        if self.exit_code != 0 {
            return Err(Error::msg(self.message.trim_end().trim_start_matches("error: ")));
        }
        let json = self.out(path)?;
        json::from_slice(&json)
            .map_err(|error| Error::msg(format!("`{OUT_DIR}/{path}` is another value: {}", error.in_text(&json))))
    }
}

/// Fields and their values as an object.
fn object(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut object = b"{".to_vec();
    for (name, value) in fields {
        if object.len() > 1 {
            object.push(b',');
        }
        json::string(&mut object, name);
        object.push(b':');
        object.extend_from_slice(value);
    }
    object.push(b'}');
    object
}

/// A folder of its own, removed in the end.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    #[track_caller]
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("wasmill-trial-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Self { path },
                // Another program of this number left it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no folder can be made at {}: {error}", path.display()),
            }
        }
    }

    /// Where a path of the sandbox is.
    fn at(&self, path: &str) -> PathBuf {
        self.path.join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
