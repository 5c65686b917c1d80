//! `wasi:filesystem`: descriptors, directories, and the error codes of the filesystem.
//!
//! Owns: what an open descriptor may be used for, and how the filesystem's answers look in preview 2. Does not know:
//! how paths are walked or bytes are kept.

use wasmtime::component::Resource;

use super::READ_BYTES_MAX;
use super::bindings::wasi::filesystem::{preopens, types};
use super::clocks::datetime;
use super::resources::{Descriptor, Entries, Failed, Input, Output, Refusal};
use crate::clock::Clock;
use crate::instance::World;
use crate::vfs::{Kind, NodeId, Opening, Place};
use crate::wasi::Errno;

/// The entries of a listing that preview 2 leaves out: `.` and `..`, which come first.
const DOTS: usize = 2;

impl Descriptor {
    fn node(self) -> NodeId {
        match self {
            Descriptor::Directory(node) | Descriptor::File { node, .. } => node,
        }
    }
}

type Answer<T> = Result<T, Refusal>;

impl World {
    fn node(&self, descriptor: &Resource<Descriptor>) -> Answer<NodeId> {
        Ok(self.held.get(descriptor)?.node())
    }

    fn directory(&self, descriptor: &Resource<Descriptor>) -> Answer<NodeId> {
        match *self.held.get(descriptor)? {
            Descriptor::Directory(node) => Ok(node),
            Descriptor::File { .. } => Err(Errno::Notdir.into()),
        }
    }

    fn readable_file(&self, descriptor: &Resource<Descriptor>) -> Answer<NodeId> {
        match *self.held.get(descriptor)? {
            Descriptor::File { node, may_read: true, .. } => Ok(node),
            Descriptor::File { .. } => Err(Errno::Badf.into()),
            Descriptor::Directory(_) => Err(Errno::Isdir.into()),
        }
    }

    fn writable_file(&self, descriptor: &Resource<Descriptor>) -> Answer<NodeId> {
        match *self.held.get(descriptor)? {
            Descriptor::File { node, may_write: true, .. } => Ok(node),
            Descriptor::File { .. } => Err(Errno::Badf.into()),
            Descriptor::Directory(_) => Err(Errno::Isdir.into()),
        }
    }

    /// Where a path leads, without following a link at its end.
    fn place(&mut self, descriptor: &Resource<Descriptor>, path: &str) -> Answer<Place> {
        let start = self.directory(descriptor)?;
        Ok(self.vfs.walk(start, path, false)?)
    }

    fn find(&mut self, descriptor: &Resource<Descriptor>, flags: types::PathFlags, path: &str) -> Answer<NodeId> {
        let start = self.directory(descriptor)?;
        Ok(self.vfs.find(start, path, flags.contains(types::PathFlags::SYMLINK_FOLLOW))?)
    }

    /// Every time is the clock's start, as in preview 1.
    fn stat_of(&self, node: NodeId) -> Answer<types::DescriptorStat> {
        let time = Some(datetime(Clock::START_NS));
        Ok(types::DescriptorStat {
            type_: type_of(self.vfs.kind(node)?),
            link_count: 1,
            size: self.vfs.size(node)?,
            data_access_timestamp: time,
            data_modification_timestamp: time,
            status_change_timestamp: time,
        })
    }

    fn open_output(&mut self, node: NodeId, offset: Option<u64>) -> Answer<Resource<Output>> {
        let stream = self.held.push(Output::File { node, offset })?;
        self.vfs.opened(node);
        Ok(stream)
    }
}

fn type_of(kind: Kind) -> types::DescriptorType {
    match kind {
        Kind::Directory => types::DescriptorType::Directory,
        Kind::File => types::DescriptorType::RegularFile,
        Kind::Link => types::DescriptorType::SymbolicLink,
    }
}

/// There is nothing in an inode's number that tells more than it does.
fn hash_of(node: NodeId) -> types::MetadataHashValue {
    types::MetadataHashValue { lower: node.inode(), upper: 0 }
}

fn code_of(errno: Errno) -> types::ErrorCode {
    use types::ErrorCode as Code;
    match errno {
        Errno::Badf => Code::BadDescriptor,
        Errno::Exist => Code::Exist,
        Errno::Fbig => Code::FileTooLarge,
        Errno::Ilseq => Code::IllegalByteSequence,
        Errno::Inval | Errno::Fault => Code::Invalid,
        Errno::Io | Errno::Success => Code::Io,
        Errno::Isdir => Code::IsDirectory,
        Errno::Loop => Code::Loop,
        // There is no code for too many descriptors.
        Errno::Mfile => Code::InsufficientMemory,
        Errno::Nametoolong => Code::NameTooLong,
        Errno::Noent => Code::NoEntry,
        Errno::Notdir => Code::NotDirectory,
        Errno::Notempty => Code::NotEmpty,
        Errno::Notsock | Errno::Notsup => Code::Unsupported,
        Errno::Perm => Code::NotPermitted,
        Errno::Rofs => Code::ReadOnly,
        Errno::Spipe => Code::InvalidSeek,
    }
}

