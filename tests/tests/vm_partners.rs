//! Other people's aggregation at the far end of the cables: the kernel's bonding and team drivers.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, Lab, Namespace, Ping, TcpSession, cases, holds_for,
    lab::HOST_V4,
    matrix::SOON,
    needs,
    partner::{PartnerChoice, PartnerLag},
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// The rhythm of each of many pings.
const CALM: Duration = Duration::from_millis(50);
/// Addresses of the client, from which flows come that the other end spreads over its links.
const FLOWS: u8 = 16;

cases!(with_an_active_backup_bond: VETH_TCX, TAP_CLSACT);
fn with_an_active_backup_bond(case: Case) {
    needs!(BOND);
    fail_and_return(&Lab::two_ports(case), |lab| PartnerLag::bond(lab, PartnerChoice::ActiveBackup));
}

cases!(with_an_active_backup_team: VETH_TCX, TAP_CLSACT);
fn with_an_active_backup_team(case: Case) {
    needs!(TEAM);
    fail_and_return(&Lab::two_ports(case), |lab| PartnerLag::team(lab, PartnerChoice::ActiveBackup));
}

cases!(with_a_balancing_bond: VETH_TCX);
fn with_a_balancing_bond(case: Case) {
    needs!(BOND);
    spread(&Lab::two_ports(case), |lab| PartnerLag::bond(lab, PartnerChoice::Hash));
}

cases!(with_a_balancing_team: VETH_TCX);
fn with_a_balancing_team(case: Case) {
    needs!(TEAM);
    spread(&Lab::two_ports(case), |lab| PartnerLag::team(lab, PartnerChoice::Hash));
}

/// Both ends use one link at a time, and prefer the same one.
#[track_caller]
fn fail_and_return(lab: &Lab, partner: impl FnOnce(&Lab) -> PartnerLag) {
    lab.attach("--primary eth0");
    let _partner = partner(lab);
    let pings = [lab.ping(RHYTHM), lab.ping6(RHYTHM)];
    let session = TcpSession::start(&lab.host, &lab.client, HOST_V4, 4096, Duration::from_millis(2));
    let failures = |port| lab.host.show("agg0").counter(port, "link_failures");
    // Links went while the other end was made.
    let before = ["eth0", "eth1"].map(failures);
    for round in 1..=3 {
        lab.cut("eth0");
        pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
        lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
        settled(&pings);
        session.expect_alive();

        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "eth0 took back", |show| show.active() == Some("eth0"));
        settled(&pings);
        session.expect_alive();
        assert_eq!(["eth0", "eth1"].map(failures), [before[0] + round, before[1]]);
    }
}

/// Waits until both ends have chosen the same link, and checks that nothing is lost then, but for one answer that a
/// busy machine delays too long.
#[track_caller]
fn settled(pings: &[Ping]) {
    for ping in pings {
        wait_for("pings without loss", SOON, || {
            let ((), stats) = ping.during(|| ping.run(10));
            stats.lost == 0
        });
        let ((), stats) = ping.during(|| ping.run(100));
        assert!(stats.lost <= 1 && stats.doubled == 0, "{stats:?}");
    }
}

/// The other end uses all its links. Of those, this end receives one in active-backup: while there are two, flows that
/// are sent to the standby port are dropped, and counted as such, as kernel bonding in active-backup does it.
#[track_caller]
fn spread(lab: &Lab, partner: impl FnOnce(&Lab) -> PartnerLag) {
    lab.attach("");
    let _partner = partner(lab);
    lab.cut("eth1");
    // The other end sends ARP over a link of its choice, too, which is not what this is about.
    let mac = |namespace: &Namespace, name: &str| namespace.link(name)["address"].as_str().unwrap().to_owned();
    let (host, client) = (mac(&lab.host, "agg0"), mac(&lab.client, "eth0"));
    lab.client.ip(&format!("neigh replace {HOST_V4} lladdr {host} dev eth0 nud permanent"));
    let flows: Vec<_> = (0..FLOWS)
        .map(|number| {
            let address = format!("10.0.0.{}", 100 + number);
            lab.client.ip(&format!("addr add {address}/24 dev eth0"));
            lab.host.ip(&format!("neigh replace {address} lladdr {client} dev agg0 nud permanent"));
            Ping::start(&lab.client, &lab.host, HOST_V4, Some(&address), CALM)
        })
        .collect();
    let answered = || -> Vec<bool> {
        let marks: Vec<_> = flows.iter().map(|flow| (flow, flow.mark())).collect();
        flows[0].run(15);
        marks.into_iter().map(|(flow, mark)| flow.answered_since(mark)).collect()
    };
    let all = |answered: &[bool]| answered.iter().all(|answered| *answered);

    lab.restore("eth1");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    wait_for("flows to the standby port", SOON, || !all(&answered()));
    let before = lab.host.show("agg0").counter("eth1", "rx_dropped");
    let first = answered();
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert!(lab.host.show("agg0").counter("eth1", "rx_dropped") > before);

    // By hand to the other port: now it is the other half that is received.
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    let second: Vec<bool> = first.iter().map(|received| !received).collect();
    wait_for("the other half of the flows", SOON, || answered() == second);
    holds_for("the other half of the flows", Duration::from_secs(1), || answered() == second);

    // With one link left, all flows come there, whichever it is.
    for port in ["eth1", "eth0"] {
        lab.cut(port);
        wait_for("all flows on one link", SOON, || all(&answered()));
        lab.restore(port);
        lab.host.wait_for_show("agg0", "the port waits", |show| show.state(port) == "standby");
    }
}
