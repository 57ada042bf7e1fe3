//! Giving up the privileges that a background process does not need.

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

use crate::error::KernelError;

/// What a controller and its guardian need; see `docs/processes.md`.
///
/// - `NET_ADMIN`: interfaces, addresses, routes, qdiscs, sysctls of the network, programs on network hooks.
/// - `NET_RAW`: the packet sockets that announcements are sent by, and that watches ask by.
/// - `BPF`: maps and programs. `PERFMON`: programs that read what kernel pointers lead to.
/// - `SYS_ADMIN`: entering, making and holding the aggregate's own network namespace (`direct`), mounting and
///   unmounting the bpffs; finding programs and maps by their numbers.
/// - `SYS_PTRACE`: looking which processes are in our network namespace.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_PTRACE);

/// The number of the last capability that a set has room for.
const LAST: u32 = 63;

/// Gives up, for this thread and all that it starts, every capability but those that a controller needs, and the chance
/// to get one by running another program. The caller has no other threads yet.
///
/// # Errors
///
/// What the kernel refuses.
pub fn give_up() -> Result<(), KernelError> {
    let refused = |call| move |errno: Errno| KernelError::refused("privileges", call, errno);
    set_no_new_privs(true).map_err(refused("forbid new ones"))?;
    let present = capabilities(None).map_err(refused("get capabilities"))?;
    // A parent that gave them up already has left no right to do so again, and no need.
    if present.effective.contains(CapabilitySet::SETPCAP) {
        for capability in (0..=LAST).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
            // Those that this kernel does not know are not there to be removed.
            if !KEPT.contains(capability) && capability_is_in_bounding_set(capability).unwrap_or_default() {
                remove_capability_from_bounding_set(capability).map_err(refused("limit capabilities"))?;
            }
        }
    }
    clear_ambient_capability_set().map_err(refused("clear ambient capabilities"))?;
    let kept = CapabilitySets {
        effective: present.effective & KEPT,
        permitted: present.permitted & KEPT,
        inheritable: present.inheritable & KEPT,
    };
    set_capabilities(None, kept).map_err(refused("drop capabilities"))
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    fn status(key: &str) -> String {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key).map(|value| value.trim().to_owned()));
        line.unwrap()
    }

    #[test]
    fn what_is_not_needed_is_gone() {
        // Capabilities belong to a thread.
        thread::spawn(|| {
            give_up().unwrap();
            give_up().unwrap();
            for key in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
                let left = u64::from_str_radix(&status(key), 16).unwrap();
                assert_eq!(left & !KEPT.bits(), 0, "{key} {left:x}");
            }
            assert_eq!(status("NoNewPrivs:"), "1");
        })
        .join()
        .unwrap();
    }
}
