//! What the filesystem counts, against what is there, after whatever a guest does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use bytes::Bytes;
use wasmill_model::port::Cancel;
use wasmill_model::{Digest, DirectoryNode, FileNode, OutputPath, SymlinkNode};

use super::*;

/// Blobs in memory.
#[derive(Default)]
struct Blobs(Mutex<HashMap<Digest, Bytes>>);

impl BlobStore for Blobs {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        let found = self.0.lock().unwrap().get(&blob.digest).cloned();
        if *blob == BlobRef::EMPTY { Ok(Bytes::new()) } else { found.ok_or(StoreError::Missing(blob.digest)) }
    }
    fn find(&self, _digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        Ok(None)
    }
    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        let blob = BlobRef::of(&bytes);
        self.0.lock().unwrap().insert(blob.digest, bytes);
        Ok(blob)
    }
    fn put_reader(&self, reader: &mut dyn std::io::Read) -> Result<BlobRef, StoreError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        self.put(bytes.into())
    }
}

/// A directory with a file, a link, and as many directories in one another.
fn nested(blobs: &Blobs, depth: u32) -> BlobRef {
    let blob = blobs.put(Bytes::from(format!("content at depth {depth}"))).unwrap();
    let mut tree = Directory::default();
    tree.files.push(FileNode { name: "a".to_owned(), blob, is_executable: true });
    tree.symlinks.push(SymlinkNode { name: "ccc".to_owned(), target: "a".to_owned() });
    if depth > 0 {
        tree.directories.push(DirectoryNode { name: "bb".to_owned(), blob: nested(blobs, depth - 1) });
    }
    blobs.put(tree.encode().into()).unwrap()
}

/// A filesystem with something mounted.
fn mounted(blobs: &Arc<Blobs>, mounts: &[(&str, BlobRef, MountMode)], memory_bytes: u64) -> Vfs {
    let input = |blob, mode| Input { content: Mount::Directory { blob }, mode };
    let mounts = mounts.iter().map(|(at, blob, mode)| (GuestPath::new(at).unwrap(), input(*blob, *mode)));
    let spill = Spill { dir: std::env::temp_dir().into(), memory_bytes };
    Vfs::new(Arc::clone(blobs) as _, u64::MAX, spill, &mounts.collect()).unwrap()
}

/// Files with their content, directories with a `/` at the end, links with their target.
fn listed(blobs: &Blobs, tree: BlobRef) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), tree)];
    while let Some((at, blob)) = waiting.pop() {
        let directory = Directory::decode(&blobs.get(&blob).unwrap()).unwrap();
        for file in directory.files {
            let content = String::from_utf8(blobs.get(&file.blob).unwrap().to_vec()).unwrap();
            found.push(format!("{at}{} = {content}{}", file.name, if file.is_executable { " *" } else { "" }));
        }
        found.extend(directory.symlinks.into_iter().map(|link| format!("{at}{} -> {}", link.name, link.target)));
        for below in directory.directories {
            found.push(format!("{at}{}/", below.name));
            waiting.push((format!("{at}{}/", below.name), below.blob));
        }
    }
    found.sort();
    found
}

fn outputs(paths: &[&str]) -> BTreeSet<OutputPath> {
    paths.iter().map(|path| OutputPath::new(path).unwrap()).collect()
}

impl Vfs {
    /// What should be held, and how many names each node should have, found by looking at every node.
    fn recount(&self) -> (u64, Vec<u32>, u64) {
        let (mut held, mut memory_bytes) = (0, 0);
        let mut names = vec![0; self.nodes.len()];
        names[0] = 1;
        for slot in &self.nodes {
            match &slot.node {
                Node::Directory(entries) => {
                    for (name, node) in &entries.by_name {
                        names[node.0 as usize] += 1;
                        // Root's are not the guest's.
                        held += if entries.is_writable { ENTRY_BYTES + name.len() as u64 } else { 0 };
                    }
                }
                Node::File(Content::Written { buffer, .. }) => {
                    held += buffer.len();
                    memory_bytes += buffer.memory_bytes();
                }
                Node::Link { held_bytes, .. } => held += held_bytes,
                Node::File(_) | Node::Free => {}
            }
        }
        (held, names, memory_bytes)
    }
}

