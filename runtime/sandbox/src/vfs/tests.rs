//! What the filesystem counts, against what is there, after whatever a guest does.

use super::*;
use crate::instance::World;

/// A filesystem in which everything can be made, with nothing mounted.
fn writable() -> Vfs {
    let mut vfs = World::nobody().vfs;
    vfs.budget = Budget::new(u64::MAX);
    let out = vfs.add(Node::Directory(Entries::new(true, 1)));
    vfs.put(NodeId::ROOT, "out", out);
    vfs
}

impl Vfs {
    /// What should be held, and how many names each node should have, found by looking at every node.
    fn recount(&self) -> (u64, Vec<u32>) {
        let mut held = 0;
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
                Node::File(Content::Written(bytes)) => held += bytes.len() as u64,
                Node::Link(target) => held += target.len() as u64,
                Node::File(_) | Node::Free => {}
            }
        }
        (held, names)
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
    for seed in 0..50 {
        let mut vfs = writable();
        let mut numbers = Numbers(seed);
        let mut open = Vec::new();
        for _ in 0..400 {
            match step(&mut vfs, &mut numbers, &mut open) {
                Ok(()) | Err(Fail::Errno(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
            let (held, names) = vfs.recount();
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
