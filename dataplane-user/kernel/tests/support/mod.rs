//! A place to try the data path in: a network and a mount namespace of the test's own, which vanish with its thread.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod attached;
pub mod foreign;
pub mod wire;

use std::{ffi::CStr, fs, panic, process::Command, thread};

use aggctl_common::{IfIndex, Mac, PortId, Ports};
use aggctl_engine::{
    config::{Device, Wiring},
    settings::Settings,
};
use aggctl_kernel::{
    dataplane::Dataplane,
    netlink::{Netlink, link::PairSpec},
    netns::PrivateNamespace,
};
use rustix::{
    mount::{MountFlags, MountPropagationFlags},
    net::{AddressFamily, SocketType, netdevice},
    thread::UnshareFlags,
};

/// Where the namespace's bpffs is. The directory itself is never written to.
pub const BPFFS: &str = "/mnt";

/// Where the file is that holds the namespace of the peer. The directory itself is never written to.
const HOLDER: &str = "/media";

/// The namespace of the peer, in wiring direct.
pub fn namespace() -> PrivateNamespace {
    PrivateNamespace::at(format!("{HOLDER}/netns"))
}

/// [`bench_on`] a veth pair in wiring shared.
pub fn bench(test: impl FnOnce() + Send + 'static) {
    bench_on(Wiring::Shared, Device::Veth, test);
}

/// Runs a test in new namespaces: `agg0` with its peer `agg0-peer`, and two ports `p0` and `p1`, whose far ends are
/// `q0` and `q1`. Everything is up, and nobody speaks unasked. In wiring direct `agg0-peer` is in [`namespace`].
pub fn bench_on(wiring: Wiring, device: Device, test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: namespaces and programs need root");
        return;
    }
    let result = thread::spawn(move || {
        unshare();
        for family in ["all", "default"] {
            // Kernels without IPv6 have no such file, and nothing to silence.
            let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{family}/disable_ipv6"), "1");
        }
        let mac = Mac([0x02, 0, 0, 0, 0, 0xa0]);
        let apart = wiring.has_namespace().then(namespace);
        if let Some(namespace) = &apart {
            namespace.create().unwrap();
        }
        let pair = PairSpec {
            device,
            name: "agg0",
            peer: "agg0-peer",
            namespace: apart.as_ref(),
            mac,
            mtu: 1500,
            gso_max_size: 0,
            gso_max_segs: 0,
        };
        Netlink::open().unwrap().create_pair(&pair).unwrap();
        for (one, other) in [("agg0", "agg0-peer"), ("p0", "q0"), ("p1", "q1")] {
            if one != "agg0" {
                run(&["ip", "link", "add", one, "type", "veth", "peer", "name", other]);
            }
            run(&["ip", "link", "set", one, "up"]);
            match apart.as_ref().filter(|_| other == "agg0-peer") {
                Some(namespace) => drop(namespace.run(|| run(&["ip", "link", "set", other, "up"])).unwrap()),
                None => drop(run(&["ip", "link", "set", other, "up"])),
            }
        }
        test();
    })
    .join();
    if let Err(cause) = result {
        panic::resume_unwind(cause);
    }
}

#[allow(unsafe_code, reason = "unshare is unsafe for what else the flags could do")]
fn unshare() {
    // SAFETY: the flags share no memory or file descriptors differently; the thread opened nothing yet.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.unwrap();
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    rustix::mount::mount("bpf", BPFFS, "bpf", MountFlags::empty(), None::<&CStr>).unwrap();
    rustix::mount::mount("tmpfs", HOLDER, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
}

/// Runs a command, which must succeed, and returns what it printed.
pub fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number of an interface.
pub fn index(name: &str) -> IfIndex {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    IfIndex(netdevice::name_to_index(socket, name).unwrap())
}

/// The aggregate's data path, with its maps.
pub fn dataplane() -> Dataplane {
    let dataplane = Dataplane::at(format!("{BPFFS}/agg0"), Settings::default());
    dataplane.create().unwrap();
    dataplane
}

/// A table of ports, as (slot, interface), in their order of preference. All are usable, `active` is active.
pub fn table(ports: &[(u8, IfIndex)], active: u8) -> Ports {
    let mut table = Ports { active: u32::from(active), count: u32::try_from(ports.len()).unwrap(), ..Ports::EMPTY };
    for (position, (slot, index)) in ports.iter().enumerate() {
        table.usable |= PortId(*slot).bit();
        table.order[position] = *slot;
        table.ifindex[usize::from(*slot)] = *index;
    }
    table
}