impl preopens::Host for World {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let preopens: Vec<(String, NodeId)> =
            self.descriptors.preopens().map(|(name, node)| (name.to_owned(), node)).collect();
        let mut directories = Vec::with_capacity(preopens.len());
        for (name, node) in preopens {
            directories.push((self.hold(Descriptor::Directory(node))?, name));
            self.vfs.opened(node);
        }
        Ok(directories)
    }
}

impl types::Host for World {
    fn convert_error_code(&mut self, refusal: Refusal) -> wasmtime::Result<types::ErrorCode> {
        Ok(self.told(refusal)?.map_or(types::ErrorCode::Pipe, code_of))
    }

    fn filesystem_error_code(&mut self, failed: Resource<Failed>) -> wasmtime::Result<Option<types::ErrorCode>> {
        let Failed(errno) = *self.held.get(&failed)?;
        Ok(Some(code_of(errno)))
    }
}

impl types::HostDescriptor for World {
    fn read_via_stream(&mut self, file: Resource<Descriptor>, offset: u64) -> Answer<Resource<Input>> {
        let node = self.readable_file(&file)?;
        let stream = self.held.push(Input::File { node, offset })?;
        self.vfs.opened(node);
        Ok(stream)
    }

    fn write_via_stream(&mut self, file: Resource<Descriptor>, offset: u64) -> Answer<Resource<Output>> {
        let node = self.writable_file(&file)?;
        self.open_output(node, Some(offset))
    }

    fn append_via_stream(&mut self, file: Resource<Descriptor>) -> Answer<Resource<Output>> {
        let node = self.writable_file(&file)?;
        self.open_output(node, None)
    }

    fn advise(&mut self, file: Resource<Descriptor>, _: u64, _: u64, _: types::Advice) -> Answer<()> {
        match self.held.get(&file)? {
            Descriptor::File { .. } => Ok(()),
            Descriptor::Directory(_) => Err(Errno::Isdir.into()),
        }
    }

