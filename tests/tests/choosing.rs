//! Which ports are taken, and which are not though their link is up.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::{Duration, SystemTime};

use aggctl_tests::{Case, Lab, aggctl::Show, cases, holds_for, matrix::SOON};

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
