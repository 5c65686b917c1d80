//! What the interfaces answer, asked as wasmtime asks them.

use super::bindings::wasi::cli::{stdin, stdout};
use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::filesystem::preopens::Host as _;
use super::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor as Descriptors,
    HostDirectoryEntryStream as EntryStreams, OpenFlags, PathFlags,
};
use super::bindings::wasi::io::poll::{Host as _, HostPollable as Pollables};
use super::bindings::wasi::io::streams::{
    Host as _, HostInputStream as Inputs, HostOutputStream as Outputs, StreamError,
};
use super::bindings::wasi::random::random::Host as _;
use super::resources::Descriptor;
use super::*;
use crate::vfs::Spill;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wasmill_model::port::{BlobStore, StoreError};
use wasmill_model::{Action, BlobRef, Digest, Floats, GuestPath, Limits, Mount};

/// A store with one blob.
struct OneBlob(bytes::Bytes);

impl BlobStore for OneBlob {
    fn get(&self, _: &BlobRef) -> Result<bytes::Bytes, StoreError> {
        Ok(self.0.clone())
    }
    fn find(&self, _: &Digest) -> Result<Option<BlobRef>, StoreError> {
        Ok(Some(BlobRef::of(&self.0)))
    }
    fn put(&self, bytes: bytes::Bytes) -> Result<BlobRef, StoreError> {
        Ok(BlobRef::of(&bytes))
    }
    fn put_reader(&self, _: &mut dyn std::io::Read) -> Result<BlobRef, StoreError> {
        Ok(BlobRef::EMPTY)
    }
}

/// A world with `text` as its standard input and as the file `/in/text`, and 100 kB to write.
fn world(text: &[u8]) -> World {
    let blob = BlobRef::of(text);
    let action = Action {
        abi: 1,
        module: Digest::EMPTY,
        args: Vec::new(),
        env: BTreeMap::new(),
        stdin: blob,
        mounts: BTreeMap::from([(
            GuestPath::new("/in/text").unwrap(),
            Mount::File { blob, is_executable: false }.into(),
        )]),
        outputs: BTreeSet::new(),
        seed: 0,
        limits: Limits { output_bytes: 100_000, ..Limits::default() },
        fuel_schedule: 0,
        floats: Floats::Canonical,
    };
    let spill = Spill { dir: std::env::temp_dir().into(), memory_bytes: 1 << 20 };
    let blobs: Arc<dyn BlobStore> = Arc::new(OneBlob(text.to_vec().into()));
    World::new(&action, action.key(), &blobs, spill).map_err(|fail| format!("{fail:?}")).unwrap()
}

/// The same resource, as wasmtime lends it for a call.
fn lent<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn preopen(world: &mut World, name: &str) -> Resource<Descriptor> {
    let directories = world.get_directories().unwrap();
    directories.into_iter().find(|(_, at)| at == name).unwrap().0
}

fn open(
    world: &mut World,
    at: &str,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Resource<Descriptor>, ErrorCode> {
    let start = preopen(world, at);
    let opened = world.open_at(start, PathFlags::SYMLINK_FOLLOW, path.to_owned(), open, flags);
    opened.map_err(|refusal| world.convert_error_code(refusal).unwrap())
}

fn code<T: std::fmt::Debug>(world: &mut World, answer: Result<T, Refusal>) -> ErrorCode {
    world.convert_error_code(answer.unwrap_err()).unwrap()
}

fn both() -> DescriptorFlags {
    DescriptorFlags::READ | DescriptorFlags::WRITE
}

#[test]
fn preopens_are_those_of_preview_1() {
    let mut world = world(b"");
    let names: Vec<String> = world.get_directories().unwrap().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["/", "/out", "/tmp", "/in"]);
}

