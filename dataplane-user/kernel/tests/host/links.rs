//! Interfaces: what a snapshot shows, and every setting there and back.

use std::collections::BTreeSet;

use aggctl_common::Mac;
use aggctl_engine::{
    config::Device,
    plan::{Step, Subject},
};
use aggctl_kernel::{
    error::KernelError,
    ethtool,
    netlink::{Netlink, link::Pair},
    sysctl,
};

use crate::support::{apply, assert_same, executor, in_namespace, index, ip, picture, port, undo};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0xa0]);

/// Why netkit is not tried.
const NO_NETKIT: &str = "the kernel has no netkit with a MAC (Linux 6.11)";

/// Runs a test in a fresh namespace for each device that the kernel has.
pub fn each_device(test: fn(Device)) {
    for device in [Device::Netkit, Device::Veth] {
        in_namespace(move || {
            if device == Device::Netkit && !Netlink::open().unwrap().has_netkit() {
                println!("skipped for netkit: {NO_NETKIT}");
                return;
            }
            test(device);
        });
    }
}

/// The step that makes `agg0` and its hidden end.
pub fn create_pair(device: Device) -> Step {
    Step::CreatePair {
        device,
        name: "agg0".into(),
        hidden: "agg0.h".into(),
        mac: MAC,
        mtu: 1400,
        gso_max_size: 32_000,
        gso_max_segs: 100,
    }
}

