//! Wiring `over`: our choice of the port on the kernel's own bonding devices.
//!
//! ```text
//!   near                             far
//!  +-----------------------+       +-----------------------+
//!  | bond0 ┬ eth0 ─────────────────── eth0 ┬ bond0         |
//!  |       └ eth1 ─────────────────── eth1 ┘               |
//!  +-----------------------+       +-----------------------+
//! ```
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::UdpSocket,
    process::Stdio,
    time::Duration,
};

use aggctl_tests::{
    HostState, Namespace, Ping,
    aggctl::{Show, binary},
    feature::READABLE_DEVICES,
    matrix::SOON,
    needs,
    processes::{alive, kill},
    wait::{patience, patient},
    wait_for,
};

/// The near host's address.
const NEAR: &str = "10.7.0.1";
/// The far host's address.
const FAR: &str = "10.7.0.2";
/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// LACPDUs every second, links looked at every 10 ms.
const LACP: &str = "mode 802.3ad lacp_rate fast miimon 10 xmit_hash_policy layer3+4";
/// `ad_actor_oper_port_state` of a port in full use: activity, timeout, aggregation, synchronization, collecting,
/// distributing (IEEE 802.1AX-2020, 6.4.2.3).
const IN_USE: u64 = 63;

/// The drawing above.
struct Bonds {
    near: Namespace,
    far: Namespace,
    ports: usize,
}

impl Bonds {
    /// A bond at each end.
    fn new(ports: usize, options: &str) -> Self {
        let bonds = Self { near: Namespace::new("n"), far: Namespace::new("f"), ports };
        for host in [&bonds.near, &bonds.far] {
            host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
            host.ip(&format!("link add bond0 type bond {options}"));
        }
        (0..ports).for_each(|port| bonds.add_cable(port));
        for (host, address) in [(&bonds.near, NEAR), (&bonds.far, FAR)] {
            host.ip(&format!("addr add {address}/24 dev bond0"));
            host.ip("link set bond0 up");
            host.keep_queues_short("bond0");
        }
        let answers = || bonds.near.exec(&format!("ping -c 1 -W 1 {FAR}")).succeeded();
        wait_for("the far host answers", SOON * 3, answers);
        bonds
    }

    /// Another cable between the bonds.
    fn add_cable(&self, port: usize) {
        self.near.ip(&format!("link add eth{port} type veth peer name eth{port} netns {}", self.far.name()));
        for host in [&self.far, &self.near] {
            host.ip(&format!("link set eth{port} master bond0"));
        }
    }

    /// Attaches, and waits until all ports are used.
    #[track_caller]
    fn attach(&self, options: &str) -> Show {
        self.near.aggctl(&format!("attach bond0 {options}")).ok();
        let all = |show: &Show| (0..self.ports).all(|port| show.port(&format!("eth{port}"))["usable"] == true);
        self.near.wait_for_show("bond0", "all ports are usable", all)
    }

    fn cut(&self, port: usize) {
        self.far.ip(&format!("link set eth{port} down"));
    }

    /// What bonding says of a member.
    fn member(&self, port: usize) -> serde_json::Value {
        self.near.link(&format!("eth{port}"))["linkinfo"]["info_slave_data"].clone()
    }

    /// The port that bonding has active.
    fn active(&self) -> Option<String> {
        self.near.link("bond0")["linkinfo"]["info_data"]["active_slave"].as_str().map(str::to_owned)
    }

    fn ping(&self) -> Ping {
        Ping::start(&self.near, &self.far, FAR, None, RHYTHM)
    }

    /// How many frames each port has sent.
    fn sent(&self) -> BTreeMap<String, u64> {
        let packets = |port: &String| self.near.link(port)["stats64"]["tx"]["packets"].as_u64().unwrap();
        (0..self.ports).map(|port| format!("eth{port}")).map(|port| (port.clone(), packets(&port))).collect()
    }
}

/// Who chooses the port.
fn decides(show: &Show) -> &str {
    show.0["driver"]["decides"].as_str().unwrap()
}

/// Ends guardian and controller.
fn kill_both(bonds: &Bonds) {
    let controller = bonds.near.wait_for_controller("bond0");
    kill(controller.guardian);
    kill(controller.pid);
    wait_for("nobody left", SOON, || !alive(controller.pid) && !alive(controller.guardian));
}

