//! Failover inside the kernel: what frames do when a link is lost and nobody is left who could tell the programs.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{collections::BTreeSet, time::Duration};

use aggctl_tests::{
    Case, Lab, Namespace, Ping, cases, feature::READABLE_DEVICES, group::Group, holds_for, lab::CLIENT_V4,
    matrix::SOON, skip, wait,
};

/// Frames a second.
const RATE: u32 = 10_000;
/// Frames that arrive before the cut: by then all flows pass.
const BEFORE: usize = 2_000;
/// Frames that arrive after it: many more than may be lost.
const AFTER: usize = 4_000;
/// Frames that may be lost when a port itself is taken down: those of two bursts of the sender, which may be on the
/// wire. A tenth of a second of black hole are a thousand.
const ITSELF: usize = 40;
/// The same when its far end is taken down. That ceases to receive before this end can know: after it, the kernel waits
/// until all processors have let go of it (`synchronize_net`), some milliseconds on a busy machine.
const FAR_END: usize = 300;
/// Flows, so that in every mode each port has some.
const FLOWS: u16 = 64;
/// As often a cut is tried: a machine that stands still for a moment says nothing about the programs.
const ATTEMPTS: usize = 4;
/// The rhythm of pings.
const RHYTHM: Duration = Duration::from_millis(10);

/// Whether the programs ask this kernel; prints why not.
fn asks(host: &Namespace) -> bool {
    let asks = host.show("agg0").0["failover_path"] == "kernel";
    if !asks {
        skip(&READABLE_DEVICES.lacking());
    }
    asks
}

/// Sends at a steady rate, has something happen meanwhile, and counts what did not arrive behind the far aggregate.
fn lost(group: &Group, happens: impl FnOnce()) -> usize {
    let receivers = group.listen_behind();
    let sent = group.sender().during(RATE, FLOWS, || {
        receivers.wait_for_more(BEFORE);
        happens();
        receivers.wait_for_more(AFTER);
    });
    let arrived: BTreeSet<u64> = receivers.received().concat().into_iter().map(|(_, number)| number).collect();
    usize::try_from(sent).unwrap() - arrived.len()
}

/// Has something happen until it costs no more frames than it may, a few times at most; mends it each time.
#[track_caller]
fn costs_at_most(most: usize, group: &Group, what: &str, happens: impl Fn(), mend: impl Fn()) {
    let mut seen = Vec::new();
    let is_good = |seen: &mut Vec<usize>| {
        seen.push(lost(group, &happens));
        mend();
        seen.last() <= Some(&most)
    };
    assert!((0..ATTEMPTS).any(|_| is_good(&mut seen)), "{what}: more than {most} frames were lost: {seen:?}");
    println!("{what}: {seen:?}");
}

/// Two hosts, both ends aggregates that nobody controls any more; none where the programs cannot ask the kernel.
fn uncontrolled(case: Case, options: &str) -> Option<Group> {
    let group = Group::new(case, 2);
    for end in [&group.near, &group.far] {
        group.attach(end, options);
    }
    let asks = asks(&group.near);
    for end in [&group.near, &group.far] {
        end.kill_all();
    }
    asks.then_some(group)
}

/// Both ends have to receive where the other sends.
fn nobody_is_needed(case: Case, options: &str) {
    let Some(group) = uncontrolled(case, options) else { return };
    for (what, end, most) in [("the port itself", &group.near, ITSELF), ("its far end", &group.far, FAR_END)] {
        let set = |state: &str| drop(end.ip(&format!("link set eth0 {state}")));
        costs_at_most(most, &group, what, || set("down"), || set("up"));
    }
}

cases!(active_backup_goes_on_without_anybody: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn active_backup_goes_on_without_anybody(case: Case) {
    nobody_is_needed(case, "");
}

cases!(hash_goes_on_without_anybody: VETH_TCX, DIRECT_VETH_TCX);
fn hash_goes_on_without_anybody(case: Case) {
    nobody_is_needed(case, "--mode hash");
}

cases!(round_robin_goes_on_without_anybody: VETH_TCX, DIRECT_VETH_TCX);
fn round_robin_goes_on_without_anybody(case: Case) {
    nobody_is_needed(case, "--mode round-robin");
}

cases!(a_link_that_comes_back_at_once_loses_no_more: VETH_TCX, DIRECT_VETH_TCX);
fn a_link_that_comes_back_at_once_loses_no_more(case: Case) {
    let Some(group) = uncontrolled(case, "") else { return };
    for _ in 0..3 {
        let flap = || {
            group.far.ip("link set eth0 down");
            group.far.ip("link set eth0 up");
        };
        costs_at_most(FAR_END, &group, "down and up", flap, || ());
    }
}

/// The host asks the client at a steady rhythm.
fn from_host(lab: &Lab) -> Ping {
    Ping::start(&lab.host, &lab.client, CLIENT_V4, None, RHYTHM)
}

cases!(
    a_cable_is_cut_and_nobody_is_there_to_see:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_TCX, DIRECT_TAP_CLSACT
);
fn a_cable_is_cut_and_nobody_is_there_to_see(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0");
    lab.host.wait_for_show("agg0", "both ports usable", |show| {
        ["eth0", "eth1"].iter().all(|port| show.port(port)["usable"] == true)
    });
    if !asks(&lab.host) {
        return;
    }
    // The host asks: so the switch learns from its next frame where it is, and not when it finds that the link is lost.
    let ping = from_host(&lab);
    lab.host.kill_all();
    let most = case.failover_limit() + wait::lossy(2);
    let ((), stats) = ping.during(|| {
        ping.run(10);
        lab.cut("eth0");
        ping.run(100);
    });
    assert!(stats.lost <= most, "{stats:?}");
    let show = lab.host.show("agg0");
    assert_eq!((show.active(), show.state("eth0")), (Some("eth1"), "down"), "{:#}", show.0);

    // A controller finds all as it is, and goes on from there.
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("adopt agg0").ok();
        lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    });
    assert!(stats.lost <= case.failover_limit(), "{stats:?}");
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 is back", |show| show.active() == Some("eth0"));
    ping.wait_for_answer(SOON);
}

cases!(a_port_that_comes_back_is_asked_again: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_that_comes_back_is_asked_again(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0");
    if !asks(&lab.host) {
        return;
    }
    // Unplugged, and plugged in again under another number.
    lab.host.ip("link del eth0");
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    lab.switch.ip(&format!("link add sw0 type veth peer name eth0 netns {}", lab.host.name()));
    lab.switch.ip("link set sw0 master br0 up");
    lab.host.ip("link set eth0 up");
    lab.host.wait_for_show("agg0", "eth0 is active", |show| show.active() == Some("eth0"));
    let ping = from_host(&lab);
    ping.wait_for_answer(SOON);
    // And moved away by its owner, and back.
    let elsewhere = Namespace::new("e");
    lab.host.ip(&format!("link set eth0 netns {}", elsewhere.name()));
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    elsewhere.ip(&format!("link set eth0 netns {}", lab.host.name()));
    lab.host.ip("link set eth0 up");
    lab.host.wait_for_show("agg0", "eth0 is active", |show| show.active() == Some("eth0"));
    ping.wait_for_answer(SOON);
    holds_for("eth0 stays", Duration::from_millis(500), || lab.host.show("agg0").active() == Some("eth0"));

    lab.host.kill_all();
    let ((), stats) = ping.during(|| {
        ping.run(10);
        lab.cut("eth0");
        ping.run(100);
    });
    assert!(stats.lost <= case.failover_limit() + wait::lossy(2), "{stats:?}");
}
