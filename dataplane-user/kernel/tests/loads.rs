//! That the verifier of this kernel takes the programs in every specialisation: what it takes of one, it may refuse of
//! another.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use aggctl_common::{
    hash::{Policy, list::Field},
    programs::{RxPolicy, TxPolicy},
    spread::MIN_BUCKETS,
};
use aggctl_engine::{
    config::{Device, HashPolicy, Hook, Wiring, XdpMode},
    settings::Settings,
};
use support::{
    attached::{Case, P0, early, pair},
    bench_on, dataplane, index,
};

/// A VLAN rule of every kind.
const RULES: [&str; 4] = ["off", "access=10", "trunk=20-22,4094", "trunk=1-4094,native=30"];
const RX_POLICIES: [RxPolicy; 3] = [RxPolicy::Active, RxPolicy::Designated, RxPolicy::Any];

/// What picks the port, in every variant that makes another program.
fn selections() -> Vec<Settings> {
    let plain = Settings::default();
    let select = |tx_policy| Settings { tx_policy, ..plain.clone() };
    let mut all = vec![
        select(TxPolicy::Active),
        select(TxPolicy::Random),
        select(TxPolicy::RoundRobin),
        Settings { stride: 7, ..select(TxPolicy::RoundRobin) },
    ];
    for policy in Policy::ALL.map(HashPolicy::from) {
        for seed in [0, 1] {
            all.push(Settings { policy, seed, buckets: MIN_BUCKETS, ..select(TxPolicy::Buckets) });
        }
        all.push(Settings { policy, ..select(TxPolicy::Modulo) });
    }
    all.push(Settings { buckets: 1 << 16, ..select(TxPolicy::Buckets) });
    all.extend(lists().last().map(|policy| Settings { policy: *policy, ..select(TxPolicy::Modulo) }));
    all
}

/// Each field alone, what else makes a difference, and all fields together.
fn lists() -> Vec<HashPolicy> {
    let all = Field::ALL.map(Field::name).join(",");
    let two_way = "src-mac,dst-mac,ethertype,vlan,inner-vlan,l3,proto,l4,vni,gre-key,icmp-id,symmetric";
    let lists = ["l3,l4", "src-ip/24/56,dst-ip/8/32", "l3/24/56,symmetric", two_way, &all];
    Field::ALL.map(Field::name).into_iter().chain(lists).map(|list| list.parse().unwrap()).collect()
}

/// Every way to choose a port with and without a rule about VLANs, and every way to receive with every rule.
fn specialisations() -> Vec<Settings> {
    let ruled = |settings: &Settings, rule: &str| Settings { vlan: rule.parse().unwrap(), ..settings.clone() };
    let mut all = Vec::new();
    for settings in selections() {
        all.extend([RULES[0], RULES[3]].map(|rule| ruled(&settings, rule)));
    }
    let listed = |policy| Settings { tx_policy: TxPolicy::Buckets, policy, ..Settings::default() };
    all.extend(lists().into_iter().map(listed));
    for rx_policy in RX_POLICIES {
        all.extend(RULES.map(|rule| Settings { rx_policy, ..ruled(&Settings::default(), rule) }));
    }
    all.extend(RULES.map(|rule| Settings { former: true, ..ruled(&Settings::default(), rule) }));
    all
}

fn load(wiring: Wiring) {
    bench_on(wiring, Device::Veth, move || {
        let pair = pair(Case { wiring, device: Device::Veth, hook: Hook::Auto });
        for settings in specialisations() {
            let mut dataplane = dataplane();
            dataplane.set_settings(settings.clone());
            let loaded = dataplane.create().and_then(|()| {
                dataplane.attach_relay(&pair, Hook::Auto)?;
                dataplane.attach_rx(P0, index("p0"), &pair, Hook::Auto)?;
                for (mode, sees_tags) in [(XdpMode::Native, true), (XdpMode::Generic, true), (XdpMode::Native, false)] {
                    dataplane.attach_early(P0, &early("p0", mode, sees_tags))?;
                }
                dataplane.attach_tx(&pair, Hook::Auto)
            });
            assert!(loaded.is_ok(), "{settings:?}: {loaded:?}");
            dataplane.detach_tx(&pair, Hook::Auto).unwrap();
            dataplane.detach_relay(&pair, Hook::Auto).unwrap();
            dataplane.detach_early(P0).unwrap();
            dataplane.detach_rx(P0, index("p0"), Hook::Auto).unwrap();
            dataplane.remove().unwrap();
        }
        println!("{} specialisations", specialisations().len());
    });
}

#[test]
fn in_wiring_shared() {
    load(Wiring::Shared);
}

#[test]
fn in_wiring_direct() {
    load(Wiring::Direct);
}