/// Numbers that are the same with every run of the test.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A path of one to three of a few names, so that most lead somewhere.
    fn path(&mut self) -> String {
        let names: Vec<&str> = (0..=self.below(3)).map(|_| ["a", "bb", "ccc", ".."][self.below(4) as usize]).collect();
        format!("out/{}", names.join("/"))
    }
}

/// Does one thing that a guest can do, and keeps what it opened.
fn step(vfs: &mut Vfs, numbers: &mut Numbers, open: &mut Vec<(NodeId, Option<Listing>)>) -> Result<(), Fail> {
    let path = numbers.path();
    // From the root, or from a directory that is open and may have been removed.
    let start = match open.first() {
        Some((node, Some(_))) if numbers.below(3) == 0 => (*node, path.trim_start_matches("out/")),
        _ => (NodeId::ROOT, path.as_str()),
    };
    let place = vfs.walk(start.0, start.1, numbers.below(2) == 0)?;
    match numbers.below(12) {
        0 => vfs.make_file(&place).map(drop),
        1 | 2 => vfs.make_directory(&place),
        3 => vfs.make_link(&place, numbers.path().replace("out/", "")),
        4 => vfs.remove_file(&place),
        5 => vfs.remove_directory(&place),
        6 => {
            let to = numbers.path();
            let to = vfs.walk(NodeId::ROOT, &to, false)?;
            vfs.rename(&place, &to)
        }
        7 => {
            let to = numbers.path();
            let to = vfs.walk(NodeId::ROOT, &to, false)?;
            vfs.make_hard_link(place.existing()?, &to)
        }
        8 => vfs.write(place.existing()?, numbers.below(50), b"some bytes").map(drop),
        9 => vfs.resize(place.existing()?, numbers.below(100)),
        10 => {
            let node = place.existing()?;
            let listing = if vfs.kind(node)? == Kind::Directory { Some(vfs.list(node)?) } else { None };
            vfs.opened(node);
            open.push((node, listing));
            Ok(())
        }
        _ => {
            if !open.is_empty() {
                let (node, listing) = open.swap_remove(numbers.below(open.len() as u64) as usize);
                listing.iter().for_each(|listing| vfs.forget(listing));
                vfs.closed(node);
            }
            Ok(())
        }
    }
}

