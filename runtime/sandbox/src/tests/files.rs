//! The filesystem as guests see it.

use wasmill_model::{DirectoryNode, FileNode, SymlinkNode};

use super::*;

/// A space with `/in/t` that has `a` ("alpha"), `d/b` ("beta"), and links: `to-a`, `up` (`..`), `loop`, `abs`
/// (`/in/t/a`), `out-abs` (`/etc/passwd`).
fn with_tree(body: &str) -> (Space, Action) {
    let space = Space::new(1);
    let file =
        |name: &str, content: &str| FileNode { name: name.to_owned(), blob: space.put(content), is_executable: false };
    let link = |name: &str, target: &str| SymlinkNode { name: name.to_owned(), target: target.to_owned() };
    let mut below = Directory { files: vec![file("b", "beta")], ..Directory::default() };
    let below = space.put(below.encode());
    let links = [("to-a", "a"), ("up", ".."), ("loop", "loop"), ("abs", "/in/t/a"), ("out-abs", "/etc/passwd")];
    let mut tree = Directory {
        files: vec![file("a", "alpha")],
        directories: vec![DirectoryNode { name: "d".to_owned(), blob: below }],
        symlinks: links.iter().map(|(name, target)| link(name, target)).collect(),
    };
    let blob = space.put(tree.encode());
    let mut action = space.action(&program(body));
    action.mounts.insert(path("/in/t"), Mount::Directory { blob }.into());
    (space, action)
}

/// Opens each path in turn for reading; the results (a descriptor as 0, or the error) are written to stdout as bytes.
fn open_all(paths: &[&str], oflags: u32, rights: u64) -> Vec<u8> {
    let mut data = String::new();
    let mut calls = String::new();
    let mut at = 1000;
    for (index, path) in paths.iter().enumerate() {
        data.push_str(&format!("(data (i32.const {at}) \"{path}\")\n"));
        calls.push_str(&format!(
            "(local.set $got (call $open (i32.const {at}) (i32.const {len}) (i32.const {oflags}) (i64.const {rights}) (i32.const 0)))
             (i32.store8 (i32.const {index}) (select (i32.const 0) (i32.sub (i32.const 0) (local.get $got)) (i32.gt_s (local.get $got) (i32.const 0))))\n",
            len = path.len()
        ));
        at += path.len();
    }
    let count = paths.len();
    let body = format!(
        "{data}(func (export \"_start\") (local $got i32)\n{calls}
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const {count}))))"
    );
    let (space, action) = with_tree(&body);
    let result = space.run(&action).result;
    assert_eq!(result.outcome, Outcome::SUCCESS);
    space.memory.get(&result.stdout).unwrap().to_vec()
}

const NOENT: u8 = 44;
const NOTDIR: u8 = 54;
const PERM: u8 = 63;
const LOOP: u8 = 32;
const EXIST: u8 = 20;
const ROFS: u8 = 69;
const ISDIR: u8 = 31;
const INVAL: u8 = 28;

#[test]
fn paths_lead_where_they_should_and_never_out() {
    let cases = [
        ("in/t/a", 0),
        ("./in//t/./a", 0),
        ("in/t/d/../a", 0),
        ("in/t/d/b", 0),
        ("in/t/to-a", 0),
        ("in/t/up/t/a", 0),
        ("in/t/abs", 0),
        ("in/t/d", 0),
        ("in/t/d/", 0),
        ("out", 0),
        (".", 0),
        ("in/..", 0),
        ("in/t/a/", NOTDIR),
        ("in/t/a/x", NOTDIR),
        ("in/t/none", NOENT),
        ("in/t/none/x", NOENT),
        ("in/t/loop", LOOP),
        ("in/t/out-abs", NOENT),
        ("etc/passwd", NOENT),
        ("..", PERM),
        ("../etc/passwd", PERM),
        ("in/../../etc/passwd", PERM),
        ("/etc/passwd", PERM),
        ("/in/t/a", PERM),
        ("IN/t/a", NOENT),
    ];
    let paths: Vec<&str> = cases.iter().map(|(path, _)| *path).collect();
    let got = open_all(&paths, 0, 2);
    for ((path, wanted), got) in cases.iter().zip(got) {
        assert_eq!(got, *wanted, "{path}");
    }
}

