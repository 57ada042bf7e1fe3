//! Early drop: what a port must not receive is dropped by an XDP program, before anybody sees it.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use aggctl_tests::{
    Capture, Case, HostState, Lab, cases,
    frames::{self, LOCAL},
    lab::switch_end,
    matrix::SOON,
    sys::PacketSocket,
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(2);
/// Nobody's address.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];

/// What the kernel says of the XDP program of an interface: the mode, in the words of `--xdp`.
fn mode(lab: &Lab, port: &str) -> &'static str {
    let link = lab.host.link(port);
    match link["xdp"]["mode"].as_u64() {
        None => "off",
        Some(1) => "native",
        Some(2) => "generic",
        other => panic!("{other:?}: {link:#}"),
    }
}

/// Checks that ports drop early in this mode, as the kernel has it and as `show` says.
#[track_caller]
fn expect(lab: &Lab, ports: &[&str], wanted: &str) {
    let show = lab.host.show("agg0");
    for port in ports {
        assert_eq!((mode(lab, port), show.port(port)["xdp"].as_str()), (wanted, Some(wanted)), "{port}: {:#}", show.0);
    }
}

fn standby_drops(lab: &Lab, port: &str) -> u64 {
    lab.host.show("agg0").port(port)["rx_drops"]["standby"].as_u64().unwrap_or(0)
}

