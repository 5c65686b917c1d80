//! Outputs on the host: whole or not at all, and never outside the path that was asked for.

use std::sync::Arc;

use wasmill_model::{DirectoryNode, SymlinkNode};
use wasmill_storage::{Options, Storage};

use super::*;

struct Space {
    dir: tempfile::TempDir,
    store: Arc<Storage>,
}

impl Space {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Storage::open(&dir.path().join("store"), Options::default()).unwrap());
        Self { dir, store }
    }

    fn put(&self, content: &str) -> BlobRef {
        self.store.put(content.as_bytes().to_vec().into()).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> FileNode {
        FileNode { name: name.to_owned(), blob: self.put(content), is_executable: false }
    }

    fn tree(&self, mut directory: Directory) -> BlobRef {
        self.store.put(directory.encode().into()).unwrap()
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    fn export(&self, root: BlobRef, path: Option<&str>, to: &str) -> Result<(), SaveError> {
        let path = path.map(|path| OutputPath::new(path).unwrap());
        export(self.store.as_ref(), root, path.as_ref(), &self.path(to))
    }
}

#[test]
fn a_part_or_the_whole_is_copied() {
    let space = Space::new();
    let inner = space.tree(Directory { files: vec![space.file("deep", "2")], ..Directory::default() });
    let root = space.tree(Directory {
        files: vec![space.file("a", "1")],
        directories: vec![DirectoryNode { name: "d".to_owned(), blob: inner }],
        ..Directory::default()
    });
    space.export(root, None, "x/whole").unwrap();
    space.export(root, Some("d/deep"), "x/one").unwrap();
    space.export(root, Some("d"), "x/below").unwrap();
    for (path, content) in [("x/whole/a", "1"), ("x/whole/d/deep", "2"), ("x/one", "2"), ("x/below/deep", "2")] {
        assert_eq!(fs::read_to_string(space.path(path)).unwrap(), content);
    }
    assert!(matches!(space.export(root, Some("d/none"), "x/none"), Err(SaveError::NoSuchOutput { .. })));
    assert!(matches!(space.export(root, Some("a/b"), "x/none"), Err(SaveError::NoSuchOutput { .. })));
    assert!(fs::read_dir(space.path("x")).unwrap().count() == 3, "no temporary files are left");
}

#[test]
fn a_file_that_is_right_already_is_not_touched() {
    let space = Space::new();
    let root = space.tree(Directory { files: vec![space.file("a", "same")], ..Directory::default() });
    space.export(root, Some("a"), "a").unwrap();
    let modified = fs::metadata(space.path("a")).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    space.export(root, Some("a"), "a").unwrap();
    assert_eq!(fs::metadata(space.path("a")).unwrap().modified().unwrap(), modified);
    fs::write(space.path("a"), "diff").unwrap();
    space.export(root, Some("a"), "a").unwrap();
    assert_eq!(fs::read_to_string(space.path("a")).unwrap(), "same");
}

fn link(name: &str, target: &str) -> SymlinkNode {
    SymlinkNode { name: name.to_owned(), target: target.to_owned() }
}

#[test]
fn links_that_lead_outside_are_refused_before_anything_is_written() {
    let space = Space::new();
    for target in ["../../etc/passwd", "/etc/passwd", "d/../..", "up/../.."] {
        let inner = space.tree(Directory { symlinks: vec![link("up", "..")], ..Directory::default() });
        let root = space.tree(Directory {
            files: vec![space.file("a", "1")],
            directories: vec![DirectoryNode { name: "d".to_owned(), blob: inner }],
            symlinks: vec![link("link", target), link("up", "d/up")],
        });
        let refused = space.export(root, None, "x");
        assert!(matches!(&refused, Err(SaveError::LinkOutside { path, .. }) if path == "link"), "{refused:?}");
        assert!(!space.path("x").exists());
        assert!(matches!(space.export(root, Some("link"), "x"), Err(SaveError::Link { .. })));
    }
}

#[cfg(unix)]
#[test]
fn links_that_stay_inside_are_made() {
    let space = Space::new();
    let inner =
        space.tree(Directory { symlinks: vec![link("up", "../a"), link("none", "x/y")], ..Directory::default() });
    let root = space.tree(Directory {
        files: vec![space.file("a", "1")],
        directories: vec![DirectoryNode { name: "d".to_owned(), blob: inner }],
        symlinks: vec![link("below", "d/up"), link("dir", "d")],
    });
    for _ in 0..2 {
        space.export(root, None, "x").unwrap();
        assert_eq!(fs::read_to_string(space.path("x/below")).unwrap(), "1");
        assert_eq!(fs::read_to_string(space.path("x/dir/up")).unwrap(), "1");
        assert_eq!(fs::read_link(space.path("x/d/none")).unwrap(), Path::new("x/y"));
    }
    // Another link or a file makes way; a folder does not.
    fs::remove_file(space.path("x/below")).unwrap();
    std::os::unix::fs::symlink("/etc", space.path("x/below")).unwrap();
    space.export(root, None, "x").unwrap();
    assert_eq!(fs::read_link(space.path("x/below")).unwrap(), Path::new("d/up"));
    fs::remove_file(space.path("x/below")).unwrap();
    fs::create_dir(space.path("x/below")).unwrap();
    assert!(matches!(space.export(root, None, "x"), Err(SaveError::InTheWay { .. })));
    let left = walkdir::WalkDir::new(space.path("x")).into_iter().filter_map(Result::ok);
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".wasmill")));
}

