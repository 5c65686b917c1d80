//! `wasmill put`, `get`, `cat` and `ls`: what goes into the store by hand, and looking at what it holds.
//!
//! Owns: how blobs and directories are written out. Does not know: whose they are.

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use wasmill_executor::{ImportError, SaveError};
use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Digest, Directory, Mount, TreeError};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::report::text::harmless;

/// `wasmill put`.
pub(crate) fn put(global: &Global, paths: &[PathBuf], pinned: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    for path in paths {
        let mount = mill.importer().import(path).map_err(|error| {
            let shown = CliError::from_error(exit_code::INPUT, &error);
            if matches!(error, ImportError::Store(_)) { CliError::store(&error) } else { shown }
        })?;
        let (kind, blob) = match mount {
            Mount::File { blob, .. } => ("file", blob),
            Mount::Directory { blob } => ("dir", blob),
        };
        let blob = mill.storage.durable(blob).map_err(|error| CliError::store(&error))?.into_inner();
        if pinned {
            mill.storage.pin(&blob.digest).map_err(|error| CliError::store(&error))?;
        }
        let shown = path.display().to_string();
        let line = match global.format {
            OutputFormat::Json => {
                let entry = serde_json::json!({
                    "kind": kind, "digest": blob.digest, "size_bytes": blob.size_bytes, "path": shown,
                });
                format!("{entry}\n")
            }
            OutputFormat::Human => {
                format!("{kind:4}  {}  {:>12}  {}\n", blob.digest, blob.size_bytes, harmless(&shown))
            }
        };
        crate::report::print(line.as_bytes());
    }
    mill.close()?;
    Ok(exit_code::SUCCESS)
}

/// `wasmill get`.
pub(crate) fn get(global: &Global, digest: Digest, target: &Path, recursive: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let blob = find(&mill, digest)?;
    let blobs = mill.storage.as_ref();
    let copied = match recursive {
        true => wasmill_executor::export(blobs, blob, None, target),
        false => wasmill_executor::export_file(blobs, blob, target),
    };
    match copied {
        Ok(()) => Ok(exit_code::SUCCESS),
        Err(SaveError::Store(error)) => Err(CliError::store(&error)),
        Err(error @ SaveError::Tree(_)) => Err(CliError::from_error(exit_code::INPUT, &error)
            .hint(format!("if {digest} is no directory, leave `--recursive` out"))),
        Err(error) => Err(CliError::from_error(exit_code::HOST, &error)),
    }
}

/// `wasmill cat`.
pub(crate) fn cat(global: &Global, digest: Digest, range: Option<Range<u64>>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let bytes = mill.storage.range(&find(&mill, digest)?, range.unwrap_or(0..u64::MAX));
    let bytes = bytes.map_err(|error| CliError::store(&error))?;
    let mut out = io::stdout().lock();
    written(out.write_all(&bytes).and_then(|()| out.flush()))
}

/// `wasmill ls`.
pub(crate) fn ls(global: &Global, digest: Option<Digest>, recursive: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let Some(digest) = digest else { return ls_all(global, &mill) };
    let root = find(&mill, digest)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut lister = Lister { mill: &mill, json: global.format == OutputFormat::Json, recursive, out: &mut out };
    match lister.list(root, "", 0) {
        Ok(()) => written(out.flush()),
        Err(ListError::Write(error)) => written(Err(error)),
        Err(ListError::Store(error)) => Err(CliError::store(&error)),
        Err(ListError::NotADirectory(error)) => {
            Err(CliError::new(exit_code::INPUT, format!("blob {digest} is not a directory")).because(&error))
        }
    }
}

/// All blobs, without names, as they may have any number.
fn ls_all(global: &Global, mill: &Mill) -> Result<u8, CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for blob in mill.storage.blobs().map_err(|error| CliError::store(&error))? {
        let BlobRef { digest, size_bytes } = blob.map_err(|error| CliError::store(&error))?;
        let line = match global.format {
            OutputFormat::Json => {
                serde_json::json!({ "kind": "blob", "digest": digest, "size_bytes": size_bytes }).to_string()
            }
            OutputFormat::Human => format!("blob  {digest}  {size_bytes:>12}"),
        };
        if let Err(error) = writeln!(out, "{line}") {
            return written(Err(error));
        }
    }
    written(out.flush())
}

fn find(mill: &Mill, digest: Digest) -> Result<BlobRef, CliError> {
    match mill.storage.find(&digest) {
        Ok(Some(blob)) => Ok(blob),
        Ok(None) => Err(CliError::from_error(exit_code::INPUT, &StoreError::Missing(digest))
            .hint("`wasmill show RUN JOB` has the digests of what a job wrote")),
        Err(error) => Err(CliError::store(&error)),
    }
}

/// A reader that has seen enough and closes the pipe is no failure.
fn written(result: io::Result<()>) -> Result<u8, CliError> {
    match result {
        Ok(()) => Ok(exit_code::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit_code::SUCCESS),
        Err(error) => Err(CliError::new(exit_code::HOST, "failed to write to standard output").because(&error)),
    }
}

enum ListError {
    Write(io::Error),
    Store(StoreError),
    NotADirectory(TreeError),
}

struct Lister<'a> {
    mill: &'a Mill,
    json: bool,
    recursive: bool,
    out: &'a mut dyn Write,
}

impl Lister<'_> {
    fn list(&mut self, blob: BlobRef, prefix: &str, depth: usize) -> Result<(), ListError> {
        if depth > Directory::DEPTH_MAX {
            return Err(ListError::NotADirectory(TreeError::Depth));
        }
        let bytes = self.mill.storage.get(&blob).map_err(ListError::Store)?;
        let directory = Directory::decode(&bytes).map_err(ListError::NotADirectory)?;
        for below in &directory.directories {
            let path = format!("{prefix}{}", below.name);
            self.line("dir", Some(below.blob), &format!("{path}/"))?;
            if self.recursive {
                self.list(below.blob, &format!("{path}/"), depth + 1)?;
            }
        }
        for file in &directory.files {
            let kind = if file.is_executable { "exe" } else { "file" };
            self.line(kind, Some(file.blob), &format!("{prefix}{}", file.name))?;
        }
        for link in &directory.symlinks {
            self.line("link", None, &format!("{prefix}{} -> {}", link.name, link.target))?;
        }
        Ok(())
    }

    fn line(&mut self, kind: &str, blob: Option<BlobRef>, path: &str) -> Result<(), ListError> {
        let written = if self.json {
            let entry = serde_json::json!({
                "kind": kind,
                "digest": blob.map(|blob| blob.digest),
                "size_bytes": blob.map(|blob| blob.size_bytes),
                "path": path,
            });
            writeln!(self.out, "{entry}")
        } else {
            let (digest, size) = match blob {
                Some(blob) => (blob.digest.to_hex(), blob.size_bytes.to_string()),
                None => ("-".repeat(64), "-".to_owned()),
            };
            writeln!(self.out, "{kind:4}  {digest}  {size:>12}  {}", harmless(path))
        };
        written.map_err(ListError::Write)
    }
}
