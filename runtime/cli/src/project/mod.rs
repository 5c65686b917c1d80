//! New projects: a folder with a plan, a crate of jobs, and a little data.
//!
//! Owns: what is in it, and the names that it may have. Does not know: the command line.

mod sdk;

use std::io;
use std::path::{Path, PathBuf};

/// What a project begins with, by the path in its folder.
const TEMPLATE: &[(&str, &str)] = &[
    ("mill.toml", include_str!("template/mill.toml")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
    ("guest/Cargo.toml", include_str!("template/guest/Cargo.toml")),
    ("guest/src/main.rs", include_str!("template/guest/src/main.rs")),
    ("texts/brook.txt", include_str!("template/texts/brook.txt")),
    ("texts/daffodils.txt", include_str!("template/texts/daffodils.txt")),
];

/// The longest name, which is a crate's as well.
const NAME_BYTES_MAX: usize = 60;

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    /// Its name cannot be a crate's.
    #[error(
        "`{0}` cannot be the name of a project: it begins with a letter and has letters of a to z, digits, `-` and `_`"
    )]
    Name(String),
    /// There is something already.
    #[error("{0} is there already")]
    There(PathBuf),
    /// No SDK is where one was said to be.
    #[error("there is no guest SDK in {0}: no file sdk/Cargo.toml")]
    NoSdk(PathBuf),
    /// It cannot be written.
    #[error("failed to write the project to {0}")]
    Write(PathBuf, #[source] io::Error),
}

/// Makes a project in a folder that is not there yet, or is empty. Its name is the folder's. Jobs are made with the SDK in `sdk`, or with
/// a copy of this program's own.
pub(crate) fn create(folder: &Path, sdk: Option<&Path>) -> Result<String, NewError> {
    let absolute = std::path::absolute(folder).unwrap_or(folder.to_owned());
    // `new .` is for where one is.
    let name = absolute
        .file_name()
        .filter(|_| folder.file_name().is_some() || folder == Path::new("."))
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char));
    if !is_good {
        return Err(NewError::Name(name));
    }
    let failed = |error: io::Error| NewError::Write(folder.to_owned(), error);
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(NewError::There(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(NewError::There(folder.to_owned())),
        Err(error) => return Err(failed(error)),
    }
    let sdk = match sdk {
        Some(sdk) if sdk.join("sdk/Cargo.toml").is_file() => {
            // A project may be used from elsewhere than from where it was made.
            std::path::absolute(sdk.join("sdk")).map_err(failed)?.display().to_string()
        }
        Some(sdk) => return Err(NewError::NoSdk(sdk.to_owned())),
        None => {
            sdk::write(&folder.join("wasmill-sdk")).map_err(failed)?;
            "../wasmill-sdk/sdk".to_owned()
        }
    };
    let sdk = sdk.replace('\\', "/").replace('"', "\\\"");
    for (path, content) in TEMPLATE {
        let path = folder.join(path);
        let content = content.replace("PROJECT", &name).replace("SDK_PATH", &sdk);
        let made = std::fs::create_dir_all(path.parent().unwrap_or(folder));
        made.and_then(|()| std::fs::write(&path, content)).map_err(failed)?;
    }
    Ok(name)
}
