//! The bpf(2) system call, for what the loader has no calls for.
#![allow(unsafe_code, reason = "the commands take addresses and make file descriptors")]

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya::maps::MapType;
use aya_obj::generated::{
    BPF_F_MMAPABLE,
    bpf_cmd::{
        self, BPF_MAP_CREATE, BPF_MAP_FREEZE, BPF_MAP_GET_FD_BY_ID, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_BATCH,
        BPF_MAP_UPDATE_ELEM, BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, BPF_OBJ_PIN,
    },
};
use bytemuck::{Pod, Zeroable};
use rustix::io::Errno;

/// A command of bpf(2). What the attributes leave out is zero. Returns the new file descriptor of commands that make
/// one.
///
/// # Safety
///
/// Addresses among the attributes must lead to what the command reads or writes there.
pub(super) unsafe fn call(command: bpf_cmd, attributes: &impl Pod) -> io::Result<RawFd> {
    let attributes = bytemuck::bytes_of(attributes);
    // SAFETY: the kernel reads no more of the attributes than their size; the caller answers for the addresses among
    // them.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, attributes.as_ptr(), attributes.len()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { RawFd::try_from(result).map_err(io::Error::other) }
}

/// A command of bpf(2) that writes its answer into the attributes.
///
/// # Safety
///
/// As for [`call`].
pub(super) unsafe fn call_back(command: bpf_cmd, attributes: &mut impl Pod) -> io::Result<()> {
    let attributes = bytemuck::bytes_of_mut(attributes);
    // SAFETY: the kernel reads and writes no more of the attributes than their size; the caller answers for the
    // addresses among them.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, attributes.as_mut_ptr(), attributes.len()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A file descriptor as bpf(2) wants it.
pub(super) fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Attributes of `BPF_OBJ_PIN` and `BPF_OBJ_GET`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Pin {
    /// Address of the path.
    path: u64,
    /// What to pin.
    fd: u32,
    /// None are used.
    flags: u32,
}

/// Lets a map, program or link outlive the process.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let place = Pin { path: path.as_ptr().expose_provenance() as u64, fd: number(object), flags: 0 };
    // SAFETY: the address is that of a string with a final zero, which lives through the call.
    unsafe { call(BPF_OBJ_PIN, &place) }.map(drop)
}

/// Opens a pinned map, program or link, if there is one.
pub(super) fn open_pin(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let place = Pin { path: path.as_ptr().expose_provenance() as u64, fd: 0, flags: 0 };
    // SAFETY: the address is that of a string with a final zero, which lives through the call.
    match unsafe { call(BPF_OBJ_GET, &place) } {
        // SAFETY: the kernel made this file descriptor for us alone.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the beginning of what the kernel tells of a map, program or link.
pub(super) fn info_of<T: Pod>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    /// Attributes of `BPF_OBJ_GET_INFO_BY_FD`.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Query {
        fd: u32,
        length: u32,
        info: u64,
    }
    let query = Query {
        fd: number(object),
        length: u32::try_from(size_of::<T>()).map_err(io::Error::other)?,
        info: std::ptr::from_mut(info).expose_provenance() as u64,
    };
    // SAFETY: the address is that of a value that lives through the call, may be written to up to the length, and
    // allows any octets.
    unsafe { call(BPF_OBJ_GET_INFO_BY_FD, &query) }.map(drop)
}

/// What a map looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MapShape {
    /// Its kind.
    pub(super) kind: MapType,
    /// Octets of a key.
    pub(super) key: u32,
    /// Octets of a value.
    pub(super) value: u32,
    /// How many entries it has.
    pub(super) entries: u32,
    /// Its flags.
    pub(super) flags: u32,
}

impl MapShape {
    /// An array without flags.
    pub(super) const fn array(value: u32, entries: u32) -> Self {
        Self { kind: MapType::Array, key: 4, value, entries, flags: 0 }
    }

    /// An array of one value, which processes can map into their memory.
    pub(super) const fn shared(value: u32) -> Self {
        Self { flags: BPF_F_MMAPABLE, ..Self::array(value, 1) }
    }
}

