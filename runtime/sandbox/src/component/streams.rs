//! `wasi:io/streams` and `wasi:io/error`: reading and writing without ever waiting.
//!
//! Owns: where each stream reads or writes next. Does not know: how files are kept.

use wasmtime::component::Resource;

use super::READ_BYTES_MAX;
use super::bindings::wasi::io::{error, streams};
use super::resources::{Failed, Input, Output, Pollable, Refusal};
use crate::instance::World;
use crate::vfs::Fail;

/// How much a guest is told that it may write at once. Any amount would do: nothing waits, and what is too much ends
/// the program.
const WRITE_BYTES: u64 = 1 << 20;

impl error::Host for World {}

impl error::HostError for World {
    fn to_debug_string(&mut self, failed: Resource<Failed>) -> wasmtime::Result<String> {
        let Failed(errno) = self.held.get(&failed)?;
        Ok(format!("{errno:?}").to_lowercase())
    }

    fn drop(&mut self, failed: Resource<Failed>) -> wasmtime::Result<()> {
        self.held.remove(failed).map(drop)
    }
}

impl streams::Host for World {
    fn convert_stream_error(&mut self, refusal: Refusal) -> wasmtime::Result<streams::StreamError> {
        Ok(match self.told(refusal)? {
            None => streams::StreamError::Closed,
            Some(errno) => streams::StreamError::LastOperationFailed(self.hold(Failed(errno))?),
        })
    }
}

impl World {
    /// Moves a stream on by at most `len` bytes, and hands them to `take`.
    fn advance<T>(&mut self, stream: &Resource<Input>, len: u64, take: impl FnOnce(&[u8]) -> T) -> Result<T, Refusal> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (stdin, bytes) = match *self.held.get(stream)? {
            Input::Stdin => {
                let stdin = self.stdin_bytes().map_err(Fail::Store)?;
                let start = usize::try_from(self.held.stdin_offset).unwrap_or(usize::MAX).min(stdin.len());
                (Some(stdin.slice(start..)), &[][..])
            }
            Input::File { node, offset } => (None, self.vfs.read(node, offset)?),
        };
        let bytes = stdin.as_deref().unwrap_or(bytes);
        if bytes.is_empty() && len > 0 {
            return Err(Refusal::Closed);
        }
        let bytes = bytes.get(..len).unwrap_or(bytes);
        let taken = bytes.len() as u64;
        let answer = take(bytes);
        match self.held.get_mut(stream)? {
            Input::File { offset, .. } => *offset += taken,
            Input::Stdin => self.held.stdin_offset += taken,
        }
        Ok(answer)
    }

    fn write_output(&mut self, stream: &Resource<Output>, bytes: &[u8]) -> Result<(), Refusal> {
        match *self.held.get(stream)? {
            Output::Stdout => self.write_stdout(bytes)?,
            Output::Stderr => self.write_stderr(bytes)?,
            Output::File { .. } if bytes.is_empty() => {}
            Output::File { node, offset } => {
                let at = match offset {
                    Some(offset) => offset,
                    None => self.vfs.size(node)?,
                };
                let end = self.vfs.write(node, at, bytes)?;
                if let Output::File { offset: Some(offset), .. } = self.held.get_mut(stream)? {
                    *offset = end;
                }
            }
        }
        Ok(())
    }
}

impl streams::HostInputStream for World {
    fn read(&mut self, stream: Resource<Input>, len: u64) -> Result<Vec<u8>, Refusal> {
        self.advance(&stream, len.min(READ_BYTES_MAX), <[u8]>::to_vec)
    }

    fn blocking_read(&mut self, stream: Resource<Input>, len: u64) -> Result<Vec<u8>, Refusal> {
        self.read(stream, len)
    }

    fn skip(&mut self, stream: Resource<Input>, len: u64) -> Result<u64, Refusal> {
        self.advance(&stream, len, |bytes| bytes.len() as u64)
    }

    fn blocking_skip(&mut self, stream: Resource<Input>, len: u64) -> Result<u64, Refusal> {
        self.skip(stream, len)
    }

    fn subscribe(&mut self, stream: Resource<Input>) -> wasmtime::Result<Resource<Pollable>> {
        self.held.get(&stream)?;
        self.hold(Pollable::Stream)
    }

    fn drop(&mut self, stream: Resource<Input>) -> wasmtime::Result<()> {
        if let Input::File { node, .. } = self.held.remove(stream)? {
            self.vfs.closed(node);
        }
        Ok(())
    }
}

impl streams::HostOutputStream for World {
    fn check_write(&mut self, stream: Resource<Output>) -> Result<u64, Refusal> {
        self.held.get(&stream)?;
        Ok(WRITE_BYTES)
    }

    fn write(&mut self, stream: Resource<Output>, bytes: Vec<u8>) -> Result<(), Refusal> {
        self.write_output(&stream, &bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<Output>, bytes: Vec<u8>) -> Result<(), Refusal> {
        self.write_output(&stream, &bytes)
    }

    fn flush(&mut self, stream: Resource<Output>) -> Result<(), Refusal> {
        self.held.get(&stream)?;
        Ok(())
    }

    fn blocking_flush(&mut self, stream: Resource<Output>) -> Result<(), Refusal> {
        streams::HostOutputStream::flush(self, stream)
    }

    fn subscribe(&mut self, stream: Resource<Output>) -> wasmtime::Result<Resource<Pollable>> {
        self.held.get(&stream)?;
        self.hold(Pollable::Stream)
    }

    /// As much as was said that may be written, so that the host cannot be made to write for long without a look
    /// whether the guest's time is up.
    fn write_zeroes(&mut self, stream: Resource<Output>, len: u64) -> Result<(), Refusal> {
        let len = usize::try_from(len).ok().filter(|len| *len as u64 <= WRITE_BYTES);
        let len = len.ok_or_else(|| wasmtime::Error::msg("more zeroes than may be written at once"))?;
        self.write_output(&stream, &vec![0; len])
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<Output>, len: u64) -> Result<(), Refusal> {
        self.write_zeroes(stream, len)
    }

    fn splice(&mut self, to: Resource<Output>, from: Resource<Input>, len: u64) -> Result<u64, Refusal> {
        let bytes = self.advance(&from, len.min(READ_BYTES_MAX), <[u8]>::to_vec)?;
        self.write_output(&to, &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn blocking_splice(&mut self, to: Resource<Output>, from: Resource<Input>, len: u64) -> Result<u64, Refusal> {
        self.splice(to, from, len)
    }

    fn drop(&mut self, stream: Resource<Output>) -> wasmtime::Result<()> {
        if let Output::File { node, .. } = self.held.remove(stream)? {
            self.vfs.closed(node);
        }
        Ok(())
    }
}
