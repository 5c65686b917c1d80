//! Directories as Merkle trees.
//!
//! Owns: the canonical encoding of one directory, which is the Remote Execution API's `Directory` message
//! (`build/bazel/remote/execution/v2/remote_execution.proto`), so that a tree has the same digest here and in
//! any remote cache; and the rules for names. Does not know: how a host directory is read or written.

use prost::Message;

use crate::digest::{BlobRef, Digest};

/// Longest name in bytes, as on every common filesystem.
const NAME_BYTES_MAX: usize = 255;

/// One directory: its entries, each kind sorted by name, no name twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// The files.
    pub files: Vec<FileNode>,
    /// The subdirectories.
    pub directories: Vec<DirectoryNode>,
    /// The symbolic links.
    pub symlinks: Vec<SymlinkNode>,
}

/// A file in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNode {
    /// Its name: no `/`, no NUL, not `.` or `..`.
    pub name: String,
    /// Its content.
    pub blob: BlobRef,
    /// Whether the host marks it as executable.
    pub is_executable: bool,
}

/// A directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryNode {
    /// Its name, as for a file.
    pub name: String,
    /// Its encoded [`Directory`].
    pub blob: BlobRef,
}

/// A symbolic link in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymlinkNode {
    /// Its name, as for a file.
    pub name: String,
    /// What it points to, as written.
    pub target: String,
}

/// Why bytes are no directory, or a name cannot stand in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes are no `Directory` message.
    #[error("not a directory: {0}")]
    Encoding(String),
    /// Entries are not sorted, or a name is there twice.
    #[error("not a canonical directory: `{0}` is out of order or there twice")]
    Order(String),
    /// Directories are nested deeper than anybody walks.
    #[error("its directories are nested deeper than {}", Directory::DEPTH_MAX)]
    Depth,
    /// The name cannot be used.
    #[error("`{name}` cannot be a name: {wrong}")]
    Name {
        /// The name, cut short.
        name: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

/// Checks that `name` can stand in a directory.
///
/// # Errors
/// An empty name, `.`, `..`, more than 255 bytes, a `/` or a NUL.
pub fn check_name(name: &str) -> Result<(), TreeError> {
    let wrong = match name {
        "" => "it is empty",
        "." | ".." => "it stands for a directory itself",
        _ if name.len() > NAME_BYTES_MAX => "it is longer than 255 bytes",
        _ if name.bytes().any(|byte| byte == b'/') => "it has a `/` in it",
        _ if name.bytes().any(|byte| byte == 0) => "it has a NUL in it",
        _ => return Ok(()),
    };
    Err(TreeError::Name { name: name.chars().take(80).collect(), wrong })
}

impl Directory {
    /// Most directories above one that whoever walks a whole tree enters. A guest nests them less deep; but trees are put into one
    /// another, and what is in a store may come from anywhere.
    pub const DEPTH_MAX: usize = 1_024;

    /// What an entry counts for against a limit of output, in bytes beside its name and its content: empty files take room as well.
    pub const ENTRY_BYTES: u64 = 256;

    /// Sorts the entries and encodes them canonically. An empty directory is no bytes.
    pub fn encode(&mut self) -> Vec<u8> {
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        self.directories.sort_by(|a, b| a.name.cmp(&b.name));
        self.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
        let digest = |blob: &BlobRef| {
            Some(wire::Digest { hash: blob.digest.to_hex(), size_bytes: blob.size_bytes.cast_signed() })
        };
        wire::Directory {
            files: (self.files.iter())
                .map(|file| wire::FileNode {
                    name: file.name.clone(),
                    digest: digest(&file.blob),
                    is_executable: file.is_executable,
                })
                .collect(),
            directories: (self.directories.iter())
                .map(|dir| wire::DirectoryNode { name: dir.name.clone(), digest: digest(&dir.blob) })
                .collect(),
            symlinks: (self.symlinks.iter())
                .map(|link| wire::SymlinkNode { name: link.name.clone(), target: link.target.clone() })
                .collect(),
        }
        .encode_to_vec()
    }

    /// Decodes what [`Directory::encode`] made.
    ///
    /// # Errors
    /// Bytes that are no `Directory` message, unsorted or duplicate names, names that cannot be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let wire = wire::Directory::decode(bytes).map_err(|error| TreeError::Encoding(error.to_string()))?;
        let blob = |digest: Option<wire::Digest>| {
            let digest = digest.ok_or_else(|| TreeError::Encoding("an entry has no digest".to_owned()))?;
            let parsed: Digest = digest.hash.parse().map_err(|error| TreeError::Encoding(format!("{error}")))?;
            let size_bytes = u64::try_from(digest.size_bytes)
                .map_err(|_| TreeError::Encoding("an entry has a negative size".to_owned()))?;
            Ok::<_, TreeError>(BlobRef { digest: parsed, size_bytes })
        };
        let mut directory = Directory::default();
        for file in wire.files {
            let blob = blob(file.digest)?;
            directory.files.push(FileNode { name: file.name, blob, is_executable: file.is_executable });
        }
        for dir in wire.directories {
            directory.directories.push(DirectoryNode { name: dir.name, blob: blob(dir.digest)? });
        }
        for link in wire.symlinks {
            directory.symlinks.push(SymlinkNode { name: link.name, target: link.target });
        }
        directory.check()?;
        Ok(directory)
    }

    fn check(&self) -> Result<(), TreeError> {
        let files = self.files.iter().map(|file| file.name.as_str());
        let directories = self.directories.iter().map(|dir| dir.name.as_str());
        let symlinks = self.symlinks.iter().map(|link| link.name.as_str());
        for names in [files.clone().collect::<Vec<_>>(), directories.clone().collect(), symlinks.clone().collect()] {
            if let Some(pair) = names.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(TreeError::Order(pair[1].to_owned()));
            }
        }
        let mut all: Vec<&str> = files.chain(directories).chain(symlinks).collect();
        all.sort_unstable();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TreeError::Order(pair[1].to_owned()));
        }
        all.into_iter().try_for_each(check_name)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.symlinks.is_empty()
    }
}