#[test]
fn a_file_is_written_and_read_at_places_of_its_own() {
    let mut world = world(b"");
    let file = open(&mut world, "/out", "f", OpenFlags::CREATE, both()).unwrap();
    assert_eq!(Descriptors::write(&mut world, lent(&file), b"0123456789".to_vec(), 0).unwrap(), 10);
    let stream = world.write_via_stream(lent(&file), 4).unwrap();
    Outputs::write(&mut world, lent(&stream), b"ab".to_vec()).unwrap();
    Outputs::write(&mut world, lent(&stream), b"c".to_vec()).unwrap();
    world.write_zeroes(lent(&stream), 1).unwrap();
    let end = world.append_via_stream(lent(&file)).unwrap();
    Outputs::write(&mut world, lent(&end), b"X".to_vec()).unwrap();
    assert_eq!(Descriptors::read(&mut world, lent(&file), 100, 0).unwrap(), (b"0123abc\089X".to_vec(), true));
    assert_eq!(Descriptors::read(&mut world, lent(&file), 2, 9).unwrap(), (b"9X".to_vec(), true));
    assert_eq!(Descriptors::read(&mut world, lent(&file), 1, 9).unwrap(), (b"9".to_vec(), false));
    assert_eq!(Descriptors::read(&mut world, lent(&file), 1, u64::MAX).unwrap(), (Vec::new(), true));

    let input = world.read_via_stream(lent(&file), 2).unwrap();
    assert_eq!(Inputs::skip(&mut world, lent(&input), 2).unwrap(), 2);
    assert_eq!(Inputs::read(&mut world, lent(&input), 3).unwrap(), b"abc");
    assert_eq!(world.splice(lent(&end), lent(&input), 3).unwrap(), 3);
    assert_eq!(Inputs::read(&mut world, lent(&input), 0).unwrap(), b"");
    assert_eq!(Inputs::read(&mut world, lent(&input), 9).unwrap(), b"X\089");
    let closed = Inputs::read(&mut world, lent(&input), 9).unwrap_err();
    assert!(matches!(world.convert_stream_error(closed).unwrap(), StreamError::Closed));

    world.set_size(lent(&file), 3).unwrap();
    let stat = world.stat(lent(&file)).unwrap();
    assert_eq!((stat.size, stat.link_count, stat.type_), (3, 1, DescriptorType::RegularFile));
    assert_eq!(stat.data_modification_timestamp.unwrap().seconds, 946_684_800);
}

#[test]
fn a_removed_file_lives_as_long_as_its_streams() {
    let mut world = world(b"");
    let file = open(&mut world, "/tmp", "f", OpenFlags::CREATE, both()).unwrap();
    Descriptors::write(&mut world, lent(&file), vec![7; 60_000], 0).unwrap();
    let input = world.read_via_stream(lent(&file), 59_999).unwrap();
    Descriptors::drop(&mut world, file).unwrap();
    let directory = preopen(&mut world, "/tmp");
    world.unlink_file_at(lent(&directory), "f".to_owned()).unwrap();
    assert_eq!(Inputs::read(&mut world, lent(&input), 9).unwrap(), [7]);
    // Its bytes count until then.
    let other = open(&mut world, "/tmp", "g", OpenFlags::CREATE, both()).unwrap();
    let refusal = Descriptors::write(&mut world, lent(&other), vec![7; 60_000], 0).unwrap_err();
    assert!(matches!(refusal, Refusal::Fail(Fail::OutputTooLarge)));
    Inputs::drop(&mut world, input).unwrap();
    assert_eq!(Descriptors::write(&mut world, lent(&other), vec![7; 60_000], 0).unwrap(), 60_000);
}

