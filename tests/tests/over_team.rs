//! Wiring `over`: our choice of the port on the kernel's team devices, with and without their daemon.
//!
//! ```text
//!   near                             far
//!  +-----------------------+       +-----------------------+
//!  | team0 ┬ eth0 ─────────────────── eth0 ┬ bond0         |
//!  |       └ eth1 ─────────────────── eth1 ┘               |
//!  +-----------------------+       +-----------------------+
//! ```
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{collections::BTreeMap, net::UdpSocket, time::Duration};

use aggctl_tests::{
    Namespace, Ping, Show,
    matrix::SOON,
    needs,
    partner::Teamd,
    processes::{alive, kill},
    wait_for,
};
use serde_json::{Value, json};

/// The near host's address.
const NEAR: &str = "10.7.1.1";
/// The far host's address.
const FAR: &str = "10.7.1.2";
/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// A bond that receives by all its ports.
const SHARING: &str = "mode balance-xor miimon 10";
/// `ad_actor_oper_port_state` of a port in full use (IEEE 802.1AX-2020, 6.4.2.3).
const IN_USE: u64 = 63;

/// The drawing above.
struct Net {
    near: Namespace,
    far: Namespace,
    /// The near device.
    team: String,
    ports: usize,
    _teamd: Option<Teamd>,
}

impl Net {
    /// A team in this mode, without daemon.
    fn new(ports: usize, mode: &str, far: &str) -> Self {
        let (near, team) = (Namespace::new("n"), "team0".to_owned());
        near.ip("link add team0 type team");
        near.exec(&format!("teamnl team0 setoption mode {mode}")).ok();
        let net = Self { near, far: Namespace::new("f"), team, ports, _teamd: None };
        net.join(far);
        net
    }

    /// A team that the daemon makes and watches, of two ports.
    fn with_daemon(runner: &Value, far: &str) -> Self {
        let near = Namespace::new("n");
        // A name that no other test has: the daemon's files are named after it.
        let team = near.name().to_owned();
        let config = json!({ "runner": runner, "link_watch": { "name": "ethtool" } });
        let teamd = Teamd::start(&near, &team, &config.to_string());
        wait_for("the daemon's device", SOON, || near.try_ip(&format!("link show dev {team}")).succeeded());
        let net = Self { near, far: Namespace::new("f"), team, ports: 2, _teamd: Some(teamd) };
        net.join(far);
        net
    }

    /// Lays the cables, to a bond.
    fn join(&self, far: &str) {
        self.far.ip(&format!("link add bond0 type bond {far}"));
        for (host, device, address) in [(&self.near, self.team.as_str(), NEAR), (&self.far, "bond0", FAR)] {
            host.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
            host.ip(&format!("addr add {address}/24 dev {device}"));
            host.ip(&format!("link set {device} up"));
            host.keep_queues_short(device);
        }
        (0..self.ports).for_each(|port| self.add_cable(port));
    }

    /// Another cable. In some modes the driver leaves it to its daemon that all ports have the device's MAC.
    fn add_cable(&self, port: usize) {
        let mac = self.near.link(&self.team)["address"].as_str().unwrap().to_owned();
        let far = self.far.name();
        self.near.ip(&format!("link add eth{port} address {mac} type veth peer name eth{port} netns {far}"));
        self.near.ip(&format!("link set eth{port} master {}", self.team));
        self.far.ip(&format!("link set eth{port} master bond0"));
    }

    /// Attaches, and waits until all ports are used and the far host answers.
    #[track_caller]
    fn attach(&self, options: &str) -> Show {
        self.aggctl(&format!("attach {} {options}", self.team));
        let show = self.wait_for("all ports are usable", |show| {
            (0..self.ports).all(|port| show.port(&format!("eth{port}"))["usable"] == true)
        });
        let answers = || self.near.exec(&format!("ping -c 1 -W 1 {FAR}")).succeeded();
        wait_for("the far host answers", SOON * 3, answers);
        show
    }

