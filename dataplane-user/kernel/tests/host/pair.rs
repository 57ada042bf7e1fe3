//! The pair of an aggregate's interface and its peer, of each device that the kernel has.

use aggctl_common::Mac;
use aggctl_engine::{
    config::Device,
    plan::{Change, LinkStep, PairSettings, Setting, Step, Subject},
};
use aggctl_kernel::{
    error::KernelError,
    execute::ExecuteError,
    netlink::{Netlink, link::PairSpec},
};
use aggctl_tests::feature::NETKIT;

use crate::support::{apply, assert_same, executor, in_namespace, ip, picture, undo};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0xa0]);

/// Runs a test in a fresh namespace for each device that the kernel has.
pub fn each_device(test: fn(Device)) {
    for device in [Device::Netkit, Device::Veth] {
        if device == Device::Netkit
            && let Some(reason) = NETKIT.missing()
        {
            println!("skipped for netkit: {reason}");
            continue;
        }
        in_namespace(move || test(device));
    }
}

/// The step that makes `agg0` and its peer.
pub fn create_pair(device: Device) -> Step {
    let pair = PairSettings {
        device,
        name: "agg0".into(),
        peer: "agg0-peer".into(),
        mac: MAC,
        mtu: 1400,
        gso_max_size: 32_000,
        gso_max_segs: 100,
    };
    LinkStep::Pair { pair, present: Change::ON }.into()
}

#[test]
fn a_pair_is_made_and_unmade() {
    each_device(|device| {
        let before = picture();
        let (mut executor, step) = (executor(), create_pair(device));
        apply(&mut executor, &step);
        let host = picture();
        for name in ["agg0", "agg0-peer"] {
            let link = host.link(name).unwrap();
            assert!(!link.admin_up && link.addr_gen_mode == Some(1), "{link:?}");
            assert_eq!((link.mtu, link.gso_max_size, link.gso_max_segs), (1400, 32_000, 100));
            assert_eq!(link.kind, if device == Device::Netkit { "netkit" } else { "veth" });
            assert_eq!(link.lower, None, "the other end of a pair is not below");
        }
        assert_eq!(host.link("agg0").unwrap().mac, MAC);
        undo(&mut executor, &step);
        assert_same(&before, &picture());
    });
}

#[test]
fn the_carrier_follows_the_peer_and_the_mac_can_be_changed() {
    each_device(|device| {
        let mut executor = executor();
        apply(&mut executor, &create_pair(device));
        let mut set =
            |link: Subject, up: bool| apply(&mut executor, &Setting::Admin(Change { from: !up, to: up }).of(link));
        set(Subject::Aggregate, true);
        for up in [true, false, true] {
            set(Subject::Peer, up);
            assert_eq!(picture().link("agg0").unwrap().carrier, up);
        }
        let mac = Mac([2, 0, 0, 0, 0, 0xa1]);
        apply(&mut executor, &Setting::Mac(Change { from: MAC, to: mac }).of(Subject::Aggregate));
        let host = picture();
        assert!(host.link("agg0").unwrap().mac == mac && host.link("agg0").unwrap().carrier);
        undo(&mut executor, &create_pair(device));
    });
}

#[test]
fn looking_for_netkit_leaves_nothing_and_tells_the_truth() {
    in_namespace(|| {
        let before = picture();
        let mut netlink = Netlink::open().unwrap();
        let found = netlink.has_netkit();
        assert_same(&before, &picture());
        let made = executor().apply(&create_pair(Device::Netkit));
        assert_eq!(made.is_ok(), found, "{made:?}");
    });
}

/// A pair of the right kind, but the other way round, in which no program can be attached to the aggregate's end.
#[test]
fn the_wrong_end_of_a_netkit_pair_is_not_taken() {
    if let Some(reason) = NETKIT.missing() {
        println!("skipped: {reason}");
        return;
    }
    in_namespace(|| {
        let mut executor = executor();
        apply(&mut executor, &create_pair(Device::Netkit));
        ip("link set agg0 name other
            link set agg0-peer name agg0
            link set other name agg0-peer");
        let error = executor.apply(&create_pair(Device::Netkit)).unwrap_err();
        assert!(matches!(&error, ExecuteError::Kernel(KernelError::NameTaken(name)) if name == "agg0"), "{error}");
        let error = executor.apply(&create_pair(Device::Veth)).unwrap_err();
        assert!(matches!(&error, ExecuteError::Kernel(KernelError::NameTaken(name)) if name == "agg0"), "{error}");
        executor.undo(&create_pair(Device::Veth)).unwrap();
        assert!(picture().link("agg0").is_some(), "a netkit pair is no veth pair of ours");
    });
}

#[test]
fn a_super_frame_larger_than_the_pair_can_do_is_lowered() {
    each_device(|device| {
        let mut netlink = Netlink::open().unwrap();
        let huge = PairSpec {
            device,
            name: "agg0",
            peer: "agg0-peer",
            namespace: None,
            mac: MAC,
            mtu: 1500,
            gso_max_size: u32::MAX,
            gso_max_segs: u32::MAX,
        };
        netlink.create_pair(&huge).unwrap();
        assert!(netlink.link_named("agg0").unwrap().unwrap().gso_max_size >= 65_536);
    });
}

#[test]
fn a_name_that_is_taken_is_refused_and_its_owner_survives_an_undo() {
    in_namespace(|| {
        ip("link add agg0 type veth peer name other
            link add br0 type bridge");
        let mut executor = executor();
        let error = executor.apply(&create_pair(Device::Veth)).unwrap_err();
        assert!(matches!(&error, ExecuteError::Kernel(KernelError::NameTaken(name)) if name == "agg0-peer"), "{error}");
        executor.undo(&create_pair(Device::Veth)).unwrap();
        assert!(picture().link("agg0").is_some());
        executor.aggregate = "br0".into();
        let bridge = PairSpec {
            device: Device::Veth,
            name: "br0",
            peer: "br0-peer",
            namespace: None,
            mac: MAC,
            mtu: 1500,
            gso_max_size: 0,
            gso_max_segs: 0,
        };
        let error = executor.netlink.create_pair(&bridge).unwrap_err();
        assert!(matches!(&error, KernelError::NameTaken(name) if name == "br0"), "{error}");
    });
}
