//! Tap devices: interfaces whose cable ends in this program.
//!
//! When a veth cable is cut the kernel says so at once. Other devices, and these, lose their carrier as real cards do:
//! the kernel gathers such news for up to a second (`net/core/link_watch.c`), unless the device is a port of its own
//! drivers.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
};

use crate::sys;

/// The end of the cable that is ours; the interface goes when this is dropped.
#[derive(Debug)]
pub struct Tap(File);

impl Tap {
    /// Makes an interface in the calling thread's namespace.
    ///
    /// # Errors
    ///
    /// As `TUNSETIFF`.
    pub fn new(name: &str) -> io::Result<Self> {
        sys::tap(name).map(Self)
    }

    /// Gives the interface carrier, or takes it away.
    ///
    /// # Errors
    ///
    /// As `TUNSETCARRIER` (Linux 4.20).
    pub fn set_carrier(&self, on: bool) -> io::Result<()> {
        sys::set_carrier(&self.0, on)
    }

    /// Reads the next frame that the interface sent, and returns its length; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As read(2).
    pub fn read(&self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.0).read(frame) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the interface receive a frame.
    ///
    /// # Errors
    ///
    /// As write(2): the interface may be down.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.0).write(frame).map(drop)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
