//! Who else works on a port.

use std::{
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
};

use aggctl_engine::conflict::{Conflict, ConflictKind};
use aggctl_kernel::{conflicts::find, netlink::Netlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{
    others::nft,
    support::{in_namespace, index, ip, run},
};

/// Who is in conflict with `agg0` over this port.
fn on(port: &str) -> Vec<Conflict> {
    find(&[(index(port), port.to_owned())], "agg0").unwrap()
}

/// Who is, in this way, by name.
fn who(port: &str, kind: ConflictKind) -> Vec<String> {
    let found = on(port).into_iter().filter(|conflict| conflict.kind == kind);
    found.flat_map(|conflict| conflict.who).collect()
}

/// Two ports that lead nowhere, and what will be their aggregate.
fn ports() {
    ip("link add p0 type veth peer name q0
        link add p1 type veth peer name q1
        link add agg0 type veth peer name agg0-peer");
}

#[test]
fn rules_that_name_a_port_are_reported() {
    in_namespace(|| {
        ports();
        ip("rule add iif p0 table 100 priority 1000
            -6 rule add oif p0 table 100 priority 2000
            rule add from 192.0.2.1 table 100 priority 3000
            link set p1 group 7
            rule add table 100 suppress_ifgroup 7 priority 4000");
        assert_eq!(who("p0", ConflictKind::RoutingRule), ["1000 (IPv4)", "2000 (IPv6)"]);
        assert_eq!(who("p1", ConflictKind::RoutingRule), ["4000 (IPv4)"]);
        assert!(on("q0").is_empty());
    });
}

/// How a rule may name p0 and not the aggregate; and ways to name both, or neither. `%` is the number of p0.
const RULES: &[(&str, bool)] = &[
    ("iifname \"p0\" accept", true),
    ("oifname \"p0\" accept", true),
    ("iifname != \"p0\" drop", true),
    ("iifname \"p*\" accept", true),
    ("iif p0 accept", true),
    ("oif p0 accept", true),
    ("iifname { \"p0\", \"other\" } accept", true),
    ("iif { p0, lo } accept", true),
    ("iifname vmap { \"p0\" : accept, \"q1\" : drop }", true),
    ("iifname . tcp dport { \"p0\" . 22, \"q0\" . 80 } accept", true),
    ("ip saddr . iifname . tcp dport { 192.0.2.1 . \"p0\" . 22 } accept", true),
    ("ip saddr . oif { 192.0.2.1 . p0 } accept", true),
    ("meta mark set iifname map { \"p0\" : 1, \"q0\" : 2 }", true),
    ("iifname @names accept", true),
    ("iifgroup 7 accept", true),
    ("iifgroup 5-9 accept", true),
    ("iifgroup { 7, 8 } accept", true),
    ("iifgroup != 0 accept", true),
    ("fib daddr oifname \"p0\" accept", true),
    ("iifname \"lo\" accept", false),
    ("iifname \"p00\" accept", false),
    ("iifname { \"p0\", \"agg0\" } accept", false),
    ("iifname != \"lo\" drop", false),
    ("iifname . tcp dport { \"p0\" . 22, \"agg0\" . 22 } accept", false),
    ("iif lo accept", false),
    ("iifname @others accept", false),
    ("iifgroup 8 accept", false),
    ("iiftype ether accept", false),
    ("ip saddr 192.0.2.1 tcp dport 22 accept", false),
    ("fib saddr . iif oif missing drop", false),
];

#[test]
fn firewall_rules_that_tell_a_port_from_the_aggregate_are_reported() {
    in_namespace(|| {
        ports();
        ip("link set p0 group 7");
        let mut ran = 0;
        for (rule, expected) in RULES {
            let ruleset = format!(
                "flush ruleset
                table ip filter {{
                    set names {{ type ifname; elements = {{ \"p0\" }}; }}
                    set others {{ type ifname; elements = {{ \"q0\", \"p0x\" }}; }}
                    chain c {{ type filter hook forward priority 0; {rule}; }}
                }}"
            );
            if !nft(&ruleset) {
                continue;
            }
            ran += 1;
            let found = who("p0", ConflictKind::Nftables);
            assert_eq!(found == ["ip filter c"], *expected, "{rule}: {found:?}");
            assert!(*expected || found.is_empty(), "{rule}: {found:?}");
        }
        assert!(ran == 0 || ran > RULES.len() / 2, "only {ran} rules were taken");
    });
}

#[test]
fn sets_with_ranges_of_names_are_looked_into() {
    in_namespace(|| {
        ports();
        let ruleset = "table inet t {
            set wild { type ifname; flags interval; elements = { \"p*\", \"lo\" }; }
            set none { type ifname; flags interval; elements = { \"pp*\", \"q*\" }; }
            set both { type ifname; flags interval; elements = { \"p*\", \"ag*\" }; }
            set pairs { type ipv4_addr . ifname; flags interval; elements = { 192.0.2.0/24 . \"p0\" }; }
            chain wild { type filter hook input priority 0; iifname @wild accept; }
            chain none { type filter hook input priority 0; iifname @none accept; }
            chain both { type filter hook input priority 0; iifname @both accept; }
            chain pairs { type filter hook input priority 0; ip saddr . iifname @pairs accept; }
        }";
        if nft(ruleset) {
            assert_eq!(who("p0", ConflictKind::Nftables), ["inet t pairs", "inet t wild"]);
            assert_eq!(who("p1", ConflictKind::Nftables), ["inet t wild"]);
        }
    });
}

#[test]
fn flowtables_that_name_a_port_are_reported() {
    in_namespace(|| {
        ports();
        let ruleset = "table inet t {\nflowtable f {\nhook ingress priority 0; devices = { p0 };\n}\n}\n";
        if nft(ruleset) {
            assert_eq!(who("p0", ConflictKind::Flowtable), ["inet t f"]);
            assert!(on("p1").is_empty());
        }
    });
}

/// Runs a line for each, if the tool is there and the kernel takes it; else says why not.
fn takes(lines: &[&str]) -> bool {
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let tool = words.next().unwrap();
        match std::process::Command::new(tool).args(words).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                println!("skipped: `{line}`: {}", String::from_utf8_lossy(&output.stderr));
                return false;
            }
            Err(error) => {
                println!("skipped: {tool} (package iptables): {error}");
                return false;
            }
        }
    }
    true
}

#[test]
fn rules_of_the_older_kind_are_reported() {
    in_namespace(|| {
        ports();
        ip("link set p1 group 7");
        let lines = [
            "iptables-legacy -A INPUT -i p0 -j ACCEPT",
            "iptables-legacy -A INPUT -i lo -j ACCEPT",
            "ip6tables-legacy -t mangle -A FORWARD -o p+ -p tcp --dport 80 -j ACCEPT",
        ];
        if !takes(&lines) {
            return;
        }
        let (v4, v6) = ("iptables-legacy table filter", "ip6tables-legacy table mangle");
        assert_eq!(who("p0", ConflictKind::Xtables), [v6, v4]);
        assert_eq!(who("p1", ConflictKind::Xtables), [v6]);
        assert!(on("q0").is_empty());
        if takes(&["iptables-legacy -A FORWARD -p udp -m devgroup --src-group 7 -m udp --dport 53 -j ACCEPT"]) {
            assert_eq!(who("p1", ConflictKind::Xtables), [v6, v4]);
        }
        if takes(&["arptables-legacy -A INPUT -i p0 -j DROP"]) {
            assert!(who("p0", ConflictKind::Xtables).contains(&"arptables-legacy table filter".to_owned()));
        }
    });
}

#[test]
fn a_look_makes_no_tables() {
    in_namespace(|| {
        ports();
        on("p0");
        for file in ["ip_tables_names", "ip6_tables_names", "arp_tables_names"] {
            let names = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
            assert_eq!(names, "", "{file}");
        }
    });
}

#[test]
fn tunnels_through_a_port_are_reported() {
    in_namespace(|| {
        ports();
        let tunnels = [
            ("vxlan", "ip link add vx0 type vxlan id 7 remote 192.0.2.1 dstport 4789 dev p0"),
            ("ipip", "ip link add tu0 type ipip remote 192.0.2.1 local 192.0.2.2 dev p0"),
            ("sit", "ip link add si0 type sit remote 192.0.2.1 local 192.0.2.2 dev p0"),
            ("gretap", "ip link add gt0 type gretap remote 192.0.2.1 local 192.0.2.2 dev p0"),
            ("ip6tnl", "ip link add t60 type ip6tnl remote fd00::1 local fd00::2 dev p0"),
        ];
        let mut expected = Vec::new();
        for (kind, line) in tunnels {
            if takes(&[line]) {
                expected.push(format!("{} ({kind})", line.split(' ').nth(3).unwrap()));
            }
        }
        expected.sort();
        assert_eq!(who("p0", ConflictKind::Tunnel), expected);
        assert!(on("p1").is_empty());
    });
}

#[test]
fn filters_elsewhere_that_name_a_port_are_reported() {
    in_namespace(|| {
        ports();
        run("tc qdisc add dev q1 clsact");
        if takes(&["tc filter add dev q1 egress protocol ip u32 match u32 0 0 indev p0 flowid 1:1"]) {
            assert_eq!(who("p0", ConflictKind::TrafficFilter), ["q1"]);
        }
        assert!(on("p1").is_empty());
        if takes(&["tc filter add dev q1 ingress protocol ip u32 match u32 0 0 action mirred egress redirect dev p1"]) {
            assert_eq!(who("p1", ConflictKind::TrafficFilter), ["q1"]);
        }
    });
}

#[test]
fn sockets_that_are_bound_to_a_port_are_reported() {
    in_namespace(|| {
        ports();
        ip("link set p0 up
            link set q0 up
            addr add 192.0.2.1/24 dev p0");
        let bound = UdpSocket::bind("0.0.0.0:0").unwrap();
        bind_to_device(&bound, c"p0");
        let free = UdpSocket::bind("192.0.2.1:0").unwrap();
        let found = on("p0");
        let [Conflict { kind: ConflictKind::Socket, who, .. }] = found.as_slice() else { panic!("{found:?}") };
        let me = format!("process {}", std::process::id());
        assert!(who.len() == 1 && who.iter().all(|who| who.contains("UDP") && who.contains(&me)), "{who:?}");
        assert!(on("p1").is_empty());
        drop((bound, free));
        let stream = std::net::TcpListener::bind("192.0.2.1:0").unwrap();
        bind_to_device(&stream, c"p0");
        assert!(who_of(&on("p0")).iter().any(|who| who.contains("TCP")), "{:?}", on("p0"));
    });
}

#[allow(unsafe_code, reason = "SO_BINDTODEVICE has no safe wrapper")]
fn bind_to_device(socket: &impl std::os::fd::AsRawFd, name: &std::ffi::CStr) {
    let length = u32::try_from(name.to_bytes_with_nul().len()).unwrap();
    // SAFETY: the name is valid for its length.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_ptr().cast(), length)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn who_of(conflicts: &[Conflict]) -> Vec<&String> {
    conflicts.iter().flat_map(|conflict| &conflict.who).collect()
}

#[test]
fn groups_that_were_joined_on_a_port_are_reported() {
    in_namespace(|| {
        ports();
        ip("link set p0 up
            link set q0 up
            addr add 192.0.2.1/24 dev p0
            addr add fd00::1/64 dev p0 nodad");
        assert!(on("p0").is_empty(), "{:?}", on("p0"));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.join_multicast_v4(&Ipv4Addr::new(239, 1, 2, 3), &Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        let socket6 = UdpSocket::bind("[::]:0").unwrap();
        socket6.join_multicast_v6(&"ff0e::101".parse().unwrap(), index("p0").0).unwrap();
        assert_eq!(who("p0", ConflictKind::Group), ["239.1.2.3", "ff0e::101"]);
        ip("maddr add 01:1b:19:00:00:00 dev p0");
        assert_eq!(who("p0", ConflictKind::Group), ["01:1b:19:00:00:00", "239.1.2.3", "ff0e::101"]);
        assert!(on("q0").is_empty());
    });
}

#[test]
fn a_network_manager_is_reported() {
    in_namespace(|| {
        ports();
        // A process is called what its file is called.
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dhcpcd");
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink("/bin/sleep", &file).unwrap();
        let mut child = std::process::Command::new(&file).arg("60").spawn().unwrap();
        let found = who("p0", ConflictKind::Manager);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [format!("dhcpcd (process {})", child.id())]);
    });
}

#[test]
fn a_process_that_listens_on_a_port_is_reported() {
    in_namespace(|| {
        ports();
        ip("link set p0 up");
        assert!(on("p0").is_empty());
        let socket =
            rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, index("p0"));
        let found = who("p0", ConflictKind::PacketSocket);
        let [who] = found.as_slice() else { panic!("{found:?}") };
        assert!(who.ends_with(&format!("(process {})", std::process::id())), "{who}");
    });
}

#[allow(unsafe_code, reason = "no safe wrapper knows the address of a packet socket")]
fn bind(socket: &OwnedFd, index: aggctl_common::IfIndex) {
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = 17;
    address.sll_protocol = 3_u16.to_be();
    address.sll_ifindex = index.0.cast_signed();
    // SAFETY: the address is valid for its length.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), 20) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn ten_thousand_rules_are_one_line() {
    in_namespace(|| {
        use std::fmt::Write as _;
        ports();
        let mut ruleset = String::from("table inet big {\n");
        for chain in 0..100 {
            writeln!(ruleset, "chain c{chain:03} {{").unwrap();
            for port in 1..=100 {
                writeln!(ruleset, "iifname {{ \"p0\", \"x{chain}\" }} tcp dport {port} accept").unwrap();
            }
            ruleset.push_str("}\n");
        }
        ruleset.push_str("}\n");
        if !nft(&ruleset) {
            return;
        }
        let found = on("p0");
        let text = |kind| found.iter().find(|conflict| conflict.kind == kind).map(ToString::to_string);
        let rules = text(ConflictKind::Nftables).unwrap();
        assert!(!rules.contains('\n'), "{rules}");
        // A slow machine has no time for all of them, and says so.
        let unseen = text(ConflictKind::Unseen).is_some_and(|text| text.contains("nftables"));
        assert!(rules.contains("more") || unseen, "{rules}");
    });
}

#[test]
fn an_interface_has_the_tunnel_below_it() {
    in_namespace(|| {
        ports();
        if takes(&["ip link add vx0 type vxlan id 7 remote 192.0.2.1 dstport 4789 dev p0"]) {
            let links = Netlink::open().unwrap().links().unwrap();
            let tunnel = links.iter().find(|link| link.name == "vx0").unwrap();
            assert_eq!(tunnel.lower, Some(index("p0")));
        }
    });
}