#[test]
fn only_out_and_tmp_can_be_written() {
    const CREATE: u32 = 1;
    let paths = ["in/t/new", "new", "in/new", "out/new", "tmp/new", "in/t/a", "in/t/d", "out"];
    assert_eq!(open_all(&paths, CREATE, 64), [ROFS, ROFS, ROFS, 0, 0, ROFS, ISDIR, ISDIR]);
    assert_eq!(open_all(&["out"], 0, 66), [ISDIR]);
    // Truncating is writing.
    assert_eq!(open_all(&["in/t/a"], 8, 2), [ROFS]);
    // Exclusive creation, and creation of a directory by the wrong call.
    assert_eq!(open_all(&["out/x", "in/t/a", "out/y/"], CREATE | 4, 64), [0, EXIST, ISDIR]);
    assert_eq!(open_all(&["out/x"], CREATE | 2, 64), [INVAL]);
    assert_eq!(open_all(&["in/t/a", "in/t/d"], 2, 2), [NOTDIR, 0]);
}

#[test]
fn a_directory_can_be_listed_in_pieces_and_while_it_is_emptied() {
    // Makes `out/0` to `out/9`, then lists `out` through a buffer that takes one entry or two, removing each file
    // as it comes by, and expects ten.
    let body = r#"
  (data (i32.const 0) "out/x") (data (i32.const 16) "out")
  (func (export "_start") (local $n i32) (local $dir i32) (local $cookie i64) (local $files i32)
    (loop $make
      (i32.store8 (i32.const 4) (i32.add (i32.const 48) (local.get $n)))
      (drop (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $make (i32.lt_u (local.get $n) (i32.const 10))))
    (local.set $dir (call $open (i32.const 16) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0)))
    (block $done
      (loop $next
        (call $expect (i32.const 1) (call $fd_readdir (local.get $dir) (i32.const 100) (i32.const 30) (local.get $cookie) (i32.const 90)) (i32.const 0))
        (br_if $done (i32.lt_u (i32.load (i32.const 90)) (i32.const 25)))
        (local.set $cookie (i64.load (i32.const 100)))
        ;; Not a file: "." and "..".
        (br_if $next (i32.ne (i32.load8_u (i32.const 120)) (i32.const 4)))
        (call $expect (i32.const 2) (i32.load8_u (i32.const 124)) (i32.add (i32.const 48) (local.get $files)))
        (i32.store8 (i32.const 4) (i32.load8_u (i32.const 124)))
        (call $expect (i32.const 3) (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 0))
        (local.set $files (i32.add (local.get $files) (i32.const 1)))
        (br $next)))
    (call $expect (i32.const 4) (local.get $files) (i32.const 10)))"#;
    let space = Space::new(1);
    let result = space.run(&space.action(&program(body))).result;
    assert_eq!(result.outcome, Outcome::SUCCESS);
    assert_eq!(result.output, BlobRef::EMPTY);
}

