//! Finding where the kernel has the device of an interface, for programs that read there whether it can carry traffic.
#![allow(unsafe_code, reason = "the commands take addresses and make file descriptors")]

use std::{
    fs, io,
    os::fd::{AsFd as _, FromRawFd as _, OwnedFd},
    sync::LazyLock,
};

use aggctl_common::IfIndex;
use aya_obj::generated::bpf_cmd::{BPF_PROG_LOAD, BPF_PROG_TEST_RUN};
use bytemuck::{Pod, Zeroable};
use tracing::{info, warn};

use super::{bpf, kernel_types::KernelTypes};

/// Where the kernel describes its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// Every network namespace has `lo`, with this number.
const LOOPBACK: IfIndex = IfIndex(1);

/// A kernel that programs can ask about devices.
#[derive(Debug)]
pub(super) struct AskedKernel {
    /// Where it has what they read.
    pub(super) types: KernelTypes,
    finder: Finder,
}

/// The present kernel, if programs can ask it. Looked at once.
///
/// Minimum kernel version: 6.2.
pub(super) fn present() -> Option<&'static AskedKernel> {
    looked_at().as_ref().ok()
}

/// Why programs cannot ask the present kernel for the link of a port; `None`: they can. Looked at once.
#[must_use]
pub fn unasked() -> Option<&'static str> {
    looked_at().as_ref().err().map(String::as_str)
}

fn looked_at() -> &'static Result<AskedKernel, String> {
    static PRESENT: LazyLock<Result<AskedKernel, String>> = LazyLock::new(|| {
        let types = fs::read(VMLINUX).map_err(|error| format!("{VMLINUX}: {error}"));
        let types = match types.and_then(|octets| KernelTypes::parse(&octets)) {
            Ok(types) => types,
            Err(why) => {
                info!(%why, "programs cannot ask this kernel for the link of a port: it is polled");
                return Err(why);
            }
        };
        let kernel = AskedKernel::new(types);
        if let Err(why) = &kernel {
            warn!(%why, "this kernel does not let programs ask for the link of a port: it is polled");
        }
        kernel
    });
    &PRESENT
}

impl AskedKernel {
    /// Tries whether programs can ask.
    fn new(types: KernelTypes) -> Result<Self, String> {
        let finder = Finder::load(&types).map_err(|error| format!("a program that asks is refused: {error}"))?;
        let found = finder.find(LOOPBACK).map_err(|error| format!("a program that asks does not run: {error}"))?;
        match found {
            Some(_) => Ok(Self { types, finder }),
            None => Err("what programs read of it is not what was asked for".into()),
        }
    }

    /// The address of the device of an interface of this thread's network namespace; `None` if there is none.
    pub(super) fn find(&self, index: IfIndex) -> Option<u64> {
        // No interface has this number any more, most likely.
        self.finder.find(index).ok().flatten()
    }
}

/// A program that is run with an interface, and attached nowhere.
#[derive(Debug)]
struct Finder(OwnedFd);

/// `struct __sk_buff` of linux/bpf.h: what the program is given, and gives back. There is room for what later kernels
/// may add: the kernel wants to write all of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Context {
    before: [u32; 10],
    ifindex: u32,
    tc_index: u32,
    /// The address.
    address: u64,
    /// The number that the device at the address has.
    found: u32,
    /// The rest of the control block, and what follows.
    rest: [u32; 49],
}

/// Instructions, by what they do. The numbers of the registers come first.
mod instruction {
    pub(super) type Instruction = [u8; 8];

    fn of(code: u8, to: u8, from: u8, offset: i16, number: u32) -> Instruction {
        let [low, high] = offset.to_le_bytes();
        let [a, b, c, d] = number.to_le_bytes();
        [code, to | from << 4, low, high, a, b, c, d]
    }

    /// Copies a register.
    pub(super) fn copy(to: u8, from: u8) -> Instruction {
        of(0xbf, to, from, 0, 0)
    }

    /// Sets a register.
    pub(super) fn set(to: u8, number: u32) -> Instruction {
        of(0xb7, to, 0, 0, number)
    }

    /// Calls a function of the kernel.
    pub(super) fn call(function: u32) -> Instruction {
        of(0x85, 0, 2, 0, function)
    }

    /// Loads eight octets, or four.
    pub(super) fn load(to: u8, from: u8, offset: i16, is_long: bool) -> Instruction {
        of(if is_long { 0x79 } else { 0x61 }, to, from, offset, 0)
    }

