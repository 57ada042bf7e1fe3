//! `aggctl doctor`: silent where all is well, one finding for each thing that bites, gone once it is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    net::UdpSocket,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use aggctl_tests::{
    Capture, Case, Lab, Namespace, Outcome, cases,
    group::Group,
    guest,
    matrix::SOON,
    processes::{kill, stop},
    skip,
    sys::{self, PacketSocket},
    wait_for,
};
use serde_json::Value;

/// How long what is found may take to be as it should: each look takes a second and more.
const WHILE: Duration = SOON.saturating_mul(4);

/// What `doctor --json` printed, and its outcome.
struct Report(Value, Outcome);

impl Report {
    fn of(host: &Namespace, arguments: &str) -> Self {
        let outcome = host.aggctl(&format!("doctor {arguments} --json"));
        Self(serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}")), outcome)
    }

    /// What was found of aggregates: what this kernel lacks is found on old ones everywhere.
    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.0["findings"].as_array().unwrap().iter().filter(|finding| !finding["aggregate"].is_null())
    }

    fn ids(&self) -> Vec<&str> {
        self.findings().map(|finding| finding["id"].as_str().unwrap()).collect()
    }
}

/// Waits until exactly these are found, in this order, and the exit status is as it must be then.
#[track_caller]
fn expect(lab: &Lab, ids: &[&str]) -> Report {
    expect_on(&lab.host, ids)
}

/// As [`expect`], of any host.
#[track_caller]
fn expect_on(host: &Namespace, ids: &[&str]) -> Report {
    let mut last = Report::of(host, "");
    wait_for(&format!("doctor finds {ids:?}"), WHILE, || {
        let found = last.ids() == ids;
        if !found {
            last = Report::of(host, "");
            println!("found: {:?}", last.ids());
        }
        found
    });
    let serious = last.findings().any(|finding| finding["severity"] != "hint");
    assert_eq!(last.1.code, Some(i32::from(serious)), "{}", last.1);
    assert_eq!(last.1.stderr, "", "{}", last.1);
    for finding in last.findings() {
        assert_eq!(finding["aggregate"], "agg0", "{finding:#}");
        for text in ["seen", "remedy"] {
            let line = finding[text].as_str().unwrap();
            assert!(!line.is_empty() && !line.contains('\n'), "{finding:#}");
        }
    }
    last
}

fn attached(case: Case, options: &str) -> Lab {
    let lab = Lab::two_ports(case);
    lab.attach(options);
    expect(&lab, &[]);
    lab
}

/// What one must find is told with these words in what was seen.
#[track_caller]
fn expect_one(lab: &Lab, id: &str, words: &[&str]) {
    let report = expect(lab, &[id]);
    let seen = report.findings().next().unwrap()["seen"].as_str().unwrap().to_owned();
    assert!(words.iter().all(|word| seen.contains(word)), "{seen}");
}

cases!(where_all_is_well_nothing_is_found: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn where_all_is_well_nothing_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    let none = Report::of(&lab.host, "");
    assert_eq!((none.1.code, &none.0["aggregates"]), (Some(0), &Value::Array(Vec::new())), "{}", none.1);
    for mode in ["active-backup", "hash", "round-robin"] {
        // The switch floods, also what we sent.
        lab.attach(&format!("--mode {mode} --partner plain"));
        let report = expect(&lab, &[]);
        assert_eq!(report.0["aggregates"][0], "agg0");
        assert_eq!(Report::of(&lab.host, "agg0").1.code, Some(0));
        let text = lab.host.aggctl("doctor agg0");
        assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""), "{text}");
        if report.0["findings"].as_array().unwrap().is_empty() {
            assert!(text.stdout.starts_with("nothing found") && text.stdout.contains("agg0"), "{text}");
        }
        lab.host.aggctl("detach agg0").ok();
    }
}

cases!(what_cannot_be_looked_at_is_no_finding: VETH_TCX);
fn what_cannot_be_looked_at_is_no_finding(case: Case) {
    let lab = Lab::two_ports(case);
    for (line, part) in [("doctor agg0", "no aggregate agg0"), ("doctor agg0 --json", "no aggregate agg0")] {
        let outcome = lab.host.aggctl(line);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome}");
        assert!(matches!(&outcome.complaints()[..], [one] if one.contains(part)), "{outcome}");
    }
    let powerless = lab.host.exec(&format!("setpriv --bounding-set=-net_admin --reuid=65534 {} doctor", binary()));
    assert_eq!(powerless.code, Some(2), "{powerless}");
}