/// The messages as the Remote Execution API numbers them; only the fields that wasmill uses.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Digest {
        #[prost(string, tag = "1")]
        pub(super) hash: String,
        #[prost(int64, tag = "2")]
        pub(super) size_bytes: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct FileNode {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, optional, tag = "2")]
        pub(super) digest: Option<Digest>,
        #[prost(bool, tag = "4")]
        pub(super) is_executable: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct DirectoryNode {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, optional, tag = "2")]
        pub(super) digest: Option<Digest>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct SymlinkNode {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) target: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Directory {
        #[prost(message, repeated, tag = "1")]
        pub(super) files: Vec<FileNode>,
        #[prost(message, repeated, tag = "2")]
        pub(super) directories: Vec<DirectoryNode>,
        #[prost(message, repeated, tag = "3")]
        pub(super) symlinks: Vec<SymlinkNode>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileNode {
        FileNode { name: name.to_owned(), blob: BlobRef::of(name.as_bytes()), is_executable: name == "b" }
    }

    #[test]
    fn the_order_of_insertion_does_not_matter() {
        let mut one = Directory { files: vec![file("b"), file("a")], ..Directory::default() };
        let mut two = Directory { files: vec![file("a"), file("b")], ..Directory::default() };
        assert_eq!(one.encode(), two.encode());
        assert_eq!(Directory::decode(&one.encode()).unwrap(), two);
    }

    #[test]
    fn an_empty_directory_is_the_empty_blob() {
        assert!(Directory::default().encode().is_empty());
        assert!(Directory::decode(b"").unwrap().is_empty());
    }

    #[test]
    fn the_digest_of_a_tree_stays_what_it_is() {
        let mut tree = Directory {
            files: vec![file("b"), file("a")],
            directories: vec![DirectoryNode { name: "d".to_owned(), blob: BlobRef::EMPTY }],
            symlinks: vec![SymlinkNode { name: "l".to_owned(), target: "a".to_owned() }],
        };
        assert_eq!(
            Digest::of(&tree.encode()).to_string(),
            "a160b89aef8dd970480f943bb2e2c147e5f8dd95ea8147bd7af75d09ee7dea17"
        );
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let encode = |files: Vec<&str>| {
            wire::Directory {
                files: (files.into_iter())
                    .map(|name| wire::FileNode {
                        name: name.to_owned(),
                        digest: Some(wire::Digest { hash: Digest::EMPTY.to_hex(), size_bytes: 0 }),
                        is_executable: false,
                    })
                    .collect(),
                ..Default::default()
            }
            .encode_to_vec()
        };
        assert!(Directory::decode(&encode(vec!["a", "b"])).is_ok());
        for names in [vec!["b", "a"], vec!["a", "a"], vec![""], vec![".."], vec!["a/b"], vec!["a\0"]] {
            assert!(Directory::decode(&encode(names.clone())).is_err(), "{names:?}");
        }
        assert!(Directory::decode(b"\xff\xff").is_err());
    }
}
