//! A guest's memory, seen from the host.
//!
//! Owns: checked reading and writing; whatever a guest passes, the worst that happens is `EFAULT`. Does not
//! know: what the bytes mean.

use super::errno::Errno;
use crate::vfs::PATH_BYTES_MAX;

/// The linear memory of the guest that is making a call.
pub(crate) struct Guest<'a> {
    memory: &'a mut [u8],
}

impl<'a> Guest<'a> {
    pub(crate) fn new(memory: &'a mut [u8]) -> Self {
        Self { memory }
    }

    /// The bytes at `at`.
    pub(crate) fn bytes(&self, at: u32, len: u32) -> Result<&[u8], Errno> {
        let start = at as usize;
        let end = start.checked_add(len as usize).ok_or(Errno::Fault)?;
        self.memory.get(start..end).ok_or(Errno::Fault)
    }

    /// The bytes at `at`, to write to.
    pub(crate) fn bytes_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Errno> {
        let start = at as usize;
        let end = start.checked_add(len as usize).ok_or(Errno::Fault)?;
        self.memory.get_mut(start..end).ok_or(Errno::Fault)
    }

    /// Copies `bytes` to `at`.
    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn read_u32(&self, at: u32) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u64(&self, at: u32) -> Result<u64, Errno> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u16(&self, at: u32) -> Result<u16, Errno> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u8(&self, at: u32) -> Result<u8, Errno> {
        Ok(u8::from_le_bytes(self.array(at)?))
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let len = u32::try_from(N).map_err(|_| Errno::Fault)?;
        self.bytes(at, len)?.try_into().map_err(|_| Errno::Fault)
    }

    /// A path. One that is too long is not even looked at.
    pub(crate) fn path(&self, at: u32, len: u32) -> Result<&str, Errno> {
        let bytes = self.bytes(at, len)?;
        if bytes.len() > PATH_BYTES_MAX {
            return Err(Errno::Nametoolong);
        }
        std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)
    }

    /// The `index`th of the (pointer, length) pairs at `iovs`.
    pub(crate) fn iov(&self, iovs: u32, index: u32) -> Result<(u32, u32), Errno> {
        let at = iovs.checked_add(index.checked_mul(8).ok_or(Errno::Fault)?).ok_or(Errno::Fault)?;
        Ok((self.read_u32(at)?, self.read_u32(at.checked_add(4).ok_or(Errno::Fault)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_a_fault() {
        let mut memory = [0; 16];
        let mut guest = Guest::new(&mut memory);
        assert!(guest.bytes(16, 0).is_ok());
        assert_eq!(guest.bytes(16, 1), Err(Errno::Fault));
        assert_eq!(guest.bytes(u32::MAX, u32::MAX), Err(Errno::Fault));
        assert_eq!(guest.write_u32(13, 1), Err(Errno::Fault));
        assert_eq!(guest.iov(8, u32::MAX), Err(Errno::Fault));
        assert_eq!(guest.iov(8, 0), Ok((0, 0)));
    }
}