#[test]
fn doctor_finds_nothing_of_a_bond_that_is_well_and_what_is_not() {
    needs!(BOND);
    for options in [LACP, "mode active-backup miimon 10", "mode balance-xor miimon 10 xmit_hash_policy layer3+4"] {
        let bonds = Bonds::new(2, options);
        bonds.attach("");
        expect_findings(&bonds, &[]);
        bonds.cut(1);
        expect_findings(&bonds, &["port-no-carrier"]);
        bonds.far.ip("link set eth1 up");
        expect_findings(&bonds, &[]);
        bonds.near.ip("rule add iif eth0 lookup 77");
        expect_findings(&bonds, &["ip-rule"]);
        bonds.near.ip("rule del iif eth0 lookup 77");
        kill_both(&bonds);
        expect_findings(&bonds, &["controller-absent"]);
    }
}

/// Waits until `doctor` finds these of the bond. What this kernel lacks is another matter.
#[track_caller]
fn expect_findings(bonds: &Bonds, ids: &[&str]) {
    wait_for(&format!("doctor finds {ids:?}"), SOON * 3, || {
        let outcome = bonds.near.aggctl("doctor bond0 --json");
        let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["aggregate"] == "bond0");
        let found: Vec<_> = all.map(|finding| finding["id"].as_str().unwrap()).collect();
        if found != ids {
            println!("found: {outcome}");
        }
        found == ids
    });
}

#[test]
fn a_bond_with_lacp_loses_nothing_and_keeps_its_partner() {
    needs!(BOND);
    let bonds = Bonds::new(2, LACP);
    let in_full_use = || (0..2).all(|port| bonds.member(port)["ad_actor_oper_port_state"] == IN_USE);
    wait_for("LACP has agreed", SOON * 3, in_full_use);
    let ping = bonds.ping();
    let ((), stats) = ping.during(|| {
        let show = bonds.attach("");
        assert_eq!((&show.0["wiring"], &show.0["mode"]), (&"over".into(), &"hash".into()));
        assert_eq!(decides(&show), "aggctl", "{:#}", show.0["driver"]);
        for change in [
            "hash=layer2",
            "hash=layer2+3",
            "hash=layer3+4",
            "seed=7",
            "buckets=512",
            "mode=round-robin",
            "mode=random",
            "mode=hash",
        ] {
            bonds.near.aggctl(&format!("set bond0 {change}")).ok();
        }
        bonds.near.aggctl("port set bond0 eth0,weight=3").ok();
        kill_both(&bonds);
        bonds.near.wait_for_show("bond0", "the driver chooses", |show| decides(show) == "driver");
        bonds.near.aggctl("adopt bond0").ok();
        bonds.near.wait_for_show("bond0", "we choose again", |show| decides(show) == "aggctl");
        ping.run(20);
        bonds.near.aggctl("detach bond0").ok();
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(in_full_use(), "{:#} {:#}", bonds.member(0), bonds.member(1));
    assert!(!bonds.near.state("bond0").exists());
}

/// Bonding looks at its links alone here; we ask the far host by each member besides.
#[test]
fn a_member_whose_path_is_dead_is_left_though_its_link_is_up() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode active-backup miimon 10");
    bonds.far.ip("link del bond0");
    // A card that is not of the bridge answers for none of the bridge's addresses.
    bonds.far.set_sysctl("net/ipv4/conf/all/arp_ignore", "1");
    bonds.far.ip("link add br0 type bridge mcast_snooping 0");
    for port in ["eth0", "eth1"] {
        bonds.far.ip(&format!("link set {port} master br0 up"));
    }
    bonds.far.ip(&format!("addr add {FAR}/24 dev br0"));
    bonds.far.ip("link set br0 up");
    bonds.near.ip("neigh flush dev bond0");
    bonds.attach(&format!("--watch link --watch arp,target={FAR},interval=100,missed-max=5"));
    let active = bonds.near.wait_for_show("bond0", "a port is active", |show| show.active().is_some());
    let active = active.active().unwrap().to_owned();
    let other = if active == "eth0" { "eth1" } else { "eth0" };
    let ping = bonds.ping();
    ping.wait_for_answer(SOON);
    bonds.far.ip(&format!("link set {active} nomaster"));
    let show = bonds.near.wait_for_show("bond0", "the other port is active", |show| show.active() == Some(other));
    assert_eq!((&show.port(&active)["link"], &show.port(&active)["usable"]), (&"up".into(), &false.into()));
    wait_for("bonding has it active, too", SOON, || bonds.active().as_deref() == Some(other));
    ping.wait_for_answer(SOON);
    bonds.far.ip(&format!("link set {active} master br0"));
    bonds.near.wait_for_show("bond0", "it is usable again", |show| show.port(&active)["usable"] == true);
}

#[test]
fn without_controller_the_driver_fails_over() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode balance-xor miimon 10 xmit_hash_policy layer2");
    bonds.attach("");
    kill_both(&bonds);
    bonds.near.wait_for_show("bond0", "the driver chooses", |show| decides(show) == "driver");
    let ping = bonds.ping();
    for port in 0..2 {
        bonds.cut(port);
        ping.wait_for_answer(SOON);
        bonds.far.ip(&format!("link set eth{port} up"));
        wait_for("the port is back", SOON, || bonds.member(port)["mii_status"] == "UP");
    }
    bonds.near.aggctl("detach bond0").ok();
}