#[test]
fn a_snapshot_shows_what_ip_made() {
    in_namespace(|| {
        ip("link set lo up
            link add p0 address 02:00:00:00:00:01 mtu 1400 type veth peer name q0
            link add br0 type bridge
            link set q0 master br0
            link add link p0 name mv0 type macvlan
            link set p0 up promisc on
            link set q0 up allmulticast on");
        let host = picture();
        let (p0, q0) = (host.link("p0").unwrap(), host.link("q0").unwrap());
        assert_eq!((p0.mac, p0.mtu, p0.kind.as_str()), (Mac([2, 0, 0, 0, 0, 1]), 1400, "veth"));
        assert!(p0.ethernet && p0.admin_up && p0.carrier && p0.promisc && !p0.allmulti && !p0.loopback);
        assert_eq!((p0.lower, p0.master), (None, None), "the other end of a pair is not below");
        assert!(q0.allmulti);
        assert_eq!(q0.master, Some(host.link("br0").unwrap().index));
        assert_eq!(host.link("mv0").unwrap().lower, Some(p0.index));
        assert!(host.link("lo").unwrap().loopback);
        assert_eq!(p0.addr_gen_mode, Some(0));
        assert!(p0.gso_max_size > 0 && p0.gso_max_segs > 0);
        assert!(p0.sysctls.contains_key("ipv4/rp_filter") && p0.sysctls.contains_key("ipv6/accept_ra"));
        assert!(p0.hooks.clsact_ingress.is_empty() && p0.hooks.nft_ingress.is_empty());
    });
}

#[test]
fn a_pair_is_made_and_unmade() {
    each_device(|device| {
        let before = picture();
        let (mut executor, step) = (executor(), create_pair(device));
        apply(&mut executor, &step);
        let host = picture();
        for name in ["agg0", "agg0.h"] {
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
fn the_carrier_follows_the_hidden_end_and_the_mac_can_be_changed() {
    each_device(|device| {
        let mut executor = executor();
        apply(&mut executor, &create_pair(device));
        let mut set = |link, up| apply(&mut executor, &Step::SetAdmin { link, up, was: !up });
        set(Subject::Aggregate, true);
        for up in [true, false, true] {
            set(Subject::Hidden, up);
            assert_eq!(picture().link("agg0").unwrap().carrier, up);
        }
        let mac = Mac([2, 0, 0, 0, 0, 0xa1]);
        apply(&mut executor, &Step::SetMac { link: Subject::Aggregate, mac, was: MAC });
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
    in_namespace(|| {
        if !Netlink::open().unwrap().has_netkit() {
            println!("skipped: {NO_NETKIT}");
            return;
        }
        let mut executor = executor();
        apply(&mut executor, &create_pair(Device::Netkit));
        ip("link set agg0 name other
            link set agg0.h name agg0
            link set other name agg0.h");
        let error = executor.apply(&create_pair(Device::Netkit)).unwrap_err();
        assert!(matches!(&error, KernelError::NameTaken(name) if name == "agg0"), "{error}");
        let error = executor.apply(&create_pair(Device::Veth)).unwrap_err();
        assert!(matches!(&error, KernelError::NameTaken(name) if name == "agg0"), "{error}");
        executor.undo(&create_pair(Device::Veth)).unwrap();
        assert!(picture().link("agg0").is_some(), "a netkit pair is no veth pair of ours");
    });
}

#[test]
fn a_super_frame_larger_than_the_pair_can_do_is_lowered() {
    each_device(|device| {
        let mut netlink = Netlink::open().unwrap();
        let huge = Pair {
            device,
            name: "agg0",
            hidden: "agg0.h",
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
        assert!(matches!(&error, KernelError::NameTaken(name) if name == "agg0.h"), "{error}");
        executor.undo(&create_pair(Device::Veth)).unwrap();
        assert!(picture().link("agg0").is_some());
        executor.aggregate = "br0".into();
        let bridge = Pair { device: Device::Veth, name: "br0", hidden: "br0.h", mac: MAC, mtu: 1500, gso_max_size: 0, gso_max_segs: 0 };
        let error = executor.netlink.create_pair(&bridge).unwrap_err();
        assert!(matches!(&error, KernelError::NameTaken(name) if name == "br0"), "{error}");
    });
}

#[test]
fn every_setting_there_and_back() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let link = port("p0");
        let before = picture();
        let was = before.link("p0").unwrap().clone();
        let other = |value: &str| if value == "2" { "1" } else { "2" }.to_owned();
        let mut steps = vec![
            Step::SetMac { link: link.clone(), mac: Mac([2, 0, 0, 0, 0, 9]), was: was.mac },
            Step::SetMtu { link: link.clone(), mtu: 1280, was: was.mtu },
            Step::SetPromisc { link: link.clone(), on: true, was: false },
            Step::SetAllmulti { link: link.clone(), on: true, was: false },
            Step::SetAddrGenMode { link: link.clone(), mode: 1, was: 0 },
            Step::SetAdmin { link: link.clone(), up: true, was: false },
        ];
        for key in ["ipv4/rp_filter", "ipv4/arp_announce", "ipv6/accept_ra"] {
            let (key, was) = (key.to_owned(), was.sysctls[key].clone());
            steps.push(Step::SetSysctl { link: link.clone(), key, value: other(&was), was });
        }
        let mut executor = executor();
        for step in &steps {
            apply(&mut executor, step);
        }
        let there = picture();
        let now = there.link("p0").unwrap();
        assert_eq!((now.mac, now.mtu, now.addr_gen_mode), (Mac([2, 0, 0, 0, 0, 9]), 1280, Some(1)));
        assert!(now.promisc && now.allmulti && now.admin_up);
        for key in ["ipv4/rp_filter", "ipv4/arp_announce", "ipv6/accept_ra"] {
            assert_eq!(now.sysctls[key], other(&was.sysctls[key]), "{key}");
        }
        for step in steps.iter().rev() {
            undo(&mut executor, step);
        }
        assert_same(&before, &picture());
    });
}

#[test]
fn a_feature_there_and_back() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let names = ["tx-checksum-ip-generic", "rx-vlan-hw-parse", "rx-lro", "no-such-feature"];
        let before = ethtool::features("p0", &names).unwrap();
        assert_eq!(
            before.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            BTreeSet::from([names[0], names[1], names[2]])
        );
        assert!(before[names[2]].fixed, "veth has no LRO");
        let was = before[names[1]];
        assert!(!was.fixed);
        let step = Step::SetFeature { link: port("p0"), feature: names[1].into(), on: !was.on, was: was.on };
        let mut executor = executor();
        apply(&mut executor, &step);
        assert_eq!(ethtool::features("p0", &names).unwrap()[names[1]].on, !was.on);
        undo(&mut executor, &step);
        assert_eq!(ethtool::features("p0", &names).unwrap(), before);
        let fixed = ethtool::set_feature("p0", names[2], !before[names[2]].on).unwrap_err();
        assert!(matches!(fixed, KernelError::NoEffect { .. } | KernelError::Refused { .. }), "{fixed}");
        let unknown = ethtool::set_feature("p0", names[3], true).unwrap_err().to_string();
        assert!(unknown.contains("p0") && unknown.contains(names[3]), "{unknown}");
    });
}

#[test]
fn speed_and_duplex_are_known_where_the_driver_says() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let settings = ethtool::settings("p0").unwrap().unwrap();
        assert_eq!((settings.speed_mbps, settings.full_duplex), (Some(10_000), Some(true)), "veth claims that");
        assert_eq!(ethtool::settings("lo").unwrap(), None);
        assert!(ethtool::settings("nobody").is_err());
    });
}

