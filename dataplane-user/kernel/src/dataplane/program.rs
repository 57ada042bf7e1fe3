//! What programs of others are called.
#![allow(unsafe_code, reason = "the commands take addresses and make file descriptors")]

use std::{
    io,
    os::fd::{AsFd as _, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::bpf_cmd::BPF_PROG_GET_FD_BY_ID;
use bytemuck::{Pod, Zeroable};

use super::bpf::{call, info_of};
use crate::netlink::tlv::string_of;

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Info {
    before: [u8; 64],
    name: [u8; 16],
}

/// The name of the program with this number, which may be empty.
///
/// # Errors
///
/// If there is none, or the kernel does not say.
pub fn name(id: u32) -> io::Result<String> {
    // SAFETY: the attributes have no addresses; the file descriptor that this makes is ours alone.
    let program = unsafe { OwnedFd::from_raw_fd(call(BPF_PROG_GET_FD_BY_ID, &id)?) };
    let mut info = Info::zeroed();
    info_of(program.as_fd(), &mut info)?;
    Ok(string_of(&info.name))
}