#[test]
fn the_next_frame_takes_another_member() {
    /// Datagrams, one each millisecond of a machine that does nothing else.
    const COUNT: u16 = 2000;
    needs!(BOND);
    // The drivers themselves look for lost links too seldom to be of help.
    let bonds = Bonds::new(2, "mode balance-xor miimon 5000 xmit_hash_policy layer2");
    let show = bonds.attach("--hash layer3+4 --dead-after 60000");
    if show.0["failover_path"] != "kernel" {
        println!("skipped: {}", READABLE_DEVICES.lacking());
        return;
    }
    kill_both(&bonds);
    let mac = bonds.far.link("bond0")["address"].as_str().unwrap().to_owned();
    bonds.near.ip(&format!("neigh replace {FAR} lladdr {mac} nud permanent dev bond0"));
    let receiver = bonds.far.enter(|| UdpSocket::bind((FAR, 9)).unwrap());
    let sockets: Vec<_> = bonds.near.enter(|| (0..16).map(|_| UdpSocket::bind((NEAR, 0)).unwrap()).collect::<Vec<_>>());
    let come = || std::iter::from_fn(|| receiver.recv(&mut [0; 2]).ok()).count();
    for port in 0..2 {
        let mut arrived = 0;
        // The socket holds some two hundred only.
        receiver.set_nonblocking(true).unwrap();
        for number in 0..COUNT {
            if number == COUNT / 2 {
                bonds.cut(port);
            }
            let socket = &sockets[usize::from(number) % sockets.len()];
            socket.send_to(&number.to_be_bytes(), (FAR, 9)).unwrap();
            // The pace of the sender: nothing is waited for.
            std::thread::sleep(Duration::from_millis(1));
            arrived += come();
        }
        bonds.far.ip(&format!("link set eth{port} up"));
        receiver.set_read_timeout(Some(patient(Duration::from_millis(300)))).unwrap();
        receiver.set_nonblocking(false).unwrap();
        arrived += come();
        // Half of those after the cut, which are 500, go where the link was lost.
        let lost = usize::from(COUNT) - arrived;
        assert!(lost <= 100, "{lost} datagrams were lost after the cut of eth{port}");
        assert_eq!(decides(&bonds.near.show("bond0")), "aggctl");
        wait_for("the port is back", SOON, || bonds.near.has_carrier(&format!("eth{port}")));
    }
}