#[test]
fn files_can_be_written_read_sought_cut_and_appended() {
    let body = r#"
  (data (i32.const 0) "out/f") (data (i32.const 16) "0123456789")
  (func (export "_start") (local $fd i32)
    (local.set $fd (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 66) (i32.const 0)))
    (call $expect (i32.const 1) (call $write (local.get $fd) (i32.const 16) (i32.const 10)) (i32.const 0))
    (call $expect (i32.const 2) (call $fd_tell (local.get $fd) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 3) (i32.load (i32.const 200)) (i32.const 10))
    (call $expect (i32.const 4) (call $fd_seek (local.get $fd) (i64.const -4) (i32.const 2) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 5) (call $read (local.get $fd) (i32.const 300) (i32.const 100)) (i32.const 4))
    (call $expect (i32.const 6) (i32.load (i32.const 300)) (i32.const 0x39383736))
    (call $expect (i32.const 7) (call $read (local.get $fd) (i32.const 300) (i32.const 100)) (i32.const 0))
    (call $expect (i32.const 8) (call $fd_seek (local.get $fd) (i64.const -11) (i32.const 2) (i32.const 200)) (i32.const 28))
    (call $expect (i32.const 9) (call $fd_seek (local.get $fd) (i64.const 0) (i32.const 7) (i32.const 200)) (i32.const 28))
    (call $expect (i32.const 10) (call $fd_filestat_set_size (local.get $fd) (i64.const 3)) (i32.const 0))
    ;; A gap is filled with zeros.
    (call $expect (i32.const 11) (call $fd_seek (local.get $fd) (i64.const 5) (i32.const 0) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 12) (call $write (local.get $fd) (i32.const 16) (i32.const 1)) (i32.const 0))
    ;; With the append flag every write goes to the end.
    (call $expect (i32.const 13) (call $fd_fdstat_set_flags (local.get $fd) (i32.const 1)) (i32.const 0))
    (call $expect (i32.const 14) (call $fd_seek (local.get $fd) (i64.const 0) (i32.const 0) (i32.const 200)) (i32.const 0))
    (call $expect (i32.const 15) (call $write (local.get $fd) (i32.const 17) (i32.const 2)) (i32.const 0))
    (call $expect (i32.const 16) (call $fd_close (local.get $fd)) (i32.const 0))
    (call $expect (i32.const 17) (call $fd_close (local.get $fd)) (i32.const 8))
    ;; Truncated and written anew.
    (i32.store8 (i32.const 4) (i32.const 103))
    (drop (call $write (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 16) (i32.const 9)))
    (drop (call $write (call $open (i32.const 0) (i32.const 5) (i32.const 8) (i64.const 64) (i32.const 0)) (i32.const 16) (i32.const 2))))"#;
    let space = Space::new(1);
    let result = space.run(&space.action(&program(body))).result;
    assert_eq!(result.outcome, Outcome::SUCCESS);
    let wanted = [("f", "012\0\0\u{30}12"), ("g", "01")];
    assert_eq!(space.outputs(&result), wanted.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
}

