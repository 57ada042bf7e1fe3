//! The flow hash against the kernel's bonding driver: random and mutated frames sent into a bond must leave by the port
//! that our hash gives, in each policy. So `--table kernel-compat` chooses as a bond does.
#![allow(clippy::unwrap_used)]

#[path = "support/random_frames.rs"]
mod random_frames;

use std::{env, fs};

use aggctl_common::hash::{self, Policy};
use aggctl_tests::{Namespace, matrix::SOON, needs, sys::PacketSocket, wait_for};
use random_frames::RandomFrames;

/// How many ports the bond has: a number that no power of two is a multiple of, so that all bits of the hash matter.
const PORTS: usize = 5;
/// Frames for each policy.
const FRAMES: usize = 4000;
/// The variable that asks for another number of them.
const ASKED: &str = "AGGCTL_TEST_FRAMES";
/// Octets that fit into a frame.
const LONGEST: usize = 1500;

#[test]
fn layer2() {
    agree(Policy::Layer2);
}

#[test]
fn layer2_and_3() {
    agree(Policy::Layer23);
}

#[test]
fn layer3_and_4() {
    agree(Policy::Layer34);
}

fn agree(policy: Policy) {
    needs!(BOND);
    let frames = env::var(ASKED).map_or(FRAMES, |asked| asked.parse().unwrap());
    let host = Namespace::new("b");
    host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    host.ip(&format!("link add bond0 type bond mode balance-xor xmit_hash_policy {policy} miimon 10"));
    for port in 0..PORTS {
        host.ip(&format!("link add port{port} type dummy"));
        host.ip(&format!("link set port{port} master bond0"));
    }
    host.ip("link set bond0 up");
    wait_for("all ports in use", SOON, || {
        let bond = host.enter(|| fs::read_to_string("/proc/thread-self/net/bonding/bond0")).unwrap();
        bond.matches("MII Status: up").count() == 1 + PORTS
    });
    let (mut compared, mut used) = (0, [0; PORTS]);
    host.enter(|| {
        let socket = PacketSocket::open("bond0", 0).unwrap();
        let mut before = sent();
        for frame in RandomFrames::new(1).filter(|frame| frame.len() <= LONGEST).take(frames) {
            // A packet socket refuses frames that end within their IP header, as the host's own stack would.
            if socket.send(&frame).is_err() {
                continue;
            }
            let after = sent();
            let took: Vec<_> = (0..PORTS).filter(|port| after[*port] != before[*port]).collect();
            let expected = hash::hash(policy, &frame[..]).unwrap() as usize % PORTS;
            assert_eq!(took, [expected], "{policy}: {frame:x?}");
            (before, compared) = (after, compared + 1);
            used[expected] += 1;
        }
    });
    assert!(compared >= frames * 9 / 10, "only {compared} of {frames} frames were sent");
    assert!(used.iter().all(|frames| *frames > compared / (4 * PORTS)), "{used:?}");
    println!("{policy}: {compared} frames took the same port");
}

/// How many packets each port has sent.
fn sent() -> [u64; PORTS] {
    /// The column of the sent packets, behind the name.
    const SENT: usize = 9;

    let counters = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    std::array::from_fn(|port| {
        let name = format!("port{port}:");
        let line = counters.lines().find_map(|line| line.trim_start().strip_prefix(&name)).unwrap();
        line.split_whitespace().nth(SENT).unwrap().parse().unwrap()
    })
}