#[test]
fn flows_take_the_ports_that_explain_says() {
    needs!(BOND);
    let bonds = Bonds::new(4, "mode balance-xor miimon 10");
    bonds.near.aggctl("attach bond0 --port eth0,weight=3 --hash layer3+4 --seed 5").ok();
    bonds.near.wait_for_show("bond0", "all ports are usable", |show| {
        (0..4).all(|port| show.port(&format!("eth{port}"))["usable"] == true)
    });
    // Nobody asks for addresses meanwhile.
    for (host, other, address) in [(&bonds.near, &bonds.far, FAR), (&bonds.far, &bonds.near, NEAR)] {
        let mac = other.link("bond0")["address"].as_str().unwrap().to_owned();
        host.ip(&format!("neigh replace {address} lladdr {mac} nud permanent dev bond0"));
    }
    let (before, mut expected) = (bonds.sent(), BTreeMap::new());
    for port in 20_000..20_064_u16 {
        let flow = format!("src={NEAR},dst={FAR},proto=udp,sport={port},dport=9");
        let answer = bonds.near.aggctl(&format!("explain bond0 --json --flow {flow}")).ok();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        *expected.entry(answer["port"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        bonds.near.enter(|| {
            let socket = UdpSocket::bind((NEAR, port)).unwrap();
            socket.send_to(b"x", (FAR, 9)).unwrap();
        });
    }
    let after = bonds.sent();
    let taken: BTreeMap<_, _> = after.iter().map(|(port, sent)| (port.clone(), sent - before[port])).collect();
    assert_eq!(taken, expected);
    assert_eq!(taken.len(), 4, "{taken:?}");
}

#[test]
fn the_driver_is_told_which_port_is_active_and_followed_where_it_chose_another() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode active-backup miimon 100");
    let show = bonds.attach("");
    assert_eq!(show.0["mode"], "active-backup");
    assert_eq!(show.active().map(str::to_owned), bonds.active());
    let ping = bonds.ping();
    let ((), stats) = ping.during(|| {
        bonds.near.aggctl("set bond0 active-port=eth1").ok();
        wait_for("the driver has it too", SOON, || bonds.active().as_deref() == Some("eth1"));
        bonds.near.ip("link set bond0 type bond active_slave eth0");
        bonds.near.wait_for_show("bond0", "eth0 is active", |show| show.active() == Some("eth0"));
        ping.run(20);
    });
    // The far bond has an active port of its own, and receives nothing by the other one.
    println!("{stats:?}");
    bonds.cut(0);
    bonds.near.wait_for_show("bond0", "eth1 took over", |show| show.active() == Some("eth1"));
    wait_for("the driver has it too", SOON, || bonds.active().as_deref() == Some("eth1"));
    ping.wait_for_answer(SOON);
    bonds.near.aggctl("detach bond0").ok();
    assert_eq!(bonds.active().as_deref(), Some("eth1"));
}

#[test]
fn members_may_be_preferred_before_they_join_held_down_and_disabled() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode active-backup miimon 10");
    let noted = bonds.near.aggctl("attach bond0 --primary eth2 --hold-down changes=4,window=3600,for=3600");
    assert!(noted.succeeded() && noted.stderr.contains("eth2 is no port of bond0 yet"), "{noted}");
    let is_active = |port: &str| {
        bonds.near.wait_for_show("bond0", &format!("{port} is active"), |show| show.active() == Some(port));
        wait_for("the driver has it too", SOON, || bonds.active().as_deref() == Some(port));
    };
    bonds.add_cable(2);
    is_active("eth2");
    bonds.near.aggctl("set bond0 active-port=eth1").ok();
    is_active("eth1");
    bonds.near.aggctl("set bond0 active-port=none").ok();
    is_active("eth2");
    for state in ["down", "up", "down", "up"] {
        bonds.far.ip(&format!("link set eth2 {state}"));
        let sees = |show: &Show| show.port("eth2")["watches"][0]["up"] == (state == "up");
        bonds.near.wait_for_show("bond0", &format!("eth2 is {state}"), sees);
    }
    let show = bonds.near.wait_for_show("bond0", "eth2 is held down", |show| !show.port("eth2")["held_down"].is_null());
    assert_eq!((&show.port("eth2")["link"], &show.port("eth2")["usable"]), (&"up".into(), &false.into()));
    // The driver may have chosen either of the others by itself.
    bonds.near.aggctl("set bond0 active-port=eth0").ok();
    is_active("eth0");
    bonds.near.aggctl("port set bond0 eth0,enabled=off").ok();
    is_active("eth1");
    assert_eq!(bonds.near.show("bond0").state("eth0"), "disabled");
    bonds.cut(1);
    is_active("eth2");
    let why = bonds.near.show("bond0").port("eth2")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("since no other port has a link; held down until "), "{why}");
}

#[test]
fn members_that_the_driver_gains_or_loses_are_followed() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode balance-xor miimon 10");
    bonds.attach("");
    let ping = bonds.ping();
    bonds.add_cable(2);
    bonds.near.wait_for_show("bond0", "eth2 is used", |show| {
        show.0["ports"].as_array().unwrap().iter().any(|port| port["name"] == "eth2" && port["usable"] == true)
    });
    bonds.near.ip("link set eth0 nomaster");
    let is_port = |show: &Show, name| show.0["ports"].as_array().unwrap().iter().any(|port| port["name"] == name);
    bonds.near.wait_for_show("bond0", "eth0 is no port", |show| !is_port(show, "eth0"));
    ping.wait_for_answer(SOON);
    for (command, complaint) in [
        ("port add bond0 eth0", "its driver's"),
        ("port remove bond0 eth1", "its driver's"),
        ("set bond0 min-ports=2", "min_links"),
        ("set bond0 mode=active-backup", "another mode"),
    ] {
        let outcome = bonds.near.aggctl(command);
        assert!(!outcome.succeeded() && outcome.stderr.contains(complaint), "{command}: {outcome}");
    }
    bonds.near.ip("link del eth1");
    bonds.near.wait_for_show("bond0", "eth1 is gone", |show| !is_port(show, "eth1"));
    ping.wait_for_answer(SOON);
    let controller = bonds.near.wait_for_controller("bond0");
    bonds.near.ip("link del bond0");
    controller.expect_gone();
    assert!(!bonds.near.state("bond0").exists());
}