fn binary() -> String {
    aggctl_tests::aggctl::binary().display().to_string()
}

cases!(a_finding_is_for_people_too: VETH_TCX);
fn a_finding_is_for_people_too(case: Case) {
    let lab = attached(case, "");
    lab.cut("eth1");
    expect_one(&lab, "port-no-carrier", &["eth1"]);
    let text = lab.host.aggctl("doctor");
    assert_eq!((text.code, text.stderr.as_str()), (Some(1), ""), "{text}");
    let lines: Vec<_> = text.stdout.lines().filter(|line| !line.contains("kernel")).collect();
    let [seen, remedy] = lines[..] else { panic!("{text}") };
    assert!(seen.starts_with("warning: agg0: eth1 ") && seen.ends_with("[port-no-carrier]"), "{text}");
    assert!(remedy.starts_with("  do: ") && remedy.contains("ethtool eth1"), "{text}");
}

cases!(ports_that_carry_nothing_are_found: VETH_TCX, TAP_CLSACT);
fn ports_that_carry_nothing_are_found(case: Case) {
    let lab = attached(case, "");
    lab.cut("eth1");
    expect_one(&lab, "port-no-carrier", &["eth1"]);
    lab.restore("eth1");
    expect(&lab, &[]);
    lab.host.ip("link set eth1 down");
    expect_one(&lab, "port-down", &["eth1"]);
    lab.host.ip("link set eth1 up");
    expect(&lab, &[]);
    lab.host.aggctl("port set agg0 eth1,enabled=off").ok();
    expect_one(&lab, "port-disabled", &["eth1"]);
    lab.host.aggctl("port set agg0 eth1,enabled=on").ok();
    lab.host.aggctl("set agg0 primary=eth7").ok();
    expect_one(&lab, "primary-absent", &["eth7"]);
    lab.host.aggctl("set agg0 primary=eth0").ok();
    expect(&lab, &[]);
    lab.host.aggctl("set agg0 min-ports=2").ok();
    lab.cut("eth1");
    expect(&lab, &["too-few-ports", "port-no-carrier"]);
    lab.restore("eth1");
    expect(&lab, &[]);
    lab.host.aggctl("set agg0 min-ports=1").ok();
    lab.host.aggctl("port remove agg0 eth1").ok();
    expect_one(&lab, "port-alone", &["eth0"]);
    lab.host.aggctl("port add agg0 eth1").ok();
    expect(&lab, &[]);
    lab.host.ip("link set agg0 down");
    expect_one(&lab, "aggregate-down", &["agg0"]);
    lab.host.ip("link set agg0 up");
    expect(&lab, &[]);
}

cases!(a_port_that_a_watch_does_not_find_well_is_found: VETH_TCX);
fn a_port_that_a_watch_does_not_find_well_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.aggctl("set agg0 min-ports=1 watch=arp,target=10.0.0.77,interval=20 up-delay=0").ok();
    let ids = ["too-few-ports", "port-unusable", "port-unusable"];
    expect(&lab, &ids);
    lab.host.aggctl("set agg0 watch=link").ok();
    expect(&lab, &[]);
}