/// Frames that did not come to a port because its queue was full.
fn overflow(lab: &Lab, port: &str) -> u64 {
    let text = lab.switch.ip(&format!("-j -s link show dev {}", switch_end(port)));
    let link: serde_json::Value = serde_json::from_str(&text).unwrap();
    link[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
}

/// Floods a port while something is done. Returns how many frames were sent.
fn flood(lab: &Lab, port: &str, work: impl FnOnce()) -> u64 {
    let sender = lab.switch.enter(|| PacketSocket::open(&switch_end(port), 0)).unwrap();
    let (ended, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let frame = frames::frame(NOBODY, LOCAL, "flood");
            while !ended.load(Ordering::Acquire) {
                for _ in 0..50 {
                    sent.fetch_add(u64::from(sender.send(&frame).is_ok()), Ordering::AcqRel);
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        work();
        ended.store(true, Ordering::Release);
    });
    sent.into_inner()
}

fn survives_a_flood(case: Case, xdp: &str) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach(&format!("--xdp {xdp} --reselect failure"));
    expect(&lab, &["eth0", "eth1"], xdp);
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    let ping = lab.ping(RHYTHM);
    // A socket for all protocols receives before the receiving program does.
    let seen = Capture::start(&lab.host, "eth1", |captured| captured.bytes.get(..6) == Some(&NOBODY));
    let (dropped, overflown) = (standby_drops(&lab, "eth1"), overflow(&lab, "eth1"));
    let mut stats = None;
    let sent = flood(&lab, "eth1", || stats = Some(ping.during(|| ping.run(1000)).1));
    assert!(sent > 1000, "{sent}");
    assert_eq!(stats.as_ref().unwrap().lost, 0, "{stats:?}");
    wait_for("all that was sent is counted", SOON, || {
        standby_drops(&lab, "eth1") - dropped + overflow(&lab, "eth1") - overflown >= sent
    });
    assert_eq!(seen.frames().len(), 0, "of {sent}");
    // The port that floods becomes the active one, and what it receives is for the host.
    let ((), stats) = ping.during(|| {
        lab.cut("eth0");
        ping.wait_for_answer(SOON);
    });
    assert!(stats.lost <= case.failover_limit() * 5, "{stats:?}");
    assert_eq!(lab.host.wait_for_show("agg0", "eth1", |show| show.active() == Some("eth1")).active(), Some("eth1"));
    flood(&lab, "eth1", || ping.run(50));
    assert!(!seen.frames().is_empty(), "the active port lets pass");
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    ping.run(50);
    drop((ping, seen));
    lab.host.aggctl("detach agg0").ok();
    assert_eq!([mode(&lab, "eth0"), mode(&lab, "eth1")], ["off", "off"]);
    before.expect_again(&lab.host, "detach");
}

cases!(a_flood_is_dropped_just_behind_the_driver: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_flood_is_dropped_just_behind_the_driver(case: Case) {
    survives_a_flood(case, "generic");
}

cases!(a_flood_is_dropped_in_the_driver: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_flood_is_dropped_in_the_driver(case: Case) {
    survives_a_flood(case, "native");
}

cases!(it_changes_while_frames_pass: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn it_changes_while_frames_pass(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        for xdp in ["generic", "native", "off", "native", "generic", "auto", "generic"] {
            let done = lab.host.aggctl(&format!("set agg0 xdp={xdp}"));
            assert!(done.succeeded(), "{done}");
            assert_eq!(done.stderr.contains("veth"), xdp == "native", "{done}");
            // It would cost a veth something.
            expect(&lab, &["eth0", "eth1"], if xdp == "auto" { "off" } else { xdp });
            ping.run(50);
        }
        lab.host.aggctl("port add agg0 eth2").ok();
        expect(&lab, &["eth0", "eth1", "eth2"], "generic");
        lab.host.aggctl("port remove agg0 eth1").ok();
        assert_eq!((mode(&lab, "eth1"), mode(&lab, "eth2")), ("off", "generic"));
        ping.run(50);
    });
    assert_eq!(stats.lost, 0, "{stats:?}: {:#}", lab.host.show("agg0").0);
}

cases!(where_nothing_can_be_dropped_there_is_no_program: VETH_TCX, TAP_CLSACT);
fn where_nothing_can_be_dropped_there_is_no_program(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--mode hash --xdp generic");
    expect(&lab, &["eth0", "eth1"], "off");
    let text = lab.host.aggctl("show agg0").ok();
    assert!(text.contains("xdp generic: eth0 off (there is nothing that it could drop)"), "{text}");
    for (change, wanted) in [("partner=plain", "generic"), ("partner=lag", "off"), ("mode=active-backup", "generic")] {
        lab.host.aggctl(&format!("set agg0 {change}")).ok();
        expect(&lab, &["eth0", "eth1"], wanted);
    }
    // The frames of a tap are as they are sent; of a veth nobody knows.
    lab.host.aggctl("set agg0 mode=hash vlan=trunk=20").ok();
    expect(&lab, &["eth0", "eth1"], if case == Case::TAP_CLSACT { "generic" } else { "off" });
}

cases!(it_needs_no_controller_and_is_taken_over: VETH_TCX, DIRECT_VETH_CLSACT);
fn it_needs_no_controller_and_is_taken_over(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--xdp generic");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.kill_all();
        expect(&lab, &["eth0", "eth1"], "generic");
        ping.run(50);
        lab.host.aggctl("adopt agg0").ok();
        expect(&lab, &["eth0", "eth1"], "generic");
        ping.run(50);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let defects =
        lab.host.wait_for_show("agg0", "a controller", |show| show.controller().is_some()).0["defects"].clone();
    assert_eq!(defects, serde_json::json!([]));
    // A port that was plugged out and in.
    lab.host.ip(&format!("link set eth1 netns {}", lab.client.name()));
    lab.host.wait_for_show("agg0", "eth1 is gone", |show| show.port("eth1")["present"] == false);
    wait_for("no program on it there", SOON, || lab.client.link("eth1")["xdp"].is_null());
    lab.client.ip(&format!("link set eth1 netns {}", lab.host.name()));
    lab.host.ip("link set eth1 up");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    wait_for("it drops early again", SOON, || mode(&lab, "eth1") == "generic");
}

cases!(a_program_of_somebody_else_stays: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_program_of_somebody_else_stays(case: Case) {
    // Theirs is the one of another aggregate.
    let other = Lab::two_ports(case);
    other.attach("--xdp generic");
    let theirs = other.host.pins("agg0").join("xdp1");
    let lab = Lab::two_ports(case);
    let put = |state: &str| lab.host.ip(&format!("link set dev eth1 xdpgeneric {state}"));
    put(&format!("pinned {}", theirs.display()));
    let id = || lab.host.link("eth1")["xdp"]["prog"]["id"].as_u64();
    let (stranger, before) = (id(), HostState::of(&lab.host));
    assert!(stranger.is_some());
    for xdp in ["generic", "native"] {
        let refused = lab.try_attach(&format!("--xdp {xdp}"));
        assert_eq!(refused.code, Some(1), "{refused}");
        let named = format!("XDP program {} (xdpgen_active)", stranger.unwrap());
        assert!(refused.stderr.contains(&named) && refused.complaints().len() == 1, "{refused}");
        assert_eq!(id(), stranger);
        before.expect_unchanged(&lab.host, "a refusal");
    }
    lab.attach("");
    let refused = lab.host.aggctl("set agg0 xdp=generic min-ports=2");
    assert!(refused.code == Some(1) && refused.stderr.contains("somebody else"), "{refused}");
    let show = lab.host.show("agg0");
    assert_eq!((id(), mode(&lab, "eth0"), &show.0["min_ports"]), (stranger, "off", &serde_json::json!(1)));
    put("off");
    lab.host.aggctl("set agg0 xdp=generic").ok();
    expect(&lab, &["eth0", "eth1"], "generic");
    let theirs = format!("link set dev eth1 xdpgeneric pinned {}", theirs.display());
    assert!(!lab.host.try_ip(&theirs).succeeded(), "ours is there");
}
