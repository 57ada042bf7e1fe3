//! Memory that the controller writes while programs run.
//!
//! The loader takes each such section for data of the program, and makes a map for it. Before a program goes to the
//! kernel the user side replaces that map by the aggregate's own, pinned one. So a program knows the address of the
//! memory and needs no call to look it up, which would cost a dozen instructions for each map and frame.

use core::cell::UnsafeCell;

/// A value that may change while a program runs: to be read word by word, each once (`read_volatile`).
#[repr(transparent)]
pub struct Volatile<T>(UnsafeCell<T>);

// SAFETY: nothing but `get` is to be had, whose users must allow for changes at any time.
unsafe impl<T> Sync for Volatile<T> {}

impl<T> Volatile<T> {
    /// What the section holds; the kernel never sees it.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Its address.
    #[inline(always)]
    pub const fn get(&'static self) -> *const T {
        self.0.get()
    }
}