#[cfg(unix)]
#[test]
fn links_on_the_host_lead_nowhere() {
    let space = Space::new();
    let inner = space.tree(Directory { files: vec![space.file("f", "new")], ..Directory::default() });
    let root = space.tree(Directory {
        files: vec![space.file("a", "new")],
        directories: vec![DirectoryNode { name: "d".to_owned(), blob: inner }],
        ..Directory::default()
    });
    fs::create_dir_all(space.path("elsewhere")).unwrap();
    fs::write(space.path("victim"), "old").unwrap();
    fs::create_dir(space.path("to")).unwrap();
    std::os::unix::fs::symlink(space.path("elsewhere"), space.path("to/d")).unwrap();
    std::os::unix::fs::symlink(space.path("victim"), space.path("to/a")).unwrap();
    assert!(matches!(space.export(root, None, "to"), Err(SaveError::InTheWay { .. })));
    assert_eq!(fs::read_dir(space.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(space.path("victim")).unwrap(), "old", "the link was replaced, not followed");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_made_one() {
    let space = Space::new();
    let root = space.tree(Directory { files: vec![space.file("a", "x")], ..Directory::default() });
    fs::create_dir(space.path("to")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(space.path("to/a")).unwrap();
    for (path, target) in [(Some("a"), "to/a"), (None, "to")] {
        let refused = space.export(root, path, target).unwrap_err();
        assert!(refused.to_string().contains("it is a device, or something else that is no file"), "{refused}");
    }
    assert!(!fs::metadata(space.path("to/a")).unwrap().is_file());
}

#[test]
fn what_is_in_the_way_is_said() {
    let space = Space::new();
    let inner = space.tree(Directory { files: vec![space.file("f", "x")], ..Directory::default() });
    let root = space.tree(Directory {
        files: vec![space.file("a", "x")],
        directories: vec![DirectoryNode { name: "d".to_owned(), blob: inner }],
        ..Directory::default()
    });
    fs::create_dir_all(space.path("to/a")).unwrap();
    assert!(matches!(space.export(root, Some("a"), "to/a"), Err(SaveError::InTheWay { kind: "a directory", .. })));
    fs::remove_dir(space.path("to/a")).unwrap();
    fs::write(space.path("to/d"), "file").unwrap();
    assert!(matches!(space.export(root, None, "to"), Err(SaveError::InTheWay { kind: "a file", .. })));
    assert!(matches!(space.export(root, Some("a"), "to/d/a"), Err(SaveError::Write { .. })));
}

#[test]
fn a_damaged_tree_is_an_error() {
    let space = Space::new();
    let root = space.put("this is no directory");
    assert!(matches!(space.export(root, None, "x"), Err(SaveError::Tree(_))));
    let missing = BlobRef::of(b"never put");
    assert!(matches!(space.export(missing, None, "x"), Err(SaveError::Store(_))));
}

#[test]
fn paths_are_compared_without_detours() {
    assert_eq!(lexical(Path::new("a/./b/../c")), Path::new("a/c"));
    assert_eq!(lexical(Path::new("../a")), Path::new("../a"));
}