    #[track_caller]
    fn aggctl(&self, line: &str) -> String {
        self.near.aggctl(line).ok()
    }

    #[track_caller]
    fn set(&self, what: &str) {
        self.aggctl(&format!("set {} {what}", self.team));
    }

    #[track_caller]
    fn wait_for(&self, what: &str, wished: impl FnMut(&Show) -> bool) -> Show {
        self.near.wait_for_show(&self.team, what, wished)
    }

    /// An option of the device or of a port.
    fn tell(&self, port: Option<usize>, option: &str, value: &str) {
        let port = port.map(|port| format!("-p eth{port}")).unwrap_or_default();
        self.near.exec(&format!("teamnl {port} {} setoption {option} {value}", self.team)).ok();
    }

    /// The port that the driver has active.
    fn active(&self) -> Option<String> {
        let index = self.near.exec(&format!("teamnl {} getoption activeport", self.team)).ok();
        let index: u64 = index.trim().parse().unwrap();
        let is_it = |port: &String| self.near.link(port)["ifindex"] == index;
        (0..self.ports).map(|port| format!("eth{port}")).find(is_it)
    }

    #[track_caller]
    fn expect_active(&self, port: &str) {
        self.wait_for(&format!("{port} is active"), |show| show.active() == Some(port));
        wait_for("the driver has it too", SOON, || self.active().as_deref() == Some(port));
    }

    fn cut(&self, port: usize) {
        self.far.ip(&format!("link set eth{port} down"));
    }

    fn mend(&self, port: usize) {
        self.far.ip(&format!("link set eth{port} up"));
        self.wait_for("the port is back", |show| show.port(&format!("eth{port}"))["usable"] == true);
    }

    fn ping(&self) -> Ping {
        Ping::start(&self.near, &self.far, FAR, None, RHYTHM)
    }

    /// How many frames each port has sent.
    fn sent(&self) -> BTreeMap<String, u64> {
        let packets = |port: &String| self.near.link(port)["stats64"]["tx"]["packets"].as_u64().unwrap();
        (0..self.ports).map(|port| format!("eth{port}")).map(|port| (port.clone(), packets(&port))).collect()
    }

    /// Ends guardian and controller, and waits until the driver chooses.
    #[track_caller]
    fn kill_both(&self) {
        let controller = self.near.wait_for_controller(&self.team);
        kill(controller.guardian);
        kill(controller.pid);
        wait_for("nobody left", SOON, || !alive(controller.pid) && !alive(controller.guardian));
        self.wait_for("the driver chooses", |show| decides(show) == "driver");
    }
}

/// Who chooses the port.
fn decides(show: &Show) -> &str {
    show.0["driver"]["decides"].as_str().unwrap()
}

fn is_port(show: &Show, name: &str) -> bool {
    show.0["ports"].as_array().unwrap().iter().any(|port| port["name"] == name)
}

#[test]
fn each_mode_of_the_driver_has_one_of_ours() {
    needs!(TEAM, BOND);
    for (mode, ours) in [("roundrobin", "round-robin"), ("random", "random"), ("loadbalance", "hash")] {
        let net = Net::new(2, mode, SHARING);
        let show = net.attach("");
        assert_eq!((&show.0["wiring"], &show.0["mode"]), (&"over".into(), &ours.into()));
        assert_eq!((&show.0["driver"]["kind"], &show.0["driver"]["mode"]), (&"team".into(), &mode.into()));
        assert_eq!(decides(&show), "aggctl", "{:#}", show.0["driver"]);
    }
}

