//! The value of a pinned array map, mapped into this process: what is stored there, the programs read with the next
//! frame.
#![allow(unsafe_code, reason = "maps the memory of an eBPF array")]

use std::{
    io,
    os::fd::AsFd as _,
    ptr::{self, NonNull},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::{error::DataplaneError, maps, pins::Pins};

/// The memory of a value. All access must be through atomics: programs and other processes change it meanwhile.
///
/// Minimum kernel version: 5.5 (`BPF_F_MMAPABLE`).
#[derive(Debug)]
pub(super) struct Mapped {
    memory: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread, and all access is through atomics.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps the first `length` octets of the value of a pinned map. At least as many it must have.
    pub(super) fn open(pins: &Pins, name: &'static str, length: usize) -> Result<Self, DataplaneError> {
        let failed = |errno: rustix::io::Errno| DataplaneError::map(name, "mmap", io::Error::from(errno));
        let map = maps::open(pins, name)?;
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing that Rust knows of.
        let memory = unsafe {
            mmap(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, map.fd().as_fd(), 0)
        };
        let memory = NonNull::new(memory.map_err(failed)?.cast()).ok_or_else(|| failed(rustix::io::Errno::FAULT))?;
        Ok(Self { memory, length })
    }

    /// Where it begins: at a page. Valid as long as `self`.
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.memory
    }

    /// Its length in octets.
    pub(super) const fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `open` with this length, and nothing refers to it any more. It cannot fail
        // for a mapping that exists.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), self.length) };
    }
}
