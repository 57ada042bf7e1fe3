//! A program that is not ours: it drops frames of one length and passes all others on.
#![allow(unsafe_code, reason = "loads a program that is five instructions long, without an object file")]

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use aggctl_common::IfIndex;
use aya::programs::{SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;

/// Frames of this length do not get past the foreign program.
pub const FOREIGN_LENGTH: usize = 77;

/// Loads the program.
pub fn load(pin: &Path) -> SchedClassifier {
    let instruction = |code: u8, registers: u8, offset: i16, immediate: i32| {
        u64::from_ne_bytes({
            let mut octets = [0; 8];
            octets[0] = code;
            octets[1] = registers;
            octets[2..4].copy_from_slice(&offset.to_ne_bytes());
            octets[4..].copy_from_slice(&immediate.to_ne_bytes());
            octets
        })
    };
    let length = i32::try_from(FOREIGN_LENGTH).unwrap();
    let program = [
        instruction(0x61, 0x12, 0, 0),      // r2 = the frame's length
        instruction(0xb7, 0x00, 0, 2),      // r0 = TC_ACT_SHOT
        instruction(0x15, 0x02, 1, length), // if r2 == length goto exit
        instruction(0xb7, 0x00, 0, -1),     // r0 = TCX_NEXT
        instruction(0x95, 0x00, 0, 0),      // exit
    ];
    // BPF_PROG_TYPE_SCHED_CLS.
    load_and_pin(3, 0, &program, pin);
    SchedClassifier::from_pin(pin).unwrap()
}

/// Loads an XDP program that lets all pass.
pub fn load_xdp(pin: &Path) -> Xdp {
    // r0 = XDP_PASS; exit. BPF_PROG_TYPE_XDP, BPF_XDP.
    load_and_pin(6, 37, &[0x0000_0002_0000_00b7, 0x95], pin);
    Xdp::from_pin(pin, XdpAttachType::Interface).unwrap()
}

/// Loads a program of this type for this kind of attachment, and pins it.
fn load_and_pin(kind: u64, attach: u64, program: &[u64], pin: &Path) {
    let license = c"GPL";
    // union bpf_attr for BPF_PROG_LOAD: type, count, instructions, licence, …, name, interface, kind of attachment.
    let mut attributes = [0_u64; 16];
    attributes[0] = kind | (program.len() as u64) << 32;
    attributes[1] = program.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    attributes[6] = u64::from_ne_bytes(*b"stranger");
    attributes[8] = attach << 32;
    let fd = bpf(5, &attributes);
    // For BPF_OBJ_PIN: path, file descriptor.
    let path = CString::new(pin.to_str().unwrap()).unwrap();
    let mut attributes = [0_u64; 16];
    attributes[0] = path.as_ptr() as u64;
    attributes[1] = fd as u64;
    bpf(6, &attributes);
}

/// Attaches the program to the transmit of a netkit interface, for as long as the value lives.
pub fn attach_to_netkit(program: &SchedClassifier, index: IfIndex) -> OwnedFd {
    let fd = program.fd().unwrap().as_fd().as_raw_fd().cast_unsigned();
    // For BPF_LINK_CREATE: program, interface, BPF_NETKIT_PRIMARY, flags.
    let mut attributes = [0_u64; 16];
    attributes[0] = u64::from(fd) | u64::from(index.0) << 32;
    attributes[1] = 54;
    let link = i32::try_from(bpf(28, &attributes)).unwrap();
    // SAFETY: the kernel made this file descriptor for us alone.
    unsafe { OwnedFd::from_raw_fd(link) }
}

fn bpf(command: i32, attributes: &[u64; 16]) -> i64 {
    // SAFETY: the attributes and what they point to live through the call; unused ones are zero, as the kernel wants.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(attributes)) };
    assert!(result >= 0, "bpf({command}): {}", io::Error::last_os_error());
    result
}