#[test]
fn live_changes_kill_adopt_and_detach_lose_nothing() {
    needs!(TEAM, BOND);
    let net = Net::new(2, "roundrobin", SHARING);
    net.attach("");
    let ping = net.ping();
    let ((), stats) = ping.during(|| {
        for change in ["mode=random", "mode=hash", "hash=layer2+3", "seed=7"] {
            net.set(change);
        }
        net.kill_both();
        net.aggctl("adopt team0");
        net.wait_for("we choose again", |show| decides(show) == "aggctl");
        ping.run(20);
        net.aggctl("detach team0");
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(!net.near.state("team0").exists());
}

#[test]
fn flows_take_the_ports_that_explain_says() {
    needs!(TEAM, BOND);
    let net = Net::new(4, "loadbalance", SHARING);
    // However slow the machine is, the driver chooses no port meanwhile.
    net.attach("--port eth0,weight=3 --hash layer3+4 --seed 5 --dead-after 60000");
    // Nobody asks for addresses meanwhile.
    for (host, device, other, far, address) in
        [(&net.near, "team0", &net.far, "bond0", FAR), (&net.far, "bond0", &net.near, "team0", NEAR)]
    {
        let mac = other.link(far)["address"].as_str().unwrap().to_owned();
        host.ip(&format!("neigh replace {address} lladdr {mac} nud permanent dev {device}"));
    }
    let (before, mut expected) = (net.sent(), BTreeMap::new());
    for port in 20_000..20_064_u16 {
        let flow = format!("src={NEAR},dst={FAR},proto=udp,sport={port},dport=9");
        let answer = net.aggctl(&format!("explain team0 --json --flow {flow}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        *expected.entry(answer["port"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        net.near.enter(|| {
            let socket = UdpSocket::bind((NEAR, port)).unwrap();
            socket.send_to(b"x", (FAR, 9)).unwrap();
        });
    }
    let taken: BTreeMap<_, _> =
        net.sent().into_iter().map(|(port, sent)| (port.clone(), sent - before[&port])).collect();
    assert_eq!(taken, expected);
    assert_eq!(taken.len(), 4, "{taken:?}");
}

#[test]
fn a_port_that_is_not_enabled_or_that_the_daemon_finds_dead_is_not_used() {
    needs!(TEAM, BOND);
    let net = Net::new(2, "roundrobin", SHARING);
    net.attach("");
    for (option, off, on) in [("enabled", "false", "true"), ("user_linkup_enabled", "true", "false")] {
        net.tell(Some(0), option, off);
        let show = net.wait_for("eth0 is not used", |show| show.port("eth0")["usable"] == false);
        let why = show.port("eth0")["why"].as_str().unwrap();
        assert!(why.contains("driver"), "{why}");
        net.tell(Some(0), option, on);
        net.wait_for("eth0 is used again", |show| show.port("eth0")["usable"] == true);
    }
}

#[test]
fn the_driver_is_told_which_port_is_active_and_followed_where_somebody_chose_another() {
    needs!(TEAM, BOND);
    let net = Net::new(2, "activebackup", "mode active-backup miimon 10");
    // Nobody has chosen a port yet.
    assert_eq!(net.active(), None);
    let show = net.attach("");
    assert_eq!(show.0["mode"], "active-backup");
    net.expect_active(show.active().unwrap());
    net.set("active-port=eth1");
    net.expect_active("eth1");
    let eth0 = net.near.link("eth0")["ifindex"].to_string();
    net.tell(None, "activeport", &eth0);
    net.expect_active("eth0");
    let ping = net.ping();
    net.cut(0);
    net.expect_active("eth1");
    ping.wait_for_answer(SOON);
    net.aggctl("detach team0");
    assert_eq!(net.active().as_deref(), Some("eth1"));
    ping.wait_for_answer(SOON);
}

#[test]
fn without_controller_the_driver_fails_over() {
    needs!(TEAM, BOND);
    let net = Net::new(2, "roundrobin", "mode balance-xor miimon 10 xmit_hash_policy layer2");
    net.attach("");
    net.kill_both();
    let ping = net.ping();
    for port in 0..2 {
        net.cut(port);
        ping.wait_for_answer(SOON);
        net.far.ip(&format!("link set eth{port} up"));
        wait_for("the port is back", SOON, || net.near.has_carrier(&format!("eth{port}")));
    }
    net.aggctl("detach team0");
}

#[test]
fn members_that_the_driver_gains_or_loses_are_followed() {
    needs!(TEAM, BOND);
    let net = Net::new(2, "roundrobin", SHARING);
    net.attach("");
    let ping = net.ping();
    net.add_cable(2);
    net.wait_for("eth2 is used", |show| is_port(show, "eth2") && show.port("eth2")["usable"] == true);
    net.near.ip("link set eth0 nomaster");
    net.wait_for("eth0 is no port", |show| !is_port(show, "eth0"));
    ping.wait_for_answer(SOON);
    let outcome = net.near.aggctl("set team0 min-ports=2");
    assert!(!outcome.succeeded() && outcome.stderr.contains("min_ports"), "{outcome}");
    net.near.ip("link del eth1");
    net.wait_for("eth1 is gone", |show| !is_port(show, "eth1"));
    ping.wait_for_answer(SOON);
    let controller = net.near.wait_for_controller("team0");
    net.near.ip("link del team0");
    controller.expect_gone();
    assert!(!net.near.state("team0").exists());
}

#[test]
fn what_has_no_port_to_choose_is_refused_and_left_as_it_is() {
    needs!(TEAM);
    let host = Namespace::new("h");
    host.ip("link add team0 type team");
    for (mode, complaint) in [(None, "team0 is none"), (Some("broadcast"), "team0 is broadcast")] {
        if let Some(mode) = mode {
            host.exec(&format!("teamnl team0 setoption mode {mode}")).ok();
        }
        let outcome = host.aggctl("attach team0");
        assert!(!outcome.succeeded() && outcome.stderr.contains(complaint), "{outcome}");
        assert!(!host.state("team0").exists());
    }
}

#[test]
fn the_daemon_that_keeps_one_port_active_is_told_and_followed() {
    needs!(TEAM, BOND);
    let net = Net::with_daemon(&json!({ "name": "activebackup" }), "mode active-backup miimon 10");
    let show = net.attach("");
    net.expect_active(show.active().unwrap());
    let ping = net.ping();
    // The daemon disables the ports that wait, and finds another one active than it chose. (The far bond receives
    // nothing by that one.)
    let (from, to) = if show.active() == Some("eth0") { (0, 1) } else { (1, 0) };
    net.set(&format!("active-port=eth{to}"));
    net.expect_active(&format!("eth{to}"));
    net.cut(to);
    net.expect_active(&format!("eth{from}"));
    ping.wait_for_answer(SOON);
    net.mend(to);
    net.cut(from);
    net.expect_active(&format!("eth{to}"));
    ping.wait_for_answer(SOON);
    net.aggctl(&format!("detach {}", net.team));
    ping.run(20);
}

#[test]
fn lacp_of_the_daemon_loses_nothing_and_keeps_its_partner() {
    needs!(TEAM, BOND);
    let runner = json!({ "name": "lacp", "fast_rate": true, "tx_hash": ["l3", "l4"] });
    let net = Net::with_daemon(&runner, "mode 802.3ad lacp_rate fast miimon 10");
    let state = |port| net.far.link(&format!("eth{port}"))["linkinfo"]["info_slave_data"].clone();
    let in_full_use = || (0..2).all(|port| state(port)["ad_actor_oper_port_state"] == IN_USE);
    wait_for("LACP has agreed", SOON * 3, in_full_use);
    let show = net.attach("");
    assert_eq!((&show.0["mode"], decides(&show)), (&"hash".into(), "aggctl"));
    let ping = net.ping();
    let ((), stats) = ping.during(|| {
        net.set("hash=layer2+3");
        net.set("mode=round-robin");
        ping.run(20);
        net.aggctl(&format!("detach {}", net.team));
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(in_full_use(), "{:#} {:#}", state(0), state(1));
}
