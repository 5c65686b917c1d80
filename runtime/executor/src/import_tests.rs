//! Host files as inputs.

use std::fs;

use wasmill_storage::{Options, Storage};

use super::*;

struct Space {
    dir: tempfile::TempDir,
    store: Arc<Storage>,
    importer: Importer,
}

impl Space {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Storage::open(&dir.path().join("store"), Options::default()).unwrap());
        let importer = Importer::new(Arc::clone(&store) as _, Arc::clone(&store) as _);
        Self { dir, store, importer }
    }

    fn write(&self, relative: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn root(&self, mount: &Mount) -> Directory {
        let Mount::Directory { blob } = mount else { panic!("{mount:?} is no directory") };
        Directory::decode(&self.store.get(blob).unwrap()).unwrap()
    }
}

#[test]
fn a_directory_becomes_a_tree() {
    let space = Space::new();
    space.write("t/b/deep", "2");
    space.write("t/a", "1");
    fs::create_dir(space.dir.path().join("t/empty")).unwrap();
    let root = space.root(&space.importer.import(&space.dir.path().join("t")).unwrap());
    assert_eq!(root.files[0].blob, BlobRef::of(b"1"));
    let names: Vec<&str> = root.directories.iter().map(|below| below.name.as_str()).collect();
    assert_eq!(names, ["b", "empty"]);
    assert_eq!(root.directories[1].blob, BlobRef::EMPTY);
    assert_eq!(space.store.get(&BlobRef::of(b"2")).unwrap(), "2");
}

#[cfg(unix)]
#[test]
fn links_and_executables_are_kept_as_what_they_are() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = Space::new();
    let tool = space.write("t/tool", "#!");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("nowhere/at/all", space.dir.path().join("t/link")).unwrap();
    let root = space.root(&space.importer.import(&space.dir.path().join("t")).unwrap());
    assert!(root.files[0].is_executable);
    assert_eq!(root.symlinks[0].target, "nowhere/at/all");
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let space = Space::new();
    space.write("t/fine", "");
    fs::write(space.dir.path().join("t").join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
    let error = space.importer.import(&space.dir.path().join("t")).unwrap_err();
    assert!(matches!(&error, ImportError::NotUtf8 { .. }) && error.to_string().contains("a\\xFF"), "{error}");
}

#[test]
fn a_glob_keeps_paths_below_its_fixed_part() {
    let space = Space::new();
    for path in ["s/a.txt", "s/d/b.txt", "s/d/c.md"] {
        space.write(path, path);
    }
    let mut staged = Staged::default();
    let mount = space.importer.glob(space.dir.path(), "s/**/*.txt", &mut staged, Trust::Remembered).unwrap();
    staged.put_all(space.store.as_ref()).unwrap();
    let root = space.root(&mount);
    assert_eq!((root.files.len(), root.files[0].name.as_str()), (1, "a.txt"));
    let below = Directory::decode(&space.store.get(&root.directories[0].blob).unwrap()).unwrap();
    assert_eq!((below.files.len(), below.files[0].name.as_str()), (1, "b.txt"));
}

#[cfg(unix)]
#[test]
fn links_that_a_glob_matches_stay_links() {
    let space = Space::new();
    space.write("secret", "secret");
    space.write("s/d/file", "file");
    for (link, to) in [("s/out", "../secret"), ("s/d/none", "nowhere"), ("s/folder", "d"), ("s/d/near", "file")] {
        std::os::unix::fs::symlink(to, space.dir.path().join(link)).unwrap();
    }
    let mut staged = Staged::default();
    let mount = space.importer.glob(space.dir.path(), "s/**", &mut staged, Trust::Remembered).unwrap();
    staged.put_all(space.store.as_ref()).unwrap();
    let root = space.root(&mount);
    let links = |directory: &Directory| -> Vec<String> {
        directory.symlinks.iter().map(|link| format!("{} -> {}", link.name, link.target)).collect()
    };
    assert!(root.files.is_empty());
    assert_eq!(links(&root), ["folder -> d", "out -> ../secret"]);
    let below = Directory::decode(&space.store.get(&root.directories[0].blob).unwrap()).unwrap();
    assert_eq!((below.files.len(), links(&below)), (1, vec!["near -> file".to_owned(), "none -> nowhere".to_owned()]));
}

#[test]
fn a_settled_file_is_not_read_again_and_a_young_one_is() {
    let space = Space::new();
    let path = space.write("f", "old");
    let import = |trust| match space.importer.path(&path, &mut Staged::default(), trust).unwrap() {
        Mount::File { blob, .. } => blob,
        Mount::Directory { .. } => panic!("a file"),
    };
    let set_age = |seconds| {
        let then = SystemTime::now() - std::time::Duration::from_secs(seconds);
        fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
    };
    // Young: its next change might not change its time, so it is not remembered.
    assert_eq!(import(Trust::Remembered), BlobRef::of(b"old"));
    space.importer.remember().unwrap();
    assert_eq!(space.store.recall(path.to_str().unwrap()).unwrap(), None);

    set_age(3600);
    // The change of the time is a change, and young.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(import(Trust::Remembered), BlobRef::of(b"old"));
    space.importer.remember().unwrap();
    let (stamp, _) = space.store.recall(path.to_str().unwrap()).unwrap().unwrap();

    // Who trusts the memory does not look, who does not, does.
    space.store.remember(vec![(path.to_str().unwrap().to_owned(), stamp, BlobRef::of(b"a lie"))]).unwrap();
    assert_eq!(import(Trust::Remembered), BlobRef::of(b"a lie"));
    assert_eq!(import(Trust::Nothing), BlobRef::of(b"old"));

    // Other bytes under the old time of modification: on Unix, the time of the change tells.
    fs::write(&path, "new").unwrap();
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(stamp.mtime_ns.unsigned_abs());
    fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(import(Trust::Remembered) == BlobRef::of(b"new"), cfg!(unix));
    set_age(1800);
    assert_eq!(import(Trust::Remembered), BlobRef::of(b"new"));
}

#[test]
fn deep_nesting_ends() {
    let space = Space::new();
    let mut path = space.dir.path().join("deep");
    for _ in 0..DEPTH_MAX + 2 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    let error = space.importer.import(&space.dir.path().join("deep")).unwrap_err();
    assert!(matches!(error, ImportError::Depth { .. }), "{error}");
}
