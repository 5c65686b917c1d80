//! `wasi:io/streams` and `wasi:io/error`: reading and writing without ever waiting.
//!
//! Owns: where each stream reads or writes next. Does not know: how files are kept.

use wasmtime::component::Resource;

use super::READ_BYTES_MAX;
use super::bindings::wasi::io::{error, streams};
use super::resources::{Failed, Input, Output, Pollable, Refusal};
use crate::instance::World;
use crate::vfs::{Fail, copy_from};

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
    /// How many bytes of a stream are to come, if there are any or none are wanted.
    fn rest(&mut self, stream: &Resource<Input>, wanted: u64) -> Result<u64, Refusal> {
        let rest = match *self.held.get(stream)? {
            Input::Stdin => self.stdin.size_bytes.saturating_sub(self.held.stdin_offset),
            Input::File { node, offset } => self.vfs.size(node)?.saturating_sub(offset),
        };
        if rest == 0 && wanted > 0 { Err(Refusal::Closed) } else { Ok(rest.min(wanted)) }
    }

    /// Takes at most `wanted` bytes of a stream.
    fn read_input(&mut self, stream: &Resource<Input>, wanted: u64) -> Result<Vec<u8>, Refusal> {
        let len = self.rest(stream, wanted.min(READ_BYTES_MAX))?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = match *self.held.get(stream)? {
            Input::Stdin => {
                let stdin = self.stdin_bytes().map_err(Fail::Store)?;
                copy_from(&stdin, self.held.stdin_offset, &mut bytes)
            }
            Input::File { node, offset } => self.vfs.read(node, offset, &mut bytes)?,
        };
        bytes.truncate(read);
        self.skip_input(stream, read as u64)?;
        Ok(bytes)
    }

    /// Moves a stream on.
    fn skip_input(&mut self, stream: &Resource<Input>, bytes: u64) -> Result<(), Refusal> {
        match self.held.get_mut(stream)? {
            Input::File { offset, .. } => *offset += bytes,
            Input::Stdin => self.held.stdin_offset += bytes,
        }
        Ok(())
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
        self.read_input(&stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<Input>, len: u64) -> Result<Vec<u8>, Refusal> {
        self.read(stream, len)
    }

    fn skip(&mut self, stream: Resource<Input>, len: u64) -> Result<u64, Refusal> {
        let len = self.rest(&stream, len)?;
        self.skip_input(&stream, len)?;
        Ok(len)
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
        let bytes = self.read_input(&from, len)?;
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