    /// What was written is where it stays: in memory.
    fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        self.node(&descriptor).map(drop)
    }

    fn sync(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        self.node(&descriptor).map(drop)
    }

    /// As the rights of preview 1: what may be tried with a directory does not say that it will be let.
    fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> Answer<types::DescriptorFlags> {
        use types::DescriptorFlags as Flags;
        let mut flags = Flags::empty();
        match *self.held.get(&descriptor)? {
            Descriptor::Directory(_) => flags |= Flags::READ | Flags::MUTATE_DIRECTORY,
            Descriptor::File { may_read, may_write, .. } => {
                if may_read {
                    flags |= Flags::READ;
                }
                if may_write {
                    flags |= Flags::WRITE;
                }
            }
        }
        Ok(flags)
    }

    fn get_type(&mut self, descriptor: Resource<Descriptor>) -> Answer<types::DescriptorType> {
        let node = self.node(&descriptor)?;
        Ok(type_of(self.vfs.kind(node)?))
    }

    fn set_size(&mut self, file: Resource<Descriptor>, size: u64) -> Answer<()> {
        let node = self.writable_file(&file)?;
        Ok(self.vfs.resize(node, size)?)
    }

    /// Every time is the clock's start and stays so.
    fn set_times(
        &mut self,
        descriptor: Resource<Descriptor>,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> Answer<()> {
        self.node(&descriptor).map(drop)
    }

    fn set_times_at(
        &mut self,
        directory: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> Answer<()> {
        self.find(&directory, flags, &path).map(drop)
    }

    fn read(&mut self, file: Resource<Descriptor>, len: u64, offset: u64) -> Answer<(Vec<u8>, bool)> {
        let node = self.readable_file(&file)?;
        let rest = self.vfs.size(node)?.saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(len.min(READ_BYTES_MAX).min(rest)).unwrap_or(0)];
        let read = self.vfs.read(node, offset, &mut bytes)?;
        bytes.truncate(read);
        Ok((bytes, read as u64 == rest))
    }

    fn write(&mut self, file: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> Answer<u64> {
        let node = self.writable_file(&file)?;
        if !bytes.is_empty() {
            self.vfs.write(node, offset, &bytes)?;
        }
        Ok(bytes.len() as u64)
    }

    fn read_directory(&mut self, directory: Resource<Descriptor>) -> Answer<Resource<Entries>> {
        let node = self.directory(&directory)?;
        if self.held.is_full() {
            return Err(Errno::Mfile.into());
        }
        let listing = self.vfs.list(node)?;
        Ok(self.held.push(Entries { listing, next: DOTS })?)
    }

    fn create_directory_at(&mut self, directory: Resource<Descriptor>, path: String) -> Answer<()> {
        let place = self.place(&directory, &path)?;
        Ok(self.vfs.make_directory(&place)?)
    }

    fn stat(&mut self, descriptor: Resource<Descriptor>) -> Answer<types::DescriptorStat> {
        let node = self.node(&descriptor)?;
        self.stat_of(node)
    }

    fn stat_at(
        &mut self,
        directory: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Answer<types::DescriptorStat> {
        let node = self.find(&directory, flags, &path)?;
        self.stat_of(node)
    }

    fn link_at(
        &mut self,
        directory: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        to_directory: Resource<Descriptor>,
        to_path: String,
    ) -> Answer<()> {
        // As in preview 1: a link itself cannot be linked to.
        if flags.contains(types::PathFlags::SYMLINK_FOLLOW) {
            return Err(Errno::Inval.into());
        }
        let from = self.place(&directory, &path)?.existing()?;
        let to = self.place(&to_directory, &to_path)?;
        Ok(self.vfs.make_hard_link(from, &to)?)
    }

    fn open_at(
        &mut self,
        directory: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let start = self.directory(&directory)?;
        // Before anything is made or cut.
        if self.held.is_full() {
            return Err(Errno::Mfile.into());
        }
        let may_write = flags.contains(types::DescriptorFlags::WRITE);
        let opening = Opening {
            follow: path_flags.contains(types::PathFlags::SYMLINK_FOLLOW),
            create: open_flags.contains(types::OpenFlags::CREATE),
            directory: open_flags.contains(types::OpenFlags::DIRECTORY),
            exclusive: open_flags.contains(types::OpenFlags::EXCLUSIVE),
            truncate: open_flags.contains(types::OpenFlags::TRUNCATE),
            write: may_write,
        };
        let (node, is_directory) = self.vfs.open(start, &path, opening)?;
        let may_read = flags.contains(types::DescriptorFlags::READ);
        let opened =
            if is_directory { Descriptor::Directory(node) } else { Descriptor::File { node, may_read, may_write } };
        let descriptor = self.held.push(opened)?;
        self.vfs.opened(node);
        Ok(descriptor)
    }

    fn readlink_at(&mut self, directory: Resource<Descriptor>, path: String) -> Answer<String> {
        let node = self.place(&directory, &path)?.existing()?;
        Ok(self.vfs.link_target(node)?.to_owned())
    }

    fn remove_directory_at(&mut self, directory: Resource<Descriptor>, path: String) -> Answer<()> {
        let place = self.place(&directory, &path)?;
        Ok(self.vfs.remove_directory(&place)?)
    }

    fn rename_at(
        &mut self,
        directory: Resource<Descriptor>,
        path: String,
        to_directory: Resource<Descriptor>,
        to_path: String,
    ) -> Answer<()> {
        let from = self.place(&directory, &path)?;
        let to = self.place(&to_directory, &to_path)?;
        Ok(self.vfs.rename(&from, &to)?)
    }

    fn symlink_at(&mut self, directory: Resource<Descriptor>, target: String, path: String) -> Answer<()> {
        let place = self.place(&directory, &path)?;
        Ok(self.vfs.make_link(&place, target)?)
    }

    fn unlink_file_at(&mut self, directory: Resource<Descriptor>, path: String) -> Answer<()> {
        let place = self.place(&directory, &path)?;
        Ok(self.vfs.remove_file(&place)?)
    }

    fn is_same_object(&mut self, one: Resource<Descriptor>, other: Resource<Descriptor>) -> wasmtime::Result<bool> {
        Ok(self.held.get(&one)?.node() == self.held.get(&other)?.node())
    }

    fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> Answer<types::MetadataHashValue> {
        self.node(&descriptor).map(hash_of)
    }

    fn metadata_hash_at(
        &mut self,
        directory: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Answer<types::MetadataHashValue> {
        self.find(&directory, flags, &path).map(hash_of)
    }

    fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        let closed = self.held.remove(descriptor)?;
        self.vfs.closed(closed.node());
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for World {
    fn read_directory_entry(&mut self, entries: Resource<Entries>) -> Answer<Option<types::DirectoryEntry>> {
        let entries = self.held.get_mut(&entries)?;
        let Some(listed) = entries.listing.entries.get(entries.next) else { return Ok(None) };
        entries.next += 1;
        Ok(Some(types::DirectoryEntry { type_: type_of(listed.kind), name: listed.name.clone() }))
    }

    fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        let closed = self.held.remove(entries)?;
        self.vfs.forget(&closed.listing);
        Ok(())
    }
}