#[test]
fn entries_can_be_renamed_linked_and_removed() {
    let body = r#"
  (data (i32.const 0) "out/a") (data (i32.const 8) "out/b") (data (i32.const 16) "out/d") (data (i32.const 24) "out/d/e")
  (data (i32.const 32) "out/l") (data (i32.const 40) "in/t/a") (data (i32.const 48) "d/e/..") (data (i32.const 64) "../../x")
  (func (export "_start")
    (drop (call $write (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 0) (i32.const 3)))
    (call $expect (i32.const 1) (call $path_create_directory (i32.const 3) (i32.const 16) (i32.const 5)) (i32.const 0))
    (call $expect (i32.const 2) (call $path_create_directory (i32.const 3) (i32.const 16) (i32.const 5)) (i32.const 20))
    (call $expect (i32.const 3) (call $path_rename (i32.const 3) (i32.const 0) (i32.const 5) (i32.const 3) (i32.const 24) (i32.const 7)) (i32.const 0))
    ;; A directory that is not empty cannot be removed, nor moved into itself, nor be replaced by a file.
    (call $expect (i32.const 4) (call $path_remove_directory (i32.const 3) (i32.const 16) (i32.const 5)) (i32.const 55))
    (call $expect (i32.const 5) (call $path_rename (i32.const 3) (i32.const 16) (i32.const 5) (i32.const 3) (i32.const 24) (i32.const 7)) (i32.const 28))
    (call $expect (i32.const 6) (call $path_rename (i32.const 3) (i32.const 24) (i32.const 7) (i32.const 3) (i32.const 16) (i32.const 5)) (i32.const 31))
    (call $expect (i32.const 7) (call $path_unlink_file (i32.const 3) (i32.const 16) (i32.const 5)) (i32.const 31))
    ;; A second name; inputs can have none, and cannot be moved away.
    (call $expect (i32.const 8) (call $path_link (i32.const 3) (i32.const 0) (i32.const 24) (i32.const 7) (i32.const 3) (i32.const 8) (i32.const 5)) (i32.const 0))
    (call $expect (i32.const 9) (call $path_link (i32.const 3) (i32.const 0) (i32.const 40) (i32.const 6) (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 69))
    (call $expect (i32.const 10) (call $path_rename (i32.const 3) (i32.const 40) (i32.const 6) (i32.const 3) (i32.const 0) (i32.const 5)) (i32.const 69))
    (call $expect (i32.const 11) (call $path_unlink_file (i32.const 3) (i32.const 40) (i32.const 6)) (i32.const 69))
    ;; Links may be made but not absolute ones; one that leads out leads nowhere.
    (call $expect (i32.const 12) (call $path_symlink (i32.const 48) (i32.const 3) (i32.const 3) (i32.const 32) (i32.const 5)) (i32.const 0))
    (call $expect (i32.const 13) (call $path_readlink (i32.const 3) (i32.const 32) (i32.const 5) (i32.const 300) (i32.const 2) (i32.const 400)) (i32.const 0))
    (call $expect (i32.const 14) (i32.load (i32.const 400)) (i32.const 2))
    (call $expect (i32.const 15) (call $open (i32.const 32) (i32.const 5) (i32.const 0) (i64.const 2) (i32.const 0)) (i32.load (i32.const 60000)))
    (i32.store8 (i32.const 36) (i32.const 109))
    (call $expect (i32.const 16) (call $path_symlink (i32.const 64) (i32.const 7) (i32.const 3) (i32.const 32) (i32.const 5)) (i32.const 0))
    (call $expect (i32.const 17) (call $open (i32.const 32) (i32.const 5) (i32.const 0) (i64.const 2) (i32.const 0)) (i32.const -63)))"#;
    let (space, action) = with_tree(body);
    let result = space.run(&action).result;
    assert_eq!(result.outcome, Outcome::SUCCESS);
    let wanted = [("b", "out"), ("d/", ""), ("d/e", "out"), ("l", "d/e"), ("m", "../../x")];
    assert_eq!(space.outputs(&result), wanted.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
}

#[test]
fn every_mounted_directory_is_open_from_the_start_by_its_name() {
    // Prints the names of the preopens until there are no more.
    let body = r#"
  (func (export "_start") (local $fd i32)
    (local.set $fd (i32.const 3))
    (block $done
      (loop $next
        (br_if $done (call $fd_prestat_get (local.get $fd) (i32.const 0)))
        (call $expect (i32.const 1) (call $fd_prestat_dir_name (local.get $fd) (i32.const 100) (i32.load (i32.const 4))) (i32.const 0))
        (i32.store8 (i32.add (i32.const 100) (i32.load (i32.const 4))) (i32.const 10))
        (drop (call $write (i32.const 1) (i32.const 100) (i32.add (i32.load (i32.const 4)) (i32.const 1))))
        (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
        (br $next))))"#;
    let (space, mut action) = with_tree(body);
    action.mounts.insert(path("/data/set"), Mount::Directory { blob: BlobRef::EMPTY }.into());
    action.mounts.insert(path("/in/file"), Mount::File { blob: BlobRef::EMPTY, is_executable: false }.into());
    let result = space.run(&action).result;
    assert_eq!(space.text(result.stdout), "/\n/out\n/tmp\n/in\n/data/set\n/in/t\n");
}

#[test]
fn what_a_program_is_given_is_what_it_gets() {
    let body = r#"
  (func (export "_start") (local $got i32)
    (call $expect (i32.const 1) (call $args_sizes_get (i32.const 0) (i32.const 4)) (i32.const 0))
    (call $expect (i32.const 2) (i32.load (i32.const 0)) (i32.const 3))
    (call $expect (i32.const 3) (call $args_get (i32.const 100) (i32.const 200)) (i32.const 0))
    (drop (call $write (i32.const 1) (i32.load (i32.const 100)) (i32.load (i32.const 4))))
    (call $expect (i32.const 4) (call $environ_sizes_get (i32.const 0) (i32.const 4)) (i32.const 0))
    (call $expect (i32.const 5) (call $environ_get (i32.const 100) (i32.const 200)) (i32.const 0))
    (drop (call $write (i32.const 1) (i32.load (i32.const 100)) (i32.load (i32.const 4))))
    (block $done
      (loop $next
        (local.set $got (call $read (i32.const 0) (i32.const 300) (i32.const 3)))
        (br_if $done (i32.le_s (local.get $got) (i32.const 0)))
        (drop (call $write (i32.const 2) (i32.const 300) (local.get $got)))
        (br $next))))"#;
    let space = Space::new(1);
    let mut action = space.action(&program(body));
    action.args = ["main", "", "ü"].map(str::to_owned).to_vec();
    action.env = BTreeMap::from([("A".to_owned(), "1=2".to_owned()), ("B".to_owned(), String::new())]);
    action.stdin = space.put("standard input");
    let result = space.run(&action).result;
    assert_eq!(result.outcome, Outcome::SUCCESS);
    assert_eq!(space.text(result.stdout), "main\0\0ü\0A=1=2\0B=\0");
    assert_eq!(space.text(result.stderr), "standard input");
}

#[test]
fn many_mounted_directories_leave_room_for_descriptors() {
    let body = r#"(data (i32.const 0) "tmp/x")
      (func (export "_start")
        (call $expect (i32.const 1) (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 1507)))"#;
    let space = Space::new(1);
    let mut action = space.action(&program(body));
    for n in 0..1500 {
        action.mounts.insert(path(&format!("/in/{n}")), Mount::Directory { blob: BlobRef::EMPTY }.into());
    }
    assert_eq!(space.run(&action).result.outcome, Outcome::SUCCESS);
}

#[test]
fn where_no_descriptor_is_left_nothing_is_made() {
    let body = r#"(data (i32.const 0) "tmp/x") (data (i32.const 8) "out/y")
      (func (export "_start")
        (loop $more (br_if $more (i32.gt_s (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const 0))))
        (call $expect (i32.const 1) (call $open (i32.const 8) (i32.const 5) (i32.const 1) (i64.const 64) (i32.const 0)) (i32.const -33)))"#;
    let space = Space::new(1);
    let result = space.run(&space.action(&program(body))).result;
    assert_eq!((result.outcome, result.output), (Outcome::SUCCESS, BlobRef::EMPTY));
}

#[test]
fn of_very_many_buffers_the_first_ones_are_written() {
    let body = r#"
      (func (export "_start") (local $at i32)
        (loop $next
          (i32.store offset=4 (local.get $at) (i32.const 1))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $next (i32.lt_u (local.get $at) (i32.const 60000))))
        (call $expect (i32.const 1) (call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 60000)) (i32.const 0))
        (call $expect (i32.const 2) (i32.load (i32.const 60000)) (i32.const 1024)))"#;
    let space = Space::new(1);
    let result = space.run(&space.action(&program(body))).result;
    assert_eq!((result.outcome, result.stdout.size_bytes), (Outcome::SUCCESS, 1024));
}

#[test]
fn nothing_lies_before_the_start_or_beyond_the_largest_offset() {
    let body = r#"(data (i32.const 0) "tmp/x")
      (func (export "_start") (local $fd i32)
        (local.set $fd (call $open (i32.const 0) (i32.const 5) (i32.const 1) (i64.const 66) (i32.const 0)))
        (call $expect (i32.const 1) (call $fd_seek (local.get $fd) (i64.const 0x7fffffffffffffff) (i32.const 0) (i32.const 90)) (i32.const 0))
        (call $expect (i32.const 2) (call $fd_seek (local.get $fd) (i64.const 1) (i32.const 1) (i32.const 90)) (i32.const 28))
        (call $expect (i32.const 3) (call $read (local.get $fd) (i32.const 100) (i32.const 10)) (i32.const 0))
        (call $expect (i32.const 4) (call $fd_seek (local.get $fd) (i64.const -1) (i32.const 0) (i32.const 90)) (i32.const 28))
        (call $expect (i32.const 5) (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 90)) (i32.const 70)))"#;
    assert_eq!(Space::new(1).outcome(&program(body)), Outcome::SUCCESS);
}
