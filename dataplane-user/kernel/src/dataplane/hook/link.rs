//! bpf(2) links to interfaces.
#![allow(unsafe_code, reason = "aya 0.14 can neither make a netkit link nor swap the program in one, nor detach any")]

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd},
    path::Path,
};

use aggctl_common::IfIndex;
use aya_obj::generated::{
    bpf_attach_type,
    bpf_cmd::{BPF_LINK_CREATE, BPF_LINK_DETACH, BPF_LINK_UPDATE, BPF_PROG_QUERY},
};
use bytemuck::{Pod, Zeroable};

use crate::dataplane::bpf::{call, call_back, info_of, number, open_pin, pin};

/// The most programs that a hook has (`BPF_MPROG_MAX` of include/linux/bpf_mprog.h).
const MOST_PROGRAMS: usize = 64;

/// A link that holds a program to an interface.
#[derive(Debug)]
pub(super) struct BpfLink(OwnedFd);

/// What a link holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkTarget {
    /// The kernel's number of the program.
    pub(super) program: u32,
    /// The interface; [`IfIndex::NONE`] if that is gone.
    pub(super) index: IfIndex,
}

impl BpfLink {
    /// Attaches a program to an interface, behind those that are attached there. The flags are those of the hook.
    pub(super) fn create(
        program: BorrowedFd<'_>,
        index: IfIndex,
        hook: bpf_attach_type,
        flags: u32,
    ) -> io::Result<Self> {
        let attributes = [number(program), index.0, hook as u32, flags];
        // SAFETY: the attributes have no addresses; the file descriptor that this makes is ours alone.
        unsafe { Ok(Self(OwnedFd::from_raw_fd(call(BPF_LINK_CREATE, &attributes)?))) }
    }

    /// Puts another program in the place of the one that it holds, without a gap.
    pub(super) fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let attributes = [number(self.0.as_fd()), number(program), 0, 0]; // link, program, flags, none to compare with
        // SAFETY: the attributes have no addresses.
        unsafe { call(BPF_LINK_UPDATE, &attributes) }.map(drop)
    }

    /// Takes the program off at once; the link holds it to nothing from then on.
    pub(super) fn detach(&self) -> io::Result<()> {
        // SAFETY: the attributes have no addresses.
        unsafe { call(BPF_LINK_DETACH, &[number(self.0.as_fd())]) }.map(drop)
    }

    /// What it holds.
    pub(super) fn held(&self) -> io::Result<LinkTarget> {
        let mut info = Info::default();
        info_of(self.0.as_fd(), &mut info)?;
        Ok(LinkTarget { program: info.program, index: IfIndex(info.index) })
    }

    /// Lets it outlive the process.
    pub(super) fn pin(&self, path: &Path) -> io::Result<()> {
        pin(self.0.as_fd(), path)
    }

    /// Opens a pinned one, if there is one.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        open_pin(path).map(|fd| fd.map(Self))
    }
}

/// The numbers of the programs on a hook of an interface, in the order in which they see frames.
pub(super) fn programs(index: IfIndex, hook: bpf_attach_type) -> io::Result<Vec<u32>> {
    /// The beginning of the attributes of `BPF_PROG_QUERY`. The kernel fills in how many programs there are.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Programs {
        index: u32,
        hook: u32,
        query_flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        padding: u32,
        program_flags: u64,
        links: u64,
        link_flags: u64,
        revision: u64,
    }
    let mut programs = [0_u32; MOST_PROGRAMS];
    let mut attributes = Programs {
        index: index.0,
        hook: hook as u32,
        programs: programs.as_mut_ptr().expose_provenance() as u64,
        #[allow(clippy::cast_possible_truncation, reason = "64")]
        count: MOST_PROGRAMS as u32,
        ..Programs::zeroed()
    };
    // SAFETY: the address is that of an array of as many numbers as the attributes say, which lives through the call.
    unsafe { call_back(BPF_PROG_QUERY, &mut attributes) }?;
    Ok(programs.into_iter().take(attributes.count as usize).collect())
}

/// The beginning of `struct bpf_link_info`, as it is for links to interfaces.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Info {
    kind: u32,
    id: u32,
    program: u32,
    /// What follows is aligned to eight octets.
    padding: u32,
    index: u32,
    hook: u32,
}
