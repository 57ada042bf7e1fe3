//! What is more than one call: announcing on a real wire, programs on their hooks, the first process's files.

use std::ffi::CStr;

use aggctl_common::PortId;
use aggctl_engine::settings::Settings;
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    plan::{Change, LinkStep, OneWayStep, ProgramStep, Setting, Step, Subject},
};
use aggctl_kernel::{
    dataplane::{Dataplane, DataplaneError, Expected},
    execute::ExecuteError,
    netns::{self, PrivateNamespace},
    packet::{PacketSender, SendError},
};
use aggctl_tests::feature::TCX;
use rustix::mount::{MountFlags, mount};

use crate::{
    pair::{create_pair, each_device},
    support::{
        BPFFS, apply, assert_same, executor, in_namespace, index, ip, mount_bpffs, picture, port, port_in, undo,
    },
    tap::Tap,
};

#[test]
fn programs_are_hung_and_taken_off() {
    each_device(|device| attach_and_take_off(Wiring::Shared, device, Hook::Tcx));
    each_device(|device| attach_and_take_off(Wiring::Shared, device, Hook::Clsact));
    each_device(|device| attach_and_take_off(Wiring::Direct, device, Hook::Tcx));
    each_device(|device| attach_and_take_off(Wiring::Direct, device, Hook::Clsact));
}

/// Where the file is that holds the namespace of a peer.
const HOLDER: &str = "/media";

fn attach_and_take_off(wiring: Wiring, device: Device, hook: Hook) {
    if hook == Hook::Tcx
        && let Some(reason) = TCX.missing()
    {
        println!("skipped for tcx: {reason}");
        return;
    }
    mount_bpffs();
    ip("link add p0 type veth peer name q0
        link add p1 type veth peer name q1");
    let before = picture();
    let mut executor = executor();
    executor.dataplane = Dataplane::at(format!("{BPFFS}/agg0"), Settings::default());
    mount("tmpfs", HOLDER, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
    (executor.wiring, executor.namespace) = (wiring, PrivateNamespace::at(format!("{HOLDER}/netns")));
    let second = port_in(PortId(1), "p1");
    let mut steps =
        Vec::from_iter(wiring.has_namespace().then_some(LinkStep::Namespace { present: Change::ON }.into()));
    steps.extend::<[Step; 9]>([
        create_pair(device),
        ProgramStep::Maps { present: Change::ON }.into(),
        ProgramStep::Tx { device, hook, attached: Change::ON }.into(),
        ProgramStep::Relay { hook, attached: Change::ON }.into(),
        Setting::Admin(Change::ON).of(Subject::Peer),
        ProgramStep::Rx { link: port("p0"), hook, attached: Change::ON }.into(),
        ProgramStep::Rx { link: second.clone(), hook, attached: Change::ON }.into(),
        OneWayStep::Select { link: port("p0") }.into(),
        OneWayStep::Select { link: second }.into(),
    ]);
    for step in &steps {
        if let Err(ExecuteError::Dataplane(DataplaneError::NotBuilt)) = executor.apply(step) {
            println!("skipped: the programs were not built");
            return;
        }
        apply(&mut executor, step);
    }
    let ports = vec![(PortId(0), index("p0")), (PortId(1), index("p1"))];
    let (aggregate, peer) = executor.pair().unwrap();
    let pair = executor.wired_pair(device, aggregate, peer);
    assert_eq!(picture().link("agg0-peer").is_none(), wiring.has_namespace());
    let expected = Expected { pair, ports, hook };
    assert_eq!(executor.dataplane.defects(&expected).unwrap(), []);
    assert_eq!(executor.dataplane.table().unwrap().load().choose(), Some(PortId(1)));
    assert!(picture().links.values().all(|link| link.hooks.clsact_ingress.is_empty()), "ours are no others");
    // A port that went away needs no undoing.
    ip("link del p1");
    for step in steps.iter().rev() {
        undo(&mut executor, step);
    }
    assert!(!std::path::Path::new(BPFFS).join("agg0").exists());
    assert!(!executor.namespace.path().exists());
    let mut left = before;
    left.links.retain(|_, link| !link.name.ends_with('1'));
    assert_same(&left, &picture());
}

#[test]
fn an_announcement_tells_every_address() {
    in_namespace(|| {
        let mut tap = Tap::new("t0");
        ip("link set t0 addrgenmode none
            link set t0 up
            addr add 192.0.2.7/24 dev t0
            -6 addr add 2001:db8::7/64 nodad dev t0");
        aggctl_kernel::sysctl::write("t0", "ipv6/forwarding", "1").unwrap();
        executor().apply(&OneWayStep::Announce { link: port("t0") }.into()).unwrap();
        let arp = tap.receive(|frame| frame[12..14] == [0x08, 0x06]);
        assert_eq!(arp[28..32], [192, 0, 2, 7]);
        assert_eq!(arp[..6], [0xff; 6]);
        let advertisement = tap.receive(|frame| frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 136);
        assert_eq!(advertisement[58], 0xa0, "of a router, to override");
        assert_eq!(advertisement[62..78], "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    });
}

#[test]
fn announcing_on_a_link_that_is_down_is_no_failure() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            addr add 192.0.2.7/24 dev p0");
        executor().apply(&OneWayStep::Announce { link: port("p0") }.into()).unwrap();
        let sender = PacketSender::open().unwrap();
        assert!(matches!(sender.send(index("p0"), &[0xff; 60]), Err(SendError::Down(_))));
        let nobody = aggctl_common::IfIndex(9999);
        assert!(matches!(sender.send(nobody, &[0xff; 60]), Err(SendError::Gone(_))));
    });
}

#[test]
fn the_first_process_files_are_reached_from_a_mount_namespace_that_vanishes() {
    in_namespace(|| {
        let this = || std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        mount_bpffs();
        let own = this();
        assert!(netns::enter_first_mount_namespace().unwrap());
        assert_ne!(this(), own);
        assert!(!netns::enter_first_mount_namespace().unwrap(), "it is there already");
    });
}
