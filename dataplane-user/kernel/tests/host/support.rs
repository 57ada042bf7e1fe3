//! A namespace of one's own, and the picture of it that tests compare.

use std::{
    ffi::CStr,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::settings::Settings;
use aggctl_engine::{
    config::Wiring,
    host::Host,
    identity::Identity,
    plan::{Step, Subject},
};
use aggctl_kernel::{
    dataplane::Dataplane,
    execute::Executor,
    netlink::Netlink,
    netns::PrivateNamespace,
    snapshot::{complete_settings, snapshot},
};
use aggctl_tests::wait;
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::UnshareFlags,
};

/// Runs a test in a fresh network namespace, which goes when its thread ends, however it ends.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: namespaces need root");
        return;
    }
    let thread = std::thread::spawn(move || {
        enter_fresh_namespace();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[allow(unsafe_code, reason = "leaving a namespace has no safe wrapper")]
fn enter_fresh_namespace() {
    // SAFETY: only the network namespace changes, and no socket of this thread is open.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
}

/// Where [`mount_bpffs`] mounts. The directory itself is never written to.
pub const BPFFS: &str = "/mnt";

/// Mounts a bpffs that only this thread sees, and that goes with it.
#[allow(unsafe_code, reason = "leaving a namespace has no safe wrapper")]
pub fn mount_bpffs() {
    // SAFETY: only the mount namespace changes, and with it the thread gets a working directory of its own.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("bpf", BPFFS, "bpf", MountFlags::empty(), None::<&CStr>).unwrap();
}

/// Runs a command with the words of this line as arguments, and returns what it said.
pub fn run(line: &str) -> String {
    let mut words = line.split_ascii_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command with the words of this line as arguments, and this text as its input.
pub fn feed(line: &str, input: &str) {
    let mut words = line.split_ascii_whitespace();
    let mut child = Command::new(words.next().unwrap()).args(words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{line}");
}

/// Runs `ip` for each line.
pub fn ip(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        run(&format!("ip {line}"));
    }
}

/// `IFA_F_TENTATIVE`.
const IFA_F_TENTATIVE: u32 = 0x40;
/// The longest that the kernel's check for duplicates may take.
const SETTLED: Duration = Duration::from_secs(10);

/// The configuration, without what changes by itself: neighbours that are being learned.
pub fn picture() -> Host {
    let mut netlink = Netlink::open().unwrap();
    let settled = || {
        let mut host = snapshot(&mut netlink).unwrap();
        let names: Vec<_> = host.links.values().map(|link| link.name.clone()).collect();
        complete_settings(&mut host, names.iter().map(String::as_str)).unwrap();
        // Addresses that the kernel still checks for duplicates would be others in the next picture.
        host.addresses.iter().all(|address| address.flags & IFA_F_TENTATIVE == 0).then_some(host)
    };
    let mut host = wait::find(SETTLED, settled).expect("addresses that are settled");
    host.neighbours.retain(|neighbour| neighbour.state == 0x80 || neighbour.flags & 8 != 0);
    host
}

/// What carries out steps for an aggregate `agg0` with the peer `agg0-peer`.
pub fn executor() -> Executor {
    Executor {
        netlink: Netlink::open().unwrap(),
        wiring: Wiring::Shared,
        namespace: PrivateNamespace::at("/nonexistent/aggctl-test/netns"),
        dataplane: Dataplane::at("/nonexistent/aggctl-test", Settings::default()),
        aggregate: "agg0".into(),
        peer: "agg0-peer".into(),
        listener: None,
        speaker: None,
    }
}

/// The interface of this name as a port.
pub fn port(name: &str) -> Subject {
    port_in(PortId(0), name)
}

/// The interface of this name as the port in this slot.
pub fn port_in(id: PortId, name: &str) -> Subject {
    let link = Netlink::open().unwrap().link_named(name).unwrap().unwrap();
    Subject::Port { id, index: link.index, name: name.into(), identity: Identity::of(&link) }
}

/// The number of the interface of this name.
pub fn index(name: &str) -> IfIndex {
    Netlink::open().unwrap().link_named(name).unwrap().unwrap().index
}

/// Carries out a step twice: the second time it is in effect already.
pub fn apply(executor: &mut Executor, step: &Step) {
    for attempt in ["first", "second"] {
        executor.apply(step).unwrap_or_else(|error| panic!("{attempt} time: {step:?}: {error}"));
    }
}

/// Undoes a step twice.
pub fn undo(executor: &mut Executor, step: &Step) {
    for attempt in ["first", "second"] {
        executor.undo(step).unwrap_or_else(|error| panic!("undone the {attempt} time: {step:?}: {error}"));
    }
}

/// Asserts that two pictures are equal, and names what is not.
pub fn assert_same(before: &Host, after: &Host) {
    assert_eq!(before.addresses, after.addresses, "addresses");
    assert_eq!(before.nexthops, after.nexthops, "nexthop objects");
    assert_eq!(before.neighbours, after.neighbours, "neighbours");
    assert_eq!(before.routes, after.routes, "routes");
    assert_eq!(before.links, after.links, "links");
    assert_eq!(before, after);
}
