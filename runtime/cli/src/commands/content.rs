//! `wasmill cat` and `wasmill ls`: looking at what the store holds.
//!
//! Owns: how blobs and directories are written out. Does not know: whose they are.

use std::io::{self, Write};

use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{BlobRef, Digest, Directory};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::report::text::harmless;

/// `wasmill cat`.
pub(crate) fn cat(global: &Global, digest: Digest) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let bytes = mill.storage.get(&find(&mill, digest)?).map_err(|error| CliError::store(&error))?;
    let mut out = io::stdout().lock();
    written(out.write_all(&bytes).and_then(|()| out.flush()))
}

/// `wasmill ls`.
pub(crate) fn ls(global: &Global, digest: Digest, recursive: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let root = find(&mill, digest)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut lister = Lister { mill: &mill, json: global.format == OutputFormat::Json, recursive, out: &mut out };
    match lister.list(root, "") {
        Ok(()) => written(out.flush()),
        Err(ListError::Write(error)) => written(Err(error)),
        Err(ListError::Store(error)) => Err(CliError::store(&error)),
        Err(ListError::NotADirectory(error)) => {
            Err(CliError::new(exit_code::INPUT, format!("blob {digest} is not a directory")).because(&error))
        }
    }
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
    NotADirectory(wasmill_model::TreeError),
}

struct Lister<'a> {
    mill: &'a Mill,
    json: bool,
    recursive: bool,
    out: &'a mut dyn Write,
}

impl Lister<'_> {
    fn list(&mut self, blob: BlobRef, prefix: &str) -> Result<(), ListError> {
        let bytes = self.mill.storage.get(&blob).map_err(ListError::Store)?;
        let directory = Directory::decode(&bytes).map_err(ListError::NotADirectory)?;
        for below in &directory.directories {
            let path = format!("{prefix}{}", below.name);
            self.line("dir", Some(below.blob), &format!("{path}/"))?;
            if self.recursive {
                self.list(below.blob, &format!("{path}/"))?;
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