#[test]
fn counters_count() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link set p0 up
            link set q0 up");
        let mut netlink = Netlink::open().unwrap();
        let before = netlink.counters(index("p0")).unwrap().unwrap();
        let sender = aggctl_kernel::packet::PacketSender::open().unwrap();
        sender.send(index("p0"), &[0xff; 100]).unwrap();
        let after = netlink.counters(index("p0")).unwrap().unwrap();
        assert!(after.tx_packets > before.tx_packets && after.tx_bytes >= before.tx_bytes + 100);
        assert!(netlink.counters(aggctl_common::IfIndex(9999)).unwrap().is_none());
    });
}

#[test]
fn what_is_gone_is_named_and_needs_no_undoing() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let link = port("p0");
        ip("link del p0");
        let mut executor = executor();
        let step = Step::SetMtu { link: link.clone(), mtu: 1280, was: 1500 };
        assert_eq!(executor.apply(&step).unwrap_err().to_string(), "port p0 is gone");
        executor.undo(&step).unwrap();
        let step = Step::SetAdmin { link: Subject::Hidden, up: true, was: false };
        assert_eq!(executor.apply(&step).unwrap_err().to_string(), "agg0.h is gone");
        executor.undo(&step).unwrap();
        undo(&mut executor, &create_pair(Device::Veth));
        undo(&mut executor, &Step::Announce { link });
    });
}

#[test]
fn a_port_is_found_after_a_rename() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let link = port("p0");
        ip("link set p0 name renamed.7");
        let mut executor = executor();
        let key = "ipv4/rp_filter".to_owned();
        let was = sysctl::read("renamed.7", &key).unwrap().unwrap();
        let value = if was == "2" { "1" } else { "2" }.to_owned();
        apply(&mut executor, &Step::SetSysctl { link, key: key.clone(), value: value.clone(), was });
        assert_eq!(sysctl::read("renamed.7", &key).unwrap(), Some(value));
    });
}

#[test]
fn no_interface_has_an_impossible_name() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for name in ["nobody", "a-name-that-is-far-too-long", ""] {
            assert_eq!(netlink.link_named(name).unwrap(), None, "{name}");
        }
        assert_eq!(netlink.link(aggctl_common::IfIndex(9999)).unwrap(), None);
        assert_eq!(netlink.link(aggctl_common::IfIndex::NONE).unwrap(), None);
    });
}

#[test]
fn a_refusal_carries_the_kernels_reason() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let error = Netlink::open().unwrap().set_mtu(index("p0"), 70_000).unwrap_err().to_string();
        assert!(error.starts_with("p0: set MTU: "), "{error}");
        assert!(error.contains("mtu greater than device maximum"), "{error}");
    });
}
