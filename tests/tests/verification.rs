//! Whether an aggregate stays as it should be: what others take away or change is found within a second, put right, and
//! told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{Case, Lab, Ping, PrivateRun, cases, lab::HOST_V4, matrix::SOON, wait_for};
use serde_json::Value;

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(2);
/// Pages of a private `/run`: plenty.
const PAGES: u64 = 4096;

/// A lab whose aggregate has its state in a `/run` of its own.
struct Apart {
    run: PrivateRun,
    lab: Lab,
}

impl Apart {
    fn attach(case: Case) -> Self {
        let lab = Lab::two_ports(case);
        let run = PrivateRun::new(PAGES);
        run.aggctl(&lab.host, &lab.attach_line("")).ok();
        let apart = Self { run, lab };
        apart.wait_for("eth1 waits", |show| state(show, "eth1") == "standby");
        apart
    }

    fn show(&self) -> Value {
        self.run.show(&self.lab.host, "agg0")
    }

    #[track_caller]
    fn wait_for(&self, what: &str, mut wished: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_for(what, SOON, || {
            last = self.show();
            wished(&last)
        });
        last
    }

    fn ping(&self) -> Ping {
        Ping::start(&self.lab.client, &self.lab.host, HOST_V4, None, RHYTHM)
    }
}

fn state<'a>(show: &'a Value, port: &str) -> &'a str {
    let ports = show["ports"].as_array().unwrap();
    ports.iter().find(|known| known["name"] == port).unwrap()["state"].as_str().unwrap()
}

/// Whether something like that was repaired.
fn repaired(show: &Value, what: &str) -> bool {
    show["repairs"].as_array().unwrap().iter().any(|repair| repair["what"].as_str().unwrap().contains(what))
}

/// Whether something like that is wrong now.
fn wrong(show: &Value, what: &str) -> bool {
    show["defects"].as_array().unwrap().iter().any(|defect| defect["what"].as_str().unwrap().contains(what))
}

#[track_caller]
fn nothing_is_wrong(show: &Value) {
    assert_eq!(show["defects"], Value::Array(Vec::new()), "{show:#}");
}

