//! What is particular to wiring direct: the namespace of the peer, and what must not take the short way.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use aggctl_tests::{
    Capture, Case, HostState, Lab, cases,
    frames::{LOCAL, STRANGER, frame, mac},
    matrix::SOON,
    processes::kill,
    sys::PacketSocket,
    wait, wait_for,
};
use rustix::mount::{UnmountFlags, unmount};

/// Long enough for a frame that should not come.
const QUIET: Duration = Duration::from_millis(200);
/// Whom frames are for, as packet sockets tell it: this host.
const TO_HOST: u8 = 0;
/// All.
const TO_ALL: u8 = 1;
/// A group.
const TO_GROUP: u8 = 2;
/// Another station.
const TO_OTHER: u8 = 3;

/// The file that holds the namespace of `agg0`.
fn holder(lab: &Lab) -> PathBuf {
    let files = lab.host.state_paths().into_iter().map(|path| path.join("agg0/netns"));
    files.into_iter().find(|path| path.exists()).unwrap()
}

/// Whether any thread is in the namespace of this number, or any mount holds it.
fn is_held(inode: u64) -> bool {
    let name = format!("net:[{inode}]");
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|digit| digit.is_ascii_digit()));
    processes.into_iter().any(|process| {
        let mounted = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default().contains(&name);
        mounted || has_thread_in(&process.path(), &name)
    })
}

/// Whether a thread of this process is in the namespace.
fn has_thread_in(process: &std::path::Path, name: &str) -> bool {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads
        .into_iter()
        .any(|thread| fs::read_link(thread.path().join("ns/net")).is_ok_and(|link| link.to_string_lossy() == *name))
}

cases!(the_namespace_is_held_by_its_mount_alone_and_goes_with_it: DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn the_namespace_is_held_by_its_mount_alone_and_goes_with_it(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let inode = fs::metadata(holder(&lab)).unwrap().ino();
    assert!(is_held(inode));
    assert_eq!(lab.host.show("agg0").0["wiring"], "direct");
    // The carrier is switched there, and no thread stays.
    for cut in [true, false] {
        for port in ["eth0", "eth1"] {
            if cut { lab.cut(port) } else { lab.restore(port) }
        }
        lab.host.wait_for_show("agg0", "the carrier", |show| show.carrier() != cut);
        wait_for("the device's carrier", SOON, || lab.host.has_carrier("agg0") != cut);
    }
    let name = format!("net:[{inode}]");
    for pid in [controller.pid, controller.guardian] {
        let process = PathBuf::from(format!("/proc/{}", pid.as_raw_pid()));
        wait_for("no thread in the namespace", SOON, || !has_thread_in(&process, &name));
    }
    assert!(!lab.host.ip("link show").contains("agg0-peer"));
    lab.host.aggctl("detach agg0").ok();
    wait_for("nothing that holds the namespace", SOON, || !is_held(inode));
    before.expect_again(&lab.host, "detach");
}

cases!(a_namespace_that_vanishes_is_a_detach: DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_namespace_that_vanishes_is_a_detach(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(Duration::from_millis(10));
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    unmount(holder(&lab), UnmountFlags::DETACH).unwrap();
    ping.wait_for_answer(SOON);
    controller.expect_gone();
    before.expect_again(&lab.host, "the namespace vanished");
    // The same while nobody is there to see it.
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    unmount(holder(&lab), UnmountFlags::DETACH).unwrap();
    wait_for("the aggregate gone", SOON, || !lab.host.ip("link show").contains("agg0"));
    assert!(!lab.host.aggctl("adopt agg0").succeeded());
    ping.wait_for_answer(SOON);
    before.expect_again(&lab.host, "adopt of what is gone");
}

cases!(what_is_sent_past_the_program_does_not_come_back: DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn what_is_sent_past_the_program_does_not_come_back(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let own =
        |captured: &aggctl_tests::sys::Captured| !captured.outgoing && captured.bytes.get(6..12) == Some(&STRANGER[..]);
    let back = Capture::start(&lab.host, "agg0", own);
    let wire = Capture::start(&lab.switch, "sw0", own);
    let past = lab.host.enter(|| PacketSocket::open("agg0", 0)).unwrap();
    past.bypass().unwrap();
    let address = mac(lab.host.link("agg0")["address"].as_str().unwrap());
    for destination in [address, [0xff; 6], STRANGER] {
        // A netkit device tells the sender that it was dropped.
        let _ = past.send(&frame(destination, LOCAL, "past the hook"));
    }
    let usual = lab.host.enter(|| PacketSocket::open("agg0", 0)).unwrap();
    usual.send(&frame([0xff; 6], LOCAL, "the usual way")).unwrap();
    wait_for("a frame on the wire", SOON, || {
        wire.count(|captured| captured.bytes[14..].starts_with(b"the usual")) == 1
    });
    wait::quiet(QUIET, || (back.count(|_| true) > 0).then_some(()));
    assert_eq!(back.count(|_| true), 0, "{:?}", back.frames());
    assert_eq!(wire.count(|_| true), 1, "{:?}", wire.frames());
}

cases!(the_kernel_knows_whom_a_frame_is_for: VETH_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn the_kernel_knows_whom_a_frame_is_for(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    // Else nothing for other stations would be received.
    lab.host.ip("link set agg0 promisc on");
    wait_for("promiscuous ports", SOON, || lab.host.link("eth0")["promiscuity"].as_u64() > Some(0));
    let ours =
        |captured: &aggctl_tests::sys::Captured| !captured.outgoing && captured.bytes.get(6..12) == Some(&STRANGER[..]);
    let received = Capture::start(&lab.host, "agg0", ours);
    let wire = lab.switch.enter(|| PacketSocket::open("sw0", 0)).unwrap();
    let address = mac(lab.host.link("agg0")["address"].as_str().unwrap());
    let other = [0x02, 0, 0, 0, 0, 0x77];
    let count = || lab.host.link("agg0")["stats64"]["rx"]["packets"].as_u64().unwrap();
    for (destination, kind) in [
        (address, TO_HOST),
        ([0xff; 6], TO_ALL),
        ([0x01, 0, 0x5e, 0, 0, 9], TO_GROUP),
        (other, TO_OTHER),
        (address, TO_HOST),
    ] {
        let before = count();
        wire.send(&frame(destination, LOCAL, "for whom")).unwrap();
        wait_for("a frame on the aggregate", SOON, || received.count(|_| true) == 1);
        assert_eq!(received.frames()[0].kind, kind, "{destination:02x?}");
        wait_for("a frame counted", SOON, || count() > before);
        received.clear();
    }
}