#[test]
fn errors_have_the_codes_of_the_standard() {
    let mut world = world(b"text");
    let none = OpenFlags::empty();
    let read = DescriptorFlags::READ;
    for (at, path, how, flags, wanted) in [
        ("/", "nowhere", none, read, ErrorCode::NoEntry),
        ("/", "/out", none, read, ErrorCode::NotPermitted),
        ("/out", "../in/text", none, read, ErrorCode::NotPermitted),
        ("/in", "text", none, both(), ErrorCode::ReadOnly),
        ("/in", "text", OpenFlags::DIRECTORY, read, ErrorCode::NotDirectory),
        ("/in", "new", OpenFlags::CREATE, both(), ErrorCode::ReadOnly),
        ("/", "out", none, both(), ErrorCode::IsDirectory),
        ("/in", "text", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, read, ErrorCode::Exist),
        ("/in", &"x".repeat(256), none, read, ErrorCode::NameTooLong),
        ("/in", &"x/".repeat(3000), none, read, ErrorCode::NameTooLong),
    ] {
        assert_eq!(open(&mut world, at, path, how, flags).unwrap_err(), wanted, "{at} {path}");
    }
    let text = open(&mut world, "/in", "text", none, read).unwrap();
    let answer = world.write_via_stream(lent(&text), 0);
    assert_eq!(code(&mut world, answer), ErrorCode::BadDescriptor);
    let answer = world.stat_at(lent(&text), PathFlags::empty(), "x".to_owned());
    assert_eq!(code(&mut world, answer), ErrorCode::NotDirectory);
    let directory = preopen(&mut world, "/out");
    let answer = world.read_via_stream(lent(&directory), 0);
    assert_eq!(code(&mut world, answer), ErrorCode::IsDirectory);
    for target in ["/etc/passwd", ""] {
        let answer = world.symlink_at(lent(&directory), target.to_owned(), "l".to_owned());
        assert!(matches!(code(&mut world, answer), ErrorCode::NotPermitted | ErrorCode::NoEntry));
    }
    let answer = world.remove_directory_at(lent(&directory), ".".to_owned());
    assert_eq!(code(&mut world, answer), ErrorCode::Invalid);
    // A stream's error says what the filesystem said.
    let out = world.vfs.out();
    let stream = world.hold(resources::Output::File { node: out, offset: Some(0) }).unwrap();
    let refusal = Outputs::write(&mut world, stream, b"x".to_vec()).unwrap_err();
    let StreamError::LastOperationFailed(failed) = world.convert_stream_error(refusal).unwrap() else { panic!() };
    assert_eq!(world.filesystem_error_code(failed).unwrap(), Some(ErrorCode::IsDirectory));
}

#[test]
fn directories_are_listed_by_name_as_they_were() {
    let mut world = world(b"");
    let directory = preopen(&mut world, "/out");
    for name in ["b", "a"] {
        open(&mut world, "/out", name, OpenFlags::CREATE, both()).unwrap();
    }
    world.create_directory_at(lent(&directory), "c".to_owned()).unwrap();
    world.symlink_at(lent(&directory), "a".to_owned(), "d".to_owned()).unwrap();
    let entries = world.read_directory(lent(&directory)).unwrap();
    world.unlink_file_at(lent(&directory), "b".to_owned()).unwrap();
    let mut listed = Vec::new();
    while let Some(entry) = world.read_directory_entry(lent(&entries)).unwrap() {
        listed.push((entry.name, entry.type_));
    }
    let wanted = [
        ("a", DescriptorType::RegularFile),
        ("b", DescriptorType::RegularFile),
        ("c", DescriptorType::Directory),
        ("d", DescriptorType::SymbolicLink),
    ];
    assert_eq!(listed, wanted.map(|(name, ty)| (name.to_owned(), ty)));
    EntryStreams::drop(&mut world, entries).unwrap();
    assert_eq!(world.readlink_at(lent(&directory), "d".to_owned()).unwrap(), "a");
    world.rename_at(lent(&directory), "a".to_owned(), lent(&directory), "c/e".to_owned()).unwrap();
    let hash = world.metadata_hash_at(lent(&directory), PathFlags::empty(), "c/e".to_owned()).unwrap();
    let file = open(&mut world, "/out", "c/e", OpenFlags::empty(), both()).unwrap();
    assert_eq!(world.metadata_hash(lent(&file)).unwrap().lower, hash.lower);
    let same = open(&mut world, "/", "out/c/e", OpenFlags::empty(), both()).unwrap();
    assert!(world.is_same_object(lent(&file), same).unwrap());
    assert!(!world.is_same_object(file, directory).unwrap());
}

