//! What the neighbours are told when the active port changes.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::net::IpAddr;

use aggctl_tests::{
    Case, Lab,
    capture::announced,
    cases,
    matrix::SOON,
    wait,
    wires::{QUIET, Wires},
};

cases!(
    every_address_is_announced_exactly_as_often_as_demanded:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn every_address_is_announced_exactly_as_often_as_demanded(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.ip("addr add 10.0.0.3/24 dev eth0");
    lab.host.ip("addr add 10.7.0.2/24 dev eth1");
    lab.host.ip("addr add fd00::3/64 dev eth0");
    let announcements = Announcements::start(&lab);
    lab.attach("--reselect failure --announce count=4,interval=50");
    let addresses = addresses(&lab);
    assert!(addresses.len() >= 5, "{addresses:?}");

    announcements.0.wait_for_silence();
    lab.cut("eth0");
    announcements.expect("failover", &addresses, [0, 4]);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    announcements.expect("the return of a standby port", &addresses, [0, 0]);
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    announcements.expect("a change by hand", &addresses, [4, 0]);
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    announcements.expect("the same port again", &addresses, [0, 0]);
}

cases!(a_live_change_of_the_count_holds: VETH_TCX);
fn a_live_change_of_the_count_holds(case: Case) {
    let lab = Lab::two_ports(case);
    let announcements = Announcements::start(&lab);
    lab.attach("");
    let addresses = addresses(&lab);
    announcements.0.wait_for_silence();
    for (setting, count) in [("count=1", 1), ("count=0", 0), ("count=2,interval=10", 2)] {
        lab.host.aggctl(&format!("set agg0 announce={setting}")).ok();
        lab.host.aggctl("set agg0 active-port=eth1").ok();
        announcements.expect(setting, &addresses, [0, count]);
        lab.host.aggctl("set agg0 active-port=eth0").ok();
        announcements.expect(setting, &addresses, [count, 0]);
    }
}

/// The announcements on both cables, as the switch receives them.
struct Announcements(Wires);

impl Announcements {
    fn start(lab: &Lab) -> Self {
        Self(Wires::start(lab, |captured| announced(&captured.bytes).is_some()))
    }

    /// Checks how often each address was announced on each cable since the last time.
    #[track_caller]
    fn expect(&self, after: &str, addresses: &[IpAddr], counts: [usize; 2]) {
        let seen = || {
            addresses.iter().map(|address| {
                (
                    *address,
                    [0, 1]
                        .map(|wire: usize| self.0[wire].count(|captured| announced(&captured.bytes) == Some(*address))),
                )
            })
        };
        wait::find(SOON, || seen().all(|(_, seen)| seen == counts).then_some(()));
        // None too many: wait for those, too.
        let before = self.0.total();
        wait::quiet(QUIET, || (self.0.total() != before).then_some(()));
        for (address, seen) in seen() {
            assert_eq!(seen, counts, "{after}: announcements of {address}");
        }
        let all = addresses.len() * counts.iter().sum::<usize>();
        assert_eq!(self.0.total(), all, "{after}: announcements of other addresses");
        self.0.clear();
    }
}

/// All addresses of the aggregate.
fn addresses(lab: &Lab) -> Vec<IpAddr> {
    let text = lab.host.ip("-j addr show dev agg0");
    let links: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let addresses = links[0]["addr_info"].as_array().unwrap();
    addresses.iter().map(|address| address["local"].as_str().unwrap().parse().unwrap()).collect()
}
