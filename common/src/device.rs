//! How a program asks the kernel whether the device of a port can carry traffic at this moment.
//!
//! The kernel lets programs read its own structures through `bpf_rdonly_cast` (Linux 6.2), whatever became of them
//! meanwhile: what is read of a device that is gone may be anything, but it is safe to read. Programs for that are made
//! with placeholders for what differs from kernel to kernel, and the loader writes the kernel's numbers there. Where
//! the kernel cannot be asked it writes that, and the verifier removes the question from the program.

/// The bits of `struct net_device`'s `state` (`enum netdev_state_t` in linux/netdevice.h).
const START: u64 = 1 << 0;
/// Set while the device is there, and not suspended.
const PRESENT: u64 = 1 << 1;
/// Set while there is no link.
const NOCARRIER: u64 = 1 << 2;
/// Set while the link waits for something, as for an authentication.
const DORMANT: u64 = 1 << 4;

/// Whether a device with this `state` can carry traffic: it is up and present, and has a link that waits for nothing.
#[inline(always)]
#[must_use]
pub const fn is_alive(state: u64) -> bool {
    state & (START | PRESENT | NOCARRIER | DORMANT) == START | PRESENT
}

/// Placeholders in the programs, where the loader writes what this kernel has.
pub mod placeholder {
    /// A register is set to it: whether the kernel can be asked, 1 or 0.
    pub const ASKS: i32 = 0x6b1e_a501;
    /// The second argument of the cast: the kernel's number of the type `net_device`.
    pub const NET_DEVICE: i32 = 0x6b1e_a502;
    /// A helper is called that has this number: the kernel's function `bpf_rdonly_cast`.
    pub const CAST: i32 = 0x6b1e_a503;
    /// From this offset a word is loaded: the offset of `state`.
    pub const STATE: i16 = 0x5a58;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_alive_while_it_is_up_with_a_link() {
        // As kernels have it: up; far end down; itself down; deleted.
        assert_eq!([0b11, 0b111, 0b1110, 0b110].map(is_alive), [true, false, false, false]);
        assert!(is_alive(0b1011), "news of the link that the kernel has not told yet say nothing about it");
        assert!(!is_alive(0b1_0011) && !is_alive(0b01) && !is_alive(0), "dormant; suspended; memory that was cleared");
    }
}