    /// Stores eight octets, or four.
    pub(super) fn store(to: u8, offset: i16, from: u8, is_long: bool) -> Instruction {
        of(if is_long { 0x7b } else { 0x63 }, to, from, offset, 0)
    }

    /// Ends the program.
    pub(super) fn end() -> Instruction {
        of(0x95, 0, 0, 0, 0)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small constants")]
impl Finder {
    const ADDRESS: i16 = std::mem::offset_of!(Context, address) as i16;
    const FOUND: i16 = std::mem::offset_of!(Context, found) as i16;

    /// The program: the frame's device, and what is to be read of it, as programs that forward frames read it.
    fn program(types: &KernelTypes) -> [instruction::Instruction; 11] {
        use instruction::{call, copy, end, load, set, store};
        [
            copy(6, 1),
            call(types.cast_to_kern_ctx),
            load(1, 0, types.dev, true),
            store(6, Self::ADDRESS, 1, true),
            set(2, types.net_device),
            call(types.rdonly_cast),
            load(1, 0, types.ifindex, false),
            load(0, 0, types.state, true),
            store(6, Self::FOUND, 1, false),
            set(0, 0),
            end(),
        ]
    }

    fn load(types: &KernelTypes) -> io::Result<Self> {
        /// The beginning of the attributes of `BPF_PROG_LOAD`.
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable)]
        struct Load {
            kind: u32,
            count: u32,
            instructions: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log: u64,
            kernel_version: u32,
            flags: u32,
            name: [u8; 16],
        }
        /// `BPF_PROG_TYPE_SCHED_CLS`.
        const CLASSIFIER: u32 = 3;
        let instructions = Self::program(types);
        let mut attributes = Load {
            kind: CLASSIFIER,
            count: instructions.len() as u32,
            instructions: instructions.as_ptr().expose_provenance() as u64,
            license: c"Dual MIT/GPL".as_ptr().expose_provenance() as u64,
            ..Load::zeroed()
        };
        attributes.name[..6].copy_from_slice(b"device");
        // SAFETY: both addresses are of what lives through the call: a string with a final zero, and as many
        // instructions as are told. The file descriptor that this makes is ours alone.
        unsafe { Ok(Self(OwnedFd::from_raw_fd(bpf::call(BPF_PROG_LOAD, &attributes)?))) }
    }

    /// Runs it. `None`: what it read is not what was asked for.
    fn find(&self, index: IfIndex) -> io::Result<Option<u64>> {
        /// The attributes of `BPF_PROG_TEST_RUN`.
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable)]
        struct Run {
            program: u32,
            returned: u32,
            frame_length: u32,
            frame_room: u32,
            frame: u64,
            frame_after: u64,
            times: u32,
            duration: u32,
            context_length: u32,
            context_room: u32,
            context: u64,
            context_after: u64,
        }
        // The kernel wants one, and the program does not look at it.
        let frame = [0_u8; 14];
        let context = Context { ifindex: index.0, ..Context::zeroed() };
        let mut after = Context::zeroed();
        let length = size_of::<Context>() as u32;
        let mut attributes = Run {
            program: bpf::number(self.0.as_fd()),
            frame_length: frame.len() as u32,
            frame: frame.as_ptr().expose_provenance() as u64,
            context_length: length,
            context_room: length,
            context: (&raw const context).expose_provenance() as u64,
            context_after: (&raw mut after).expose_provenance() as u64,
            ..Run::zeroed()
        };
        // SAFETY: the addresses are of what lives through the call and is as long as is told; the kernel writes into
        // `after`, which allows any octets.
        unsafe { bpf::call_back(BPF_PROG_TEST_RUN, &mut attributes)? };
        Ok((after.found == index.0 && after.address != 0).then_some(after.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_whose_types_are_others_is_not_asked() {
        let Ok(types) = fs::read(VMLINUX).map_err(|error| error.to_string()).and_then(|all| KernelTypes::parse(&all))
        else {
            println!("skipped: this kernel has no types, or no function to read by them");
            return;
        };
        if !rustix::process::geteuid().is_root() {
            println!("skipped: programs need root");
            return;
        }
        AskedKernel::new(types).unwrap();
        let wrong = [
            KernelTypes { rdonly_cast: types.cast_to_kern_ctx, ..types },
            KernelTypes { net_device: types.rdonly_cast, ..types },
            KernelTypes { ifindex: types.state, ..types },
            KernelTypes { dev: types.dev + 8, ..types },
        ];
        for types in wrong {
            AskedKernel::new(types).unwrap_err();
        }
    }
}
