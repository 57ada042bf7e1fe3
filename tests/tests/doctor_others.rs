//! What `aggctl doctor` finds of others on ports: rules, sockets, clients and programs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{net::UdpSocket, process::Stdio};

use aggctl_tests::{
    Capture, Case, Lab, cases,
    doctor::{attached, expect, expect_one},
    guest, skip, sys,
};

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