cases!(a_missing_controller_or_guardian_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_missing_controller_or_guardian_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.kill_all();
    expect_one(&lab, "controller-absent", &["no controller"]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    expect_one(&lab, "guardian-absent", &["guardian"]);
    kill(controller.pid);
    expect_one(&lab, "controller-absent", &["no controller"]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
    let controller = lab.host.wait_for_controller("agg0");
    stop(controller.guardian);
    stop(controller.pid);
    expect_one(&lab, "controller-silent", &[&controller.pid.as_raw_pid().to_string()]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
}

cases!(an_attach_that_nobody_confirms_is_found: VETH_TCX);
fn an_attach_that_nobody_confirms_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--confirm 1000");
    expect_one(&lab, "unconfirmed", &[" s"]);
    lab.host.aggctl("confirm agg0").ok();
    expect(&lab, &[]);
}

cases!(another_mtu_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn another_mtu_is_found(case: Case) {
    let lab = attached(case, "");
    // A controller would put it back.
    lab.host.kill_all();
    lab.host.ip("link set eth1 mtu 1400");
    let report = expect(&lab, &["controller-absent", "mtu-differs"]);
    let seen = report.findings().nth(1).unwrap()["seen"].as_str().unwrap();
    assert!(seen.contains("1400") && seen.contains("1500"), "{seen}");
    lab.host.ip("link set eth1 mtu 1500");
    expect(&lab, &["controller-absent"]);
}

cases!(other_offloads_are_found: VETH_TCX);
fn other_offloads_are_found(case: Case) {
    let lab = attached(case, "");
    lab.host.exec("ethtool -K eth1 tx-udp-segmentation off").ok();
    expect_one(&lab, "offload-differs", &["on for eth0", "off for eth1"]);
    lab.host.exec("ethtool -K eth1 tx-udp-segmentation on").ok();
    expect(&lab, &[]);
}

cases!(another_speed_and_half_duplex_are_found: TAP_TCX);
fn another_speed_and_half_duplex_are_found(case: Case) {
    let lab = attached(case, "--mode hash --partner plain");
    lab.host.exec("ethtool -s eth1 speed 1000 duplex full").ok();
    lab.host.exec("ethtool -s eth0 speed 100 duplex full").ok();
    expect_one(&lab, "speed-differs", &["eth0 100 Mbit/s", "eth1 1000 Mbit/s"]);
    lab.host.aggctl("set agg0 mode=active-backup").ok();
    assert_eq!(expect(&lab, &["speed-differs"]).1.code, Some(0), "a hint");
    lab.host.exec("ethtool -s eth0 speed 1000 duplex half").ok();
    expect_one(&lab, "half-duplex", &["eth0"]);
    lab.host.exec("ethtool -s eth0 speed 1000 duplex full").ok();
    expect(&lab, &[]);
}

cases!(a_strict_rp_filter_that_drops_is_found: VETH_TCX, DIRECT_VETH_TCX);
fn a_strict_rp_filter_that_drops_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.ip("link add other0 type veth peer name other1");
    lab.host.ip("link set other0 up");
    lab.host.ip("link set other1 up");
    lab.host.set_sysctl("net/ipv4/conf/agg0/rp_filter", "1");
    expect(&lab, &[]);
    lab.host.ip("route prepend 10.0.0.0/24 dev other0");
    expect_one(&lab, "rp-filter", &["10.0.0.0/24", "other0"]);
    let reaches = || lab.client.exec("ping -c 1 -W 1 10.0.0.2").succeeded();
    assert!(!reaches(), "what is found is so");
    lab.host.ip("route del 10.0.0.0/24 dev other0");
    expect(&lab, &[]);
    assert!(reaches());
    // The client's other address is behind a router.
    lab.host.ip("route prepend default dev other0");
    assert!(!lab.client.exec("ping -c 1 -W 1 -I 198.51.100.1 10.0.0.2").succeeded());
    expect_one(&lab, "rp-filter-default", &["other0", "packets"]);
    lab.host.set_sysctl("net/ipv4/conf/agg0/rp_filter", "2");
    expect(&lab, &[]);
}

/// What somebody does with a port: how it comes to be so, what is found, a word of what was seen, and how it is mended.
const NAMES_A_PORT: &[(&[&str], &str, &str, &str)] = &[
    (&["ip rule add iif eth1 lookup 77"], "ip-rule", "eth1", "ip rule del iif eth1 lookup 77"),
    (
        &[
            "nft add table inet filter",
            "nft add chain inet filter input { type filter hook input priority 0 ; }",
            "nft add rule inet filter input iifname eth0 counter",
        ],
        "nftables",
        "inet filter input",
        "nft delete table inet filter",
    ),
    (
        &[
            "nft add table netdev early",
            "nft add chain netdev early in { type filter hook ingress device eth1 priority 0 ; }",
        ],
        "bypassed",
        "nftables chain",
        "nft delete table netdev early",
    ),
    (&["ip link add vx0 type vxlan id 7 remote 10.0.0.1 dstport 4789 dev eth0"], "tunnel", "vx0", "ip link del vx0"),
    (&["ip maddr add 01:1b:19:00:00:00 dev eth0"], "group", "01:1b:19", "ip maddr del 01:1b:19:00:00:00 dev eth0"),
    (&["ip addr add 10.9.0.1/24 dev eth1"], "put-by-others", "10.9.0.1/24", "ip addr del 10.9.0.1/24 dev eth1"),
];

cases!(who_names_a_port_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn who_names_a_port_is_found(case: Case) {
    let lab = attached(case, "");
    for (preparation, id, part, mend) in NAMES_A_PORT {
        for line in *preparation {
            lab.host.exec(line).ok();
        }
        expect_one(&lab, id, &[part]);
        lab.host.exec(mend).ok();
        expect(&lab, &[]);
    }
}

cases!(sockets_on_a_port_are_found_but_ours: VETH_TCX);
fn sockets_on_a_port_are_found_but_ours(case: Case) {
    // Which watches by sockets of its own.
    let lab = attached(case, "--watch arp,target=10.0.0.1");
    let me = format!("process {}", std::process::id());
    let bound = lab.host.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        sys::bind_to_interface(&socket, sys::interface_index("eth1").unwrap()).unwrap();
        socket
    });
    expect_one(&lab, "bound-socket", &["UDP", "eth1", &me]);
    drop(bound);
    expect(&lab, &[]);
    let capture = Capture::start(&lab.host, "eth1", |_| false);
    expect_one(&lab, "packet-socket", &["eth1", &me]);
    drop(capture);
    expect(&lab, &[]);
}

cases!(a_dhcp_client_on_a_port_is_found: VETH_TCX);
fn a_dhcp_client_on_a_port_is_found(case: Case) {
    if !guest::busybox_has("udhcpc") {
        return skip("needs busybox with udhcpc");
    }
    let lab = attached(case, "");
    // A process is called what its file is called.
    let place = tempfile::tempdir().unwrap();
    let client = place.path().join("udhcpc");
    let busybox = lab.host.exec("which busybox").ok();
    std::os::unix::fs::symlink(busybox.trim(), &client).unwrap();
    let mut command = lab.host.command(client.to_str().unwrap());
    command.args(["-f", "-i", "eth1", "-s", "/bin/true"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = command.spawn().unwrap();
    expect_one(&lab, "dhcp-client", &["eth1", "udhcpc", &client.id().to_string()]);
    client.kill().unwrap();
    client.wait().unwrap();
    expect(&lab, &[]);
}

cases!(programs_of_others_on_a_port_are_found: VETH_TCX, VETH_CLSACT, DIRECT_VETH_CLSACT);
fn programs_of_others_on_a_port_are_found(case: Case) {
    // Theirs are those of another aggregate.
    let other = Lab::two_ports(case);
    other.attach("--xdp generic");
    let theirs = |name: &str| other.host.pins("agg0").join(name).display().to_string();
    let lab = attached(case, "");
    lab.host.ip(&format!("link set dev eth1 xdpgeneric pinned {}", theirs("xdp1")));
    expect_one(&lab, "xdp-before", &["eth1", "xdpgen_active"]);
    lab.host.ip("link set dev eth1 xdpgeneric off");
    expect(&lab, &[]);

    let on_tcx = case.hook.name() == "tcx";
    if on_tcx {
        lab.host.tc("qdisc add dev eth1 clsact").ok();
    }
    lab.host.tc(&format!("filter add dev eth1 ingress prio 7 bpf da object-pinned {}", theirs("rx1"))).ok();
    let (id, part) = if on_tcx { ("bypassed", "tc filter") } else { ("program-before", "sees the frames of eth1") };
    expect_one(&lab, id, &[part]);
    lab.host.tc("filter del dev eth1 ingress prio 7").ok();
    expect(&lab, &[]);
}

/// Sends a frame over and over, until it is dropped.
struct Stream {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Out of this interface, one at a time with this pause.
    fn of(host: &Namespace, interface: &str, frame: Vec<u8>, pause: Duration) -> Self {
        let socket = host.enter(|| PacketSocket::open(interface, 0)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                // A full queue is no matter.
                let _ = socket.send(&frame);
                thread::sleep(pause);
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The MAC of an interface.
fn mac(host: &Namespace, interface: &str) -> [u8; 6] {
    let text = host.link(interface)["address"].as_str().unwrap().to_owned();
    let octets: Vec<_> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

/// A frame of an EtherType for experiments (IEEE 802, clause 9.2.3).
fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const BROADCAST: [u8; 6] = [0xff; 6];
/// Some hundred frames a second, on an idle machine.
const OFTEN: Duration = Duration::from_millis(2);

cases!(a_switch_with_a_group_that_we_do_not_have_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_switch_with_a_group_that_we_do_not_have_is_found(case: Case) {
    let lab = attached(case, "");
    let stream = Stream::of(&lab.switch, "sw1", frame(mac(&lab.host, "agg0"), STRANGER), OFTEN);
    expect_one(&lab, "partner-is-lag", &["standby port eth1"]);
    drop(stream);
    expect(&lab, &[]);
    let stream = Stream::of(&lab.switch, "sw1", frame(BROADCAST, STRANGER), OFTEN);
    assert!(stream.thread.is_some());
    expect(&lab, &[]);
}

cases!(a_switch_without_the_group_that_we_have_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_switch_without_the_group_that_we_have_is_found(case: Case) {
    let lab = attached(case, "--mode hash --partner plain");
    lab.host.aggctl("set agg0 partner=lag").ok();
    let stream = Stream::of(&lab.host, "agg0", frame(BROADCAST, mac(&lab.host, "agg0")), OFTEN);
    expect_one(&lab, "partner-is-plain", &["came back"]);
    lab.host.aggctl("set agg0 partner=plain").ok();
    expect(&lab, &[]);
    drop(stream);
}

cases!(duplicates_that_are_none_are_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn duplicates_that_are_none_are_found(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "--mode hash --partner plain");
    expect_on(&group.near, &[]);
    let show = group.near.show("agg0");
    let other = if show.0["designated_port"] == "eth0" { "eth1" } else { "eth0" };
    let stream = Stream::of(&group.far, other, frame(BROADCAST, STRANGER), OFTEN);
    expect_on(&group.near, &["partner-is-lag"]);
    group.near.aggctl("set agg0 partner=lag").ok();
    expect_on(&group.near, &[]);
    drop(stream);
}

cases!(a_hash_that_collapses_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_hash_that_collapses_is_found(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "--mode hash --partner lag --hash layer2");
    expect_on(&group.near, &[]);
    let stream = Stream::of(&group.near, "agg0", frame(STRANGER, mac(&group.near, "agg0")), Duration::ZERO);
    let report = expect_on(&group.near, &["hash-collapse"]);
    assert_eq!(report.1.code, Some(1), "a finer hash may help");
    group.near.aggctl("set agg0 hash=layer3+4").ok();
    let report = expect_on(&group.near, &["hash-collapse"]);
    assert_eq!(report.1.code, Some(0), "nothing helps against one flow");
    group.near.aggctl("set agg0 mode=round-robin").ok();
    expect_on(&group.near, &[]);
    drop(stream);
}

cases!(a_port_that_receives_nothing_is_found: VETH_TCX);
fn a_port_that_receives_nothing_is_found(case: Case) {
    let lab = attached(case, "");
    // Neither this end nor the other says anything by itself.
    lab.host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    lab.switch.ip(&format!("link add sw9 type veth peer name eth9 netns {}", lab.host.name()));
    lab.switch.ip("link set sw9 up");
    lab.host.ip("link set eth9 up");
    lab.host.exec("ping -c 120 -i 0.002 -q 10.0.0.1").ok();
    lab.host.aggctl("port add agg0 eth9").ok();
    expect_one(&lab, "one-way", &["eth9", "no frame", "eth0"]);
    lab.switch.ip("link set sw9 master br0");
    let stream = Stream::of(&lab.client, "eth0", frame(BROADCAST, STRANGER), OFTEN);
    expect(&lab, &[]);
    drop(stream);
}

cases!(another_vlan_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn another_vlan_is_found(case: Case) {
    let lab = attached(case, "");
    // The switch sends without tag.
    lab.host.aggctl("set agg0 vlan=trunk=10").ok();
    let stream = Stream::of(&lab.switch, "sw0", frame(mac(&lab.host, "agg0"), STRANGER), OFTEN);
    let report = expect(&lab, &["vlan-other"]);
    let finding = report.findings().next().unwrap();
    assert_eq!((&finding["severity"], &finding["ports"][0]), (&Value::from("warning"), &Value::from("eth0")));
    drop(stream);
    expect(&lab, &[]);
    let stream = Stream::of(&lab.host, "agg0", frame(STRANGER, mac(&lab.host, "agg0")), OFTEN);
    expect_one(&lab, "vlan-sent", &["trunk"]);
    lab.host.aggctl("set agg0 vlan=off").ok();
    expect(&lab, &[]);
    drop(stream);
}