#[test]
fn standard_input_is_read_once_and_output_is_kept() {
    let mut world = world(&[b'x'; 100_000]);
    let first = stdin::Host::get_stdin(&mut world).unwrap();
    let second = stdin::Host::get_stdin(&mut world).unwrap();
    assert_eq!(Inputs::read(&mut world, lent(&first), u64::MAX).unwrap().len(), 64 << 10, "no more than this at once");
    assert_eq!(Inputs::skip(&mut world, lent(&second), u64::MAX).unwrap(), 100_000 - (64 << 10));
    assert!(matches!(Inputs::read(&mut world, first, 1), Err(Refusal::Closed)));
    let out = stdout::Host::get_stdout(&mut world).unwrap();
    Outputs::write(&mut world, lent(&out), vec![b'y'; 99_000]).unwrap();
    assert!(matches!(world.write_zeroes(lent(&out), u64::MAX), Err(Refusal::Trap(_))));
    let refusal = Outputs::write(&mut world, out, vec![b'z'; 99_000]).unwrap_err();
    assert!(matches!(refusal, Refusal::Fail(Fail::OutputTooLarge)));
    assert!(world.convert_stream_error(refusal).is_err(), "it is stopped, not told");
    assert_eq!(world.stdout.len(), 100_000);
}

#[test]
fn waiting_takes_no_time_and_comes_to_an_end() {
    let mut world = world(b"");
    let begin = monotonic_clock::Host::now(&mut world).unwrap();
    let soon = monotonic_clock::Host::subscribe_duration(&mut world, 5_000).unwrap();
    let late = monotonic_clock::Host::subscribe_duration(&mut world, 3_600_000_000_000).unwrap();
    let never = monotonic_clock::Host::subscribe_instant(&mut world, u64::MAX).unwrap();
    let stream = stdin::Host::get_stdin(&mut world).unwrap();
    let stream = Inputs::subscribe(&mut world, stream).unwrap();
    assert_eq!(world.poll(vec![lent(&late), lent(&stream)]).unwrap(), [1], "a stream is ready");
    assert_eq!(world.poll(vec![lent(&never), lent(&late), lent(&soon)]).unwrap(), [2]);
    assert!(!Pollables::ready(&mut world, lent(&late)).unwrap());
    world.block(lent(&late)).unwrap();
    assert!(Pollables::ready(&mut world, lent(&late)).unwrap());
    let now = monotonic_clock::Host::now(&mut world).unwrap();
    assert!((begin + 3_600_000_000_000..begin + 3_600_001_000_000).contains(&now));
    let mut asked = 0;
    let soon = monotonic_clock::Host::subscribe_duration(&mut world, 50_000).unwrap();
    while !Pollables::ready(&mut world, lent(&soon)).unwrap() {
        asked += 1;
    }
    assert!(asked <= 50, "asking takes time");
    assert!(world.poll(Vec::new()).is_err());
}

#[test]
fn what_is_held_open_is_bounded_and_given_back() {
    let mut world = world(b"");
    let mut held = Vec::new();
    while let Ok(pollable) = monotonic_clock::Host::subscribe_instant(&mut world, 0) {
        held.push(pollable);
    }
    assert_eq!(held.len(), 4096);
    Pollables::drop(&mut world, held.pop().unwrap()).unwrap();
    let out = world.vfs.out();
    let directory = world.hold(Descriptor::Directory(out)).unwrap();
    let answer = world.open_at(lent(&directory), PathFlags::empty(), "f".to_owned(), OpenFlags::CREATE, both());
    assert_eq!(code(&mut world, answer), ErrorCode::InsufficientMemory);
    Pollables::drop(&mut world, held.pop().unwrap()).unwrap();
    let answer = world.stat_at(lent(&directory), PathFlags::empty(), "f".to_owned());
    assert_eq!(code(&mut world, answer), ErrorCode::NoEntry, "it was not made");
    world.open_at(lent(&directory), PathFlags::empty(), "f".to_owned(), OpenFlags::CREATE, both()).unwrap();
    assert!(world.get_random_bytes(1 << 40).is_err());
    assert_eq!(world.get_random_bytes(1000).unwrap().len(), 1000);
}
