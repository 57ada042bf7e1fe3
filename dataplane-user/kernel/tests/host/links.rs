//! Interfaces: what a snapshot shows, and every setting there and back.

use std::{collections::BTreeSet, net::Ipv6Addr};

use aggctl_common::Mac;
use aggctl_engine::{
    config::Device,
    plan::{Change, OneWayStep, Setting, Subject},
};
use aggctl_kernel::{error::KernelError, ethtool, netlink::Netlink, sysctl};

use crate::{
    pair::create_pair,
    support::{apply, assert_same, executor, in_namespace, index, ip, picture, port, undo},
};

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
fn every_setting_there_and_back() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let link = port("p0");
        let before = picture();
        let was = before.link("p0").unwrap().clone();
        let other = |value: &str| if value == "2" { "1" } else { "2" }.to_owned();
        let mut settings = vec![
            Setting::Mac(Change { from: was.mac, to: Mac([2, 0, 0, 0, 0, 9]) }),
            Setting::Mtu(Change { from: was.mtu, to: 1280 }),
            Setting::Promisc(Change::ON),
            Setting::Allmulti(Change::ON),
            Setting::AddrGenMode(Change { from: 0, to: 1 }),
            Setting::Admin(Change::ON),
        ];
        for key in ["ipv4/rp_filter", "ipv4/arp_announce", "ipv4/neigh/mcast_solicit", "ipv6/accept_ra"] {
            let (key, from) = (key.to_owned(), was.sysctls[key].clone());
            settings.push(Setting::Sysctl { key, value: Change { to: other(&from), from } });
        }
        settings.push(Setting::Token(Change { from: Ipv6Addr::UNSPECIFIED, to: "::77".parse().unwrap() }));
        let steps = settings.into_iter().map(|setting| setting.of(link.clone())).collect::<Vec<_>>();
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
        let on = Change { from: was.on, to: !was.on };
        let step = Setting::Feature { name: names[1].into(), on }.of(port("p0"));
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
        let step = Setting::Mtu(Change { from: 1500, to: 1280 }).of(link.clone());
        assert_eq!(executor.apply(&step).unwrap_err().to_string(), "port p0 is gone");
        executor.undo(&step).unwrap();
        let step = Setting::Admin(Change::ON).of(Subject::Peer);
        assert_eq!(executor.apply(&step).unwrap_err().to_string(), "agg0-peer is gone");
        executor.undo(&step).unwrap();
        undo(&mut executor, &create_pair(Device::Veth));
        undo(&mut executor, &OneWayStep::Announce { link }.into());
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
        let from = sysctl::read("renamed.7", &key).unwrap().unwrap();
        let to = if from == "2" { "1" } else { "2" }.to_owned();
        let step = Setting::Sysctl { key: key.clone(), value: Change { from, to: to.clone() } }.of(link);
        apply(&mut executor, &step);
        assert_eq!(sysctl::read("renamed.7", &key).unwrap(), Some(to));
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