cases!(
    traffic_survives_the_bpffs_and_it_is_mounted_again:
    VETH_TCX, VETH_TCX_VETH, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn traffic_survives_the_bpffs_and_it_is_mounted_again(case: Case) {
    let apart = Apart::attach(case);
    nothing_is_wrong(&apart.show());
    let pins = || apart.run.path().join("aggctl/bpf").join(apart.lab.host.cookie().to_string()).join("agg0");
    let names = || {
        let entries = std::fs::read_dir(pins()).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    assert!(before.len() > 5, "{before:?}");
    let ping = apart.ping();
    let ((), stats) = ping.during(|| {
        apart.run.enter("umount", &["--lazy", "/run/aggctl/bpf"]).ok();
        let show = apart.wait_for("pinned again", |show| repaired(show, "pins"));
        nothing_is_wrong(&show);
        ping.run(500);
    });
    assert_eq!(stats.lost, 0, "{stats:?}: {:#}", apart.show());
    assert_eq!(names(), before);
    // The pins are whole: nobody but them holds programs and maps now.
    let controller = apart.show()["controller"]["pid"].as_u64().unwrap();
    let ((), stats) = ping.during(|| {
        apart.run.enter("kill", &["-9", &controller.to_string()]).ok();
        apart.wait_for("the next controller", |show| {
            show["controller"]["pid"].as_u64().is_some_and(|pid| pid != controller)
        });
        ping.run(500);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    apart.lab.cut("eth0");
    ping.wait_for_answer(SOON);
    apart.wait_for("eth1 took over", |show| show["active_port"] == "eth1");
    apart.lab.restore("eth0");
    apart.wait_for("eth0 waits", |show| state(show, "eth0") == "standby");
    apart.run.aggctl(&apart.lab.host, "detach agg0").ok();
    assert!(!apart.run.path().join("aggctl").exists());
}

cases!(pins_that_were_removed_come_back: VETH_TCX, DIRECT_VETH_CLSACT);
fn pins_that_were_removed_come_back(case: Case) {
    let apart = Apart::attach(case);
    let ping = apart.ping();
    let dir = apart.run.path().join("aggctl/bpf").join(apart.lab.host.cookie().to_string()).join("agg0");
    let links: Vec<_> = ["ports", "tx", "rx0", "link-rx0", "link-tx", "link-relay"]
        .iter()
        .map(|name| dir.join(name))
        .filter(|path| path.exists())
        .collect();
    assert!(links.len() >= 3, "{links:?}");
    let ((), stats) = ping.during(|| {
        links.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        wait_for("the pins", SOON, || links.iter().all(|path| path.exists()));
        ping.run(300);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let show = apart.wait_for("it is told", |show| repaired(show, "pins are lost"));
    nothing_is_wrong(&show);
}

cases!(programs_that_were_taken_off_are_attached_again: VETH_CLSACT, DIRECT_VETH_CLSACT);
fn programs_that_were_taken_off_are_attached_again(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let place = sending_place(&lab);
    for (place, what) in [(place.as_str(), "program tx"), ("eth0 ingress", "program rx0")] {
        lab.host.tc(&format!("filter del dev {place}")).ok();
        ping.wait_for_answer(SOON);
        let show = lab.host.wait_for_show("agg0", what, |show| repaired(&show.0, what));
        nothing_is_wrong(&show.0);
    }
    let ((), stats) = ping.during(|| ping.run(100));
    assert_eq!(stats.lost, 0, "{stats:?}");
}

/// Where the sending program of a veth pair is attached, as `tc` wants it.
fn sending_place(lab: &Lab) -> String {
    let agg0 = lab.host.link("agg0");
    agg0["link"].as_str().map_or_else(|| "agg0 egress".to_owned(), |peer| format!("{peer} ingress"))
}

cases!(who_takes_a_program_off_again_and_again_is_not_fought_without_end: VETH_CLSACT);
fn who_takes_a_program_off_again_and_again_is_not_fought_without_end(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    let mut removed = 0;
    let show = loop {
        assert!(removed < 30, "it is put back without end");
        removed += u32::from(lab.host.tc("filter del dev eth1 ingress").succeeded());
        let mut show = lab.host.show("agg0").0;
        let waits = |show: &Value| {
            let defects = show["defects"].as_array().unwrap();
            defects.iter().any(|defect| defect["done"].as_str().unwrap().contains("again and again"))
        };
        wait_for("repaired, or given up for now", SOON, || {
            show = lab.host.show("agg0").0;
            waits(&show) || (show["defects"] == Value::Array(Vec::new()) && repaired(&show, "rx1"))
        });
        if waits(&show) {
            break show;
        }
    };
    assert!(removed >= 5, "the first are repaired at once");
    assert!(wrong(&show, "program rx1 is not attached to eth1"), "{show:#}");
    assert!(lab.host.aggctl("show agg0").ok().contains("wrong: program rx1"));
}

cases!(the_peer_is_kept_as_the_aggregate_needs_it: VETH_TCX, VETH_CLSACT);
fn the_peer_is_kept_as_the_aggregate_needs_it(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let peer = lab.host.link("agg0")["link"].as_str().unwrap().to_owned();
    lab.host.ip(&format!("link set {peer} down"));
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "the peer is up again", |show| {
        show.carrier() && repaired(&show.0, "is administratively down")
    });
    lab.host.ip(&format!("link set {peer} mtu 1280"));
    lab.host.wait_for_show("agg0", "its MTU", |show| repaired(&show.0, "MTU 1280 instead of 1500"));
    assert_eq!(lab.host.link(&peer)["mtu"], 1500);
    // What belongs to somebody else is told, not removed.
    lab.host.ip(&format!("addr add 192.0.2.1/32 dev {peer}"));
    lab.host.wait_for_show("agg0", "an address", |show| wrong(&show.0, "the address 192.0.2.1"));
    assert!(lab.host.ip(&format!("addr show dev {peer}")).contains("192.0.2.1"));
    lab.host.ip(&format!("addr del 192.0.2.1/32 dev {peer}"));
    lab.host.wait_for_show("agg0", "no address", |show| show.0["defects"] == Value::Array(Vec::new()));
}

cases!(a_peer_in_a_namespace_of_its_own_is_kept_up_as_well: DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_peer_in_a_namespace_of_its_own_is_kept_up_as_well(case: Case) {
    let apart = Apart::attach(case);
    let ping = apart.ping();
    let netns = format!("--net=/run/aggctl/{}/agg0/netns", apart.lab.host.cookie());
    let peers = apart.run.enter("nsenter", &[&netns, "ip", "-j", "link"]).ok();
    let peers: Vec<Value> = serde_json::from_str(&peers).unwrap();
    let peer = peers.iter().find(|link| link["link_type"] == "ether").unwrap()["ifname"].as_str().unwrap().to_owned();
    apart.run.enter("nsenter", &[&netns, "ip", "link", "set", &peer, "down"]).ok();
    ping.wait_for_answer(SOON);
    let show = apart.wait_for("the peer is up again", |show| repaired(show, "is administratively down"));
    assert_eq!(show["carrier"], true);
}

cases!(a_setting_that_somebody_keeps_changing_is_put_back_ever_more_rarely: VETH_TCX);
fn a_setting_that_somebody_keeps_changing_is_put_back_ever_more_rarely(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    let mut changed = 0;
    let show = loop {
        assert!(changed < 100, "it is put back without end");
        lab.host.ip("link set eth1 mtu 1400");
        changed += 1;
        let mut show = lab.host.show("agg0").0;
        wait_for("put back, or given up for now", SOON, || {
            show = lab.host.show("agg0").0;
            wrong(&show, "MTU of eth1") || lab.host.link("eth1")["mtu"] == 1500
        });
        if wrong(&show, "MTU of eth1") {
            break show;
        }
    };
    assert!(changed > 5, "{show:#}");
    assert!(wrong(&show, "somebody changes it again and again"), "{show:#}");
}

cases!(without_a_controller_show_looks_itself: VETH_TCX, DIRECT_VETH_TCX);
fn without_a_controller_show_looks_itself(case: Case) {
    let apart = Apart::attach(case);
    let controller = apart.show()["controller"]["pid"].as_u64().unwrap().to_string();
    let guardian = apart.run.enter("ps", &["-o", "ppid=", "-p", &controller]).ok().trim().to_owned();
    apart.run.enter("kill", &["-9", &guardian, &controller]).ok();
    let show = apart.wait_for("nobody", |show| show["controller"]["running"] == false);
    nothing_is_wrong(&show);
    let ping = apart.ping();
    apart.run.enter("umount", &["--lazy", "/run/aggctl/bpf"]).ok();
    let show = apart.wait_for("the truth", |show| wrong(show, "program tx is not attached"));
    assert!(wrong(&show, "pins") && wrong(&show, "program rx1 is not attached to eth1"), "{show:#}");
    ping.expect_silence();
    apart.run.aggctl(&apart.lab.host, "adopt agg0").ok();
    ping.wait_for_answer(SOON);
    apart.wait_for("all is well", |show| show["defects"] == Value::Array(Vec::new()));
}