#[test]
fn what_is_counted_is_what_is_there() {
    let blobs = Arc::new(Blobs::default());
    let tree = nested(&blobs, 3);
    for seed in 0..80 {
        // Every other time in a directory that was full to begin with, and with little in memory.
        let mounts = if seed % 2 == 0 { vec![] } else { vec![("/out", tree, MountMode::CopyOnWrite)] };
        let mut vfs = mounted(&blobs, &mounts, if seed % 3 == 0 { 20 } else { u64::MAX });
        let mut numbers = Numbers(seed);
        let mut open = Vec::new();
        for _ in 0..400 {
            match step(&mut vfs, &mut numbers, &mut open) {
                Ok(()) | Err(Fail::Errno(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
            let (held, names, memory_bytes) = vfs.recount();
            assert_eq!(vfs.memory_bytes, memory_bytes, "seed {seed}");
            let listed: u64 = open.iter().filter_map(|(_, listing)| listing.as_ref()).map(|l| l.held_bytes).sum();
            assert_eq!(vfs.budget.held_bytes, held + listed, "seed {seed}");
            for (slot, names) in vfs.nodes.iter().zip(names) {
                assert_eq!(slot.names, names, "seed {seed}: {slot:?}");
                assert_eq!(matches!(slot.node, Node::Free), names == 0 && slot.descriptors == 0, "seed {seed}");
            }
        }
        for (node, listing) in open.drain(..) {
            listing.iter().for_each(|listing| vfs.forget(listing));
            vfs.closed(node);
        }
        assert_eq!(vfs.budget.held_bytes, vfs.recount().0, "seed {seed}");
    }
}

/// What is copied in pieces is whole; and a copy that takes long ends with the guest's time.
#[test]
fn large_files_are_read_and_written_whole_unless_time_is_up() {
    const LEN: usize = 2 * Patience::PIECE_BYTES + 5;
    let blobs = Arc::new(Blobs::default());
    let content: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
    let mut vfs = mounted(&blobs, &[], u64::MAX);
    let place = vfs.walk(NodeId::ROOT, "tmp/f", false).unwrap();
    let file = vfs.make_file(&place).unwrap();
    assert_eq!(vfs.write(file, 0, &content).unwrap(), LEN as u64);
    let mut read = vec![0; LEN + 9];
    assert_eq!(vfs.read(file, 3, &mut read).unwrap(), LEN - 3);
    assert!(read[..LEN - 3] == content[3..]);
    let cancel = Cancel::new();
    cancel.cancel();
    vfs.patience = Patience::new(None, cancel);
    assert!(matches!(vfs.read(file, 0, &mut read), Err(Fail::Over(Over::Cancelled))));
    assert!(matches!(vfs.write(file, 0, &content), Err(Fail::Over(Over::Cancelled))));
    assert!(matches!(vfs.append(&mut Buffer::default(), &content), Err(Fail::Over(Over::Cancelled))));
    assert!(vfs.write(file, 0, &content[..Patience::PIECE_BYTES - 9]).is_ok());
    assert!(matches!(vfs.write(file, 0, &content[..9]), Err(Fail::Over(Over::Cancelled))));
}

#[test]
fn what_a_guest_changes_is_a_copy_and_the_changed_tree_can_be_taken() {
    let blobs = Arc::new(Blobs::default());
    let tree = nested(&blobs, 2);
    let mut vfs = mounted(&blobs, &[("/w", tree, MountMode::CopyOnWrite), ("/ro", tree, MountMode::ReadOnly)], 8);
    let node = |vfs: &mut Vfs, path: &str| vfs.walk(NodeId::ROOT, path, false).unwrap().existing().unwrap();
    for path in ["ro/a", "ro/bb/a"] {
        let file = node(&mut vfs, path);
        assert!(matches!(vfs.write(file, 0, b"x"), Err(Fail::Errno(Errno::Rofs))));
        assert!(matches!(vfs.resize(file, 0), Err(Fail::Errno(Errno::Rofs))));
    }
    let (first, deep) = (node(&mut vfs, "w/a"), node(&mut vfs, "w/bb/a"));
    vfs.write(first, 0, b"CONTENT").unwrap();
    vfs.resize(deep, 7).unwrap();
    let link = vfs.walk(NodeId::ROOT, "w/ccc", false).unwrap();
    vfs.remove_file(&link).unwrap();
    let new = vfs.walk(NodeId::ROOT, "w/bb/new", false).unwrap();
    let new = vfs.make_file(&new).unwrap();
    vfs.write(new, 3, b"gap").unwrap();
    let kept = vfs.take_outputs(&outputs(&["/w"])).unwrap().unwrap();
    let expected = [
        "w/",
        "w/a = CONTENT at depth 2 *",
        "w/bb/",
        "w/bb/a = content *",
        "w/bb/bb/",
        "w/bb/bb/a = content at depth 0 *",
        "w/bb/bb/ccc -> a",
        "w/bb/ccc -> a",
        "w/bb/new = \0\0\0gap",
    ];
    assert_eq!(listed(&blobs, kept), expected);
    assert_eq!(listed(&blobs, tree).len(), 8, "the input is what it was");
}

#[test]
fn each_name_of_a_file_counts_where_it_is_left() {
    let blobs = Arc::new(Blobs::default());
    let (size, limit_bytes) = (1_000, 4_500);
    // The second name is no more than an entry for the guest, and a file for whoever copies the output; `/tmp` is nobody's.
    for (names, expected) in [(2, true), (3, true), (4, false)] {
        let spill = Spill { dir: std::env::temp_dir().into(), memory_bytes: u64::MAX };
        let mut vfs = Vfs::new(Arc::clone(&blobs) as _, limit_bytes, spill, &BTreeMap::new()).unwrap();
        let place = vfs.walk(NodeId::ROOT, "out/0", false).unwrap();
        let file = vfs.make_file(&place).unwrap();
        vfs.write(file, 0, &vec![7; size]).unwrap();
        for name in (1..names).map(|number| format!("out/{number}")).chain(["tmp/a".to_owned(), "tmp/b".to_owned()]) {
            let place = vfs.walk(NodeId::ROOT, &name, false).unwrap();
            vfs.make_hard_link(file, &place).unwrap();
        }
        let taken = vfs.take_outputs(&outputs(&[]));
        assert_eq!(taken.is_ok(), expected, "{names} names");
        assert!(taken.is_ok() || matches!(taken, Err(Fail::OutputTooLarge)));
    }
}

#[test]
fn an_unchanged_tree_is_the_same_tree() {
    let blobs = Arc::new(Blobs::default());
    let tree = nested(&blobs, 2);
    for at in ["/", "/out", "."] {
        let mut vfs = mounted(&blobs, &[(at, tree, MountMode::CopyOnWrite)], u64::MAX);
        vfs.walk(NodeId::ROOT, "out/bb", false).unwrap();
        let declared = if at == "/out" { outputs(&[]) } else { outputs(&["/"]) };
        assert_eq!(vfs.take_outputs(&declared).unwrap().unwrap(), tree, "{at}");
    }
}

#[test]
fn what_is_mounted_at_the_root_is_seen_wherever_nothing_else_is() {
    let blobs = Arc::new(Blobs::default());
    let (root, other) = (nested(&blobs, 2), nested(&blobs, 0));
    for mode in [MountMode::ReadOnly, MountMode::CopyOnWrite] {
        let mut vfs = mounted(&blobs, &[("/", root, mode), ("/bb/bb", other, MountMode::ReadOnly)], u64::MAX);
        let at = |vfs: &mut Vfs, path: &str| vfs.walk(NodeId::ROOT, path, false).unwrap().node.is_some();
        assert!(at(&mut vfs, "a") && at(&mut vfs, "bb/a") && at(&mut vfs, "bb/bb/a"));
        assert!(!at(&mut vfs, "bb/bb/bb"), "the inner one hides what is behind it");
        let place = vfs.walk(NodeId::ROOT, "out/x", false).unwrap();
        vfs.make_file(&place).unwrap();
        let place = vfs.walk(NodeId::ROOT, "new", false).unwrap();
        assert_eq!(vfs.make_file(&place).is_ok(), mode == MountMode::CopyOnWrite);
    }
}

#[test]
fn outputs_from_several_places_are_kept_in_one_tree() {
    let blobs = Arc::new(Blobs::default());
    let tree = nested(&blobs, 1);
    let mut vfs = mounted(&blobs, &[("/w", tree, MountMode::CopyOnWrite)], u64::MAX);
    for path in ["out/w", "out/other"] {
        let place = vfs.walk(NodeId::ROOT, path, false).unwrap();
        vfs.make_directory(&place).unwrap();
        let file = vfs.walk(NodeId::ROOT, &format!("{path}/f"), false).unwrap();
        vfs.make_file(&file).unwrap();
    }
    let kept = vfs.take_outputs(&outputs(&["w/f", "/w/bb"])).unwrap().unwrap();
    assert_eq!(listed(&blobs, kept), ["w/", "w/bb/", "w/bb/a = content at depth 0 *", "w/bb/ccc -> a", "w/f = "]);
    let missing = vfs.take_outputs(&outputs(&["/w/none"])).unwrap().unwrap_err();
    assert_eq!(missing.as_str(), "/w/none");
}

#[test]
fn a_large_directory_that_can_change_counts_against_the_limit() {
    let blobs = Arc::new(Blobs::default());
    let tree = nested(&blobs, 1);
    let mut vfs = mounted(&blobs, &[("/w", tree, MountMode::CopyOnWrite)], u64::MAX);
    vfs.budget.limit_bytes = 700;
    assert!(matches!(vfs.walk(NodeId::ROOT, "w/a", false), Err(Fail::OutputTooLarge)));
}