/// Makes a map. One of maps needs one that they are all like. The name is for people; what is beyond 15 octets is left
/// out.
pub(super) fn create_map(name: &str, shape: MapShape, like: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    /// The beginning of the attributes of `BPF_MAP_CREATE`.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Create {
        kind: u32,
        key: u32,
        value: u32,
        entries: u32,
        flags: u32,
        inner: u32,
        numa: u32,
        name: [u8; 16],
    }
    let mut octets = [0; 16];
    octets.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
    let attributes = Create {
        kind: shape.kind as u32,
        key: shape.key,
        value: shape.value,
        entries: shape.entries,
        flags: shape.flags,
        inner: like.map_or(0, number),
        numa: 0,
        name: octets,
    };
    // SAFETY: the attributes have no addresses; the file descriptor that this makes is ours alone.
    unsafe { Ok(OwnedFd::from_raw_fd(call(BPF_MAP_CREATE, &attributes)?)) }
}

/// Makes a map of one map like `inner`.
pub(super) fn create_outer(name: &str, inner: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    create_map(name, MapShape { kind: MapType::ArrayOfMaps, ..MapShape::array(4, 1) }, Some(inner))
}

/// Returns when every run of a program that began before has ended. The kernel waits for that when a map of maps is
/// changed (`maybe_wait_bpf_programs` in kernel/bpf/syscall.c).
pub(super) fn wait_for_programs() -> io::Result<()> {
    let inner = create_map("wait", MapShape::array(4, 1), None)?;
    let outer = create_outer("wait", inner.as_fd())?;
    update(outer.as_fd(), 0, &number(inner.as_fd()).to_ne_bytes())
}

/// Attributes of `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct ElementAttributes {
    map: u64,
    key: u64,
    value: u64,
    flags: u64,
}

/// Opens the inner map that an entry of a map of maps holds.
pub(super) fn inner(map: BorrowedFd<'_>, key: u32) -> io::Result<OwnedFd> {
    let mut id = [0; 4];
    read(map, key, &mut id)?;
    // SAFETY: the attributes have no addresses; the file descriptor that this makes is ours alone.
    unsafe { Ok(OwnedFd::from_raw_fd(call(BPF_MAP_GET_FD_BY_ID, &u32::from_ne_bytes(id))?)) }
}

/// Reads an entry of a map, whose values are as large as `value`.
pub(super) fn read(map: BorrowedFd<'_>, key: u32, value: &mut [u8]) -> io::Result<()> {
    let attributes = ElementAttributes {
        map: number(map).into(),
        key: (&raw const key).expose_provenance() as u64,
        value: value.as_mut_ptr().expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: both addresses are of what lives through the call; the callers pass room of the size that the map has.
    unsafe { call(BPF_MAP_LOOKUP_ELEM, &attributes) }.map(drop)
}

/// Writes an entry of a map, whose values are as large as `value`.
pub(super) fn update(map: BorrowedFd<'_>, key: u32, value: &[u8]) -> io::Result<()> {
    let attributes = ElementAttributes {
        map: number(map).into(),
        key: (&raw const key).expose_provenance() as u64,
        value: value.as_ptr().expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: both addresses are of what lives through the call; the callers pass values of the size that the map has.
    unsafe { call(BPF_MAP_UPDATE_ELEM, &attributes) }.map(drop)
}

/// Lets no process write to a map any more. Minimum kernel version: 5.2.
pub(super) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the attributes have no addresses.
    unsafe { call(BPF_MAP_FREEZE, &number(map)) }.map(drop)
}

/// Writes the first entries of a map, in one call. Minimum kernel version: 5.6.
pub(super) fn update_first<const N: usize>(map: BorrowedFd<'_>, values: &[[u8; N]]) -> io::Result<()> {
    /// Attributes of `BPF_MAP_UPDATE_BATCH`.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct BatchAttributes {
        from: u64,
        to: u64,
        keys: u64,
        values: u64,
        count: u32,
        map: u32,
        element_flags: u64,
        flags: u64,
    }
    let count = u32::try_from(values.len()).map_err(io::Error::other)?;
    let keys: Vec<u32> = (0..count).collect();
    let attributes = BatchAttributes {
        from: 0,
        to: 0,
        keys: keys.as_ptr().expose_provenance() as u64,
        values: values.as_ptr().expose_provenance() as u64,
        count,
        map: number(map),
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: both addresses are of arrays of `count` elements that live through the call; the callers pass values of
    // the size that the map has.
    unsafe { call(BPF_MAP_UPDATE_BATCH, &attributes) }.map(drop)
}