#[test]
fn an_attach_that_does_not_get_to_its_end_leaves_the_host_as_it_was() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode balance-xor miimon 10");
    bonds.near.ip(&format!("route add 192.0.2.0/24 via {FAR}"));
    let before = HostState::of(&bonds.near);
    let ping = bonds.ping();
    let nobody_left = || wait_for("nobody left", SOON, || bonds.near.processes().is_empty());
    let ((), stats) = ping.during(|| {
        for fault in ["0:fail", "1:fail", "0:kill", "1:kill"] {
            let outcome = bonds.near.aggctl_with(&[("AGGCTL_FAULT", fault)], "attach bond0");
            assert_eq!((outcome.code, outcome.complaints().len()), (Some(1), 1), "{fault}: {outcome}");
            before.expect_again(&bonds.near, fault);
            nobody_left();
        }
        bonds.near.aggctl(&format!("attach bond0 --confirm {}", 2 * patience())).ok();
        bonds.near.wait_for_controller("bond0").expect_gone();
        before.expect_again(&bonds.near, "an attach that nobody confirmed");
        nobody_left();
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
}

#[test]
fn a_restart_finds_the_bond_as_it_is_by_then() {
    needs!(BOND);
    let bonds = Bonds::new(2, "mode balance-xor miimon 10");
    bonds.attach("");
    kill_both(&bonds);
    bonds.add_cable(2);
    bonds.near.ip("link set eth0 nomaster");
    bonds.near.aggctl("attach bond0").ok();
    bonds.near.wait_for_show("bond0", "the ports are followed", |show| {
        let names: Vec<_> = show.0["ports"].as_array().unwrap().iter().map(|port| port["name"].clone()).collect();
        names == ["eth1", "eth2"] && show.port("eth2")["usable"] == true
    });
    kill_both(&bonds);
    bonds.near.tc("qdisc add dev bond0 root pfifo limit 100").ok();
    bonds.near.aggctl("detach bond0").ok();
    let outcome = bonds.near.aggctl("attach bond0");
    assert!(outcome.succeeded() && outcome.stderr.contains("queueing discipline pfifo"), "{outcome}");
    kill_both(&bonds);
    bonds.near.ip("link del bond0");
    let mut command = bonds.near.command(binary().to_str().unwrap());
    let mut attach = command.args(["attach", "bond0", "--wait", "60"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(attach.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("waiting") && line.contains("bond0"), "{line}");
    bonds.near.ip("link add bond0 type bond mode active-backup");
    assert!(attach.wait().unwrap().success());
    let show = bonds.near.show("bond0");
    assert_eq!((&show.0["wiring"], &show.0["mode"]), (&"over".into(), &"active-backup".into()));
    assert_eq!(show.0["ports"], serde_json::json!([]));
}

#[test]
fn bonds_whose_choice_is_more_than_a_port_are_refused_and_left_as_they_are() {
    needs!(BOND);
    let host = Namespace::new("h");
    for (mode, complaint) in
        [("broadcast", "broadcast"), ("balance-tlb", "balance-tlb"), ("balance-alb", "balance-alb")]
    {
        host.ip(&format!("link add bond0 type bond mode {mode} miimon 100"));
        host.ip("link add eth0 type dummy");
        host.ip("link set eth0 master bond0");
        let outcome = host.aggctl("attach bond0");
        assert!(!outcome.succeeded() && outcome.stderr.contains(complaint), "{mode}: {outcome}");
        assert!(!host.state("bond0").exists());
        host.ip("link del bond0");
        host.ip("link del eth0");
    }
    host.ip("link add eth0 type dummy");
    let outcome = host.aggctl("attach eth0 --wiring over");
    assert!(!outcome.succeeded() && outcome.stderr.contains("to be a bonding or team device"), "{outcome}");
}
