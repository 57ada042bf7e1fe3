//! Which ports are taken, and which are not though their link is up.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::{Duration, SystemTime};

use aggctl_tests::{Case, HostState, Lab, aggctl::Show, cases, holds_for, matrix::SOON};

/// The rhythm of the pings: nothing that lasts longer than this goes unseen.
const RHYTHM: Duration = Duration::from_millis(2);

/// Cuts and mends the cable of a port so many times, each as soon as the controller has seen the last.
fn flap(lab: &Lab, port: &str, times: usize) {
    let sees = |up: bool, what: &str| {
        lab.host.wait_for_show("agg0", what, |show| show.port(port)["watches"][0]["up"] == up);
    };
    for _ in 0..times {
        lab.cut(port);
        sees(false, "the link is lost");
        lab.restore(port);
        sees(true, "the link is back");
    }
}

fn is_held(show: &Show, port: &str) -> bool {
    !show.port(port)["held_down"].is_null()
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Attached, and eth0, which is the primary, held down for an hour.
fn held(case: Case) -> Lab {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0 --hold-down changes=4,window=3600,for=3600");
    flap(&lab, "eth0", 1);
    lab.host.wait_for_show("agg0", "the primary is active again", |show| show.active() == Some("eth0"));
    flap(&lab, "eth0", 1);
    let show = lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    assert!(is_held(&show, "eth0") && !is_held(&show, "eth1"), "{:#}", show.0["ports"]);
    lab
}

cases!(a_port_that_flaps_is_not_taken_while_it_is_held_down: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_port_that_flaps_is_not_taken_while_it_is_held_down(case: Case) {
    let lab = held(case);
    let show = lab.host.show("agg0");
    let port = show.port("eth0");
    assert_eq!((&port["link"], &port["usable"], &port["state"]), (&"up".into(), &false.into(), &"down".into()));
    let why = port["why"].as_str().unwrap();
    assert!(why.contains("held down until ") && why.ends_with(": 4 changes in 3600 s"), "{why}");
    let text = lab.host.aggctl("show agg0").ok();
    assert!(text.contains(why.split(" until ").next().unwrap()), "{text}");
    assert!(text.contains("hold-down changes=4,window=3600,for=3600"), "{text}");
    let explained = lab.host.aggctl("explain agg0 --flow src=10.0.0.2,dst=10.0.0.1").ok();
    assert!(explained.contains("held down  eth0"), "{explained}");
    let refused = lab.host.aggctl("set agg0 active-port=eth0");
    assert!(refused.code == Some(1) && refused.stderr.contains("held down"), "{refused}");

    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        let stays = || lab.host.show("agg0").active() == Some("eth1");
        holds_for("eth1 stays active", Duration::from_millis(500), stays);
        // The time is looked up when it is needed: some seconds from now it is over.
        let since = port["held_down"]["until_ms"].as_u64().unwrap() - 3_600_000;
        let seconds = (now_ms() - since) / 1_000 + 3;
        lab.host.aggctl(&format!("set agg0 hold-down=changes=4,window=3600,for={seconds}")).ok();
        lab.host.wait_for_show("agg0", "the primary is active", |show| show.active() == Some("eth0"));
        // Two clocks are compared: to the millisecond they need not agree.
        assert!(now_ms() + 100 >= since + seconds * 1_000, "it was taken too early");
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(!is_held(&lab.host.show("agg0"), "eth0"));
}

cases!(the_last_port_is_used_though_it_is_held_down: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn the_last_port_is_used_though_it_is_held_down(case: Case) {
    let lab = held(case);
    let ping = lab.ping(RHYTHM);
    lab.cut("eth1");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth0 is active", |show| show.active() == Some("eth0"));
    let why = show.port("eth0")["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("carries the traffic, since no other port has a link; held down until "), "{why}");
    assert!(show.carrier() && is_held(&show, "eth0"));
    // The switch may need a moment to forward again, so what is lost now is not counted.
    lab.restore("eth1");
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    ping.wait_for_answer(SOON);
    lab.host.aggctl("set agg0 hold-down=off").ok();
    let show = lab.host.wait_for_show("agg0", "the primary is active", |show| show.active() == Some("eth0"));
    assert!(!is_held(&show, "eth0"));
}

cases!(whoever_takes_over_holds_down_what_was_held_down: VETH_TCX, TAP_TCX);
fn whoever_takes_over_holds_down_what_was_held_down(case: Case) {
    let lab = held(case);
    let until = |show: &Show| show.port("eth0")["held_down"]["until_ms"].as_u64().unwrap();
    let before = until(&lab.host.show("agg0"));
    lab.host.kill_all();
    let orphan = lab.host.show("agg0");
    assert_eq!((&orphan.port("eth0")["usable"], orphan.active()), (&false.into(), Some("eth1")));
    lab.ping(RHYTHM).run(50);
    lab.host.aggctl("adopt agg0").ok();
    let show = lab.host.wait_for_show("agg0", "eth0 is held down", |show| is_held(show, "eth0"));
    assert_eq!(show.active(), Some("eth1"));
    assert!(until(&show).abs_diff(before) < 100, "{} was {before}", until(&show));
}

cases!(a_primary_that_joins_later_takes_over: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_primary_that_joins_later_takes_over(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2").with_port("eth3");
    lab.wait_for_dad();
    let before = HostState::of(&lab.host);
    let noted = lab.try_attach("--primary eth2");
    assert!(noted.succeeded(), "{noted}");
    let note = |primary: &str| format!("{primary} is no port of agg0 yet");
    assert!(noted.stderr.contains(&note("eth2")), "{noted}");
    let show = lab.host.show("agg0");
    assert_eq!((show.active(), &show.0["primary_is_port"]), (Some("eth0"), &false.into()));
    let text = lab.host.aggctl("show agg0").ok();
    assert!(text.contains("primary eth2: not a port yet"), "{text}");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("port add agg0 eth2").ok();
        let show = lab.host.wait_for_show("agg0", "the primary is active", |show| show.active() == Some("eth2"));
        assert_eq!(show.0["primary_is_port"], true);
        // So with one that is named while the aggregate runs.
        let noted = lab.host.aggctl("set agg0 primary=eth3");
        assert!(noted.succeeded() && noted.stderr.contains(&note("eth3")), "{noted}");
        lab.host.aggctl("port add agg0 eth3").ok();
        lab.host.wait_for_show("agg0", "the new primary is active", |show| show.active() == Some("eth3"));
        let quiet = lab.host.aggctl("set agg0 primary=eth0");
        assert!(quiet.succeeded() && quiet.stderr.is_empty(), "{quiet}");
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "primaries joined later");
}

cases!(a_choice_by_hand_is_given_up: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_choice_by_hand_is_given_up(case: Case) {
    let lab = Lab::two_ports(case);
    // Not the preferred port takes over by itself: only the order does it.
    lab.attach("--reselect failure");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("set agg0 active-port=eth1").ok();
        let show = lab.host.show("agg0");
        assert_eq!(
            (show.active(), &show.port("eth1")["why"]),
            (Some("eth1"), &"carries the traffic, chosen by hand".into())
        );
        ping.run(50);
        lab.host.aggctl("set agg0 active-port=none").ok();
        let show = lab.host.show("agg0");
        assert_eq!((show.active(), &show.port("eth0")["why"]), (Some("eth0"), &"carries the traffic".into()));
        ping.run(50);
        // By bonding's name, and with another change.
        lab.host.aggctl("set agg0 active_slave=eth1").ok();
        lab.host.aggctl("set agg0 primary=eth1 active_slave=none").ok();
        assert_eq!(lab.host.show("agg0").active(), Some("eth1"));
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.host.aggctl("set agg0 mode=hash").ok();
    let refused = lab.host.aggctl("set agg0 active-port=none");
    assert!(refused.code == Some(1) && refused.stderr.contains("there is no active port"), "{refused}");
}

cases!(a_port_that_is_disabled_by_hand_is_not_used: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_port_that_is_disabled_by_hand_is_not_used(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("port set agg0 eth0,enabled=off").ok();
        let show = lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
        let port = show.port("eth0");
        assert_eq!((&port["state"], &port["usable"], &port["link"]), (&"disabled".into(), &false.into(), &"up".into()));
        assert_eq!(
            (&port["why"], &port["enabled"]),
            (&"disabled by hand (enabled=off); link is up".into(), &false.into())
        );
        ping.run(50);
        let (before, packets) = (show.counter("eth0", "tx_packets"), 200);
        ping.run(packets);
        let sent = lab.host.show("agg0").counter("eth0", "tx_packets") - before;
        assert!(sent < 20, "{sent} of {packets} answers left through a disabled port");
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let refused = lab.host.aggctl("set agg0 active-port=eth0");
    assert!(refused.code == Some(1) && refused.stderr.contains("disabled by hand"), "{refused}");

    // Also where it would be the last one, and whoever looks after it.
    lab.host.kill_all();
    let orphan = lab.host.show("agg0");
    assert_eq!((&orphan.port("eth0")["state"], orphan.active()), (&"disabled".into(), Some("eth1")));
    lab.host.aggctl("adopt agg0").ok();
    lab.host.wait_for_show("agg0", "eth1 is still active", |show| {
        show.active() == Some("eth1") && show.state("eth0") == "disabled"
    });
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "no port is active", |show| show.active().is_none() && !show.carrier());
    ping.expect_silence();
    lab.host.aggctl("port set agg0 eth0,enabled").ok();
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "eth0 is active", |show| show.active() == Some("eth0"));
    // Switched off with the attach it is a port all the same.
    lab.host.aggctl("detach agg0").ok();
    lab.restore("eth1");
    let line = lab.attach_line("").replace("--port eth0", "--port eth0,noenabled");
    lab.host.aggctl(&line).ok();
    let show = lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    assert_eq!(show.state("eth0"), "disabled");
    ping.wait_for_answer(SOON);
}
