//! Who else works on a port.

use aggctl_kernel::{
    bystanders::{Bystander, warnings},
    netlink::Netlink,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{
    others::nft,
    support::{in_namespace, index, ip},
};

fn on(port: &str) -> Vec<Bystander> {
    warnings(&mut Netlink::open().unwrap(), &[(index(port), port.to_owned())]).unwrap()
}

#[test]
fn rules_that_name_a_port_are_reported() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            rule add iif p0 table 100 priority 1000
            -6 rule add oif p0 table 100 priority 2000
            rule add from 192.0.2.1 table 100 priority 3000");
        let port = || "p0".to_owned();
        let expected = [
            Bystander::Rule { port: port(), priority: 1000, v6: false },
            Bystander::Rule { port: port(), priority: 2000, v6: true },
        ];
        assert_eq!(on("p0"), expected);
        assert!(on("q0").is_empty());
    });
}

#[test]
fn firewall_rules_that_name_a_port_are_reported() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let ruleset = r#"
            table inet filter {
                chain input { type filter hook input priority 0; iifname "p0" accept; }
            }
        "#;
        if !nft(ruleset) {
            return;
        }
        assert_eq!(on("p0"), [Bystander::Firewall { port: "p0".into(), chain: "inet filter input".into() }]);
        assert!(on("q0").is_empty());
    });
}

#[test]
fn sets_of_names_are_looked_into() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link add p1 type veth peer name q1");
        let ruleset = r#"
            table ip nat {
                set outside { type ifname; elements = { "p1" }; }
                chain post { type nat hook postrouting priority 100; oifname @outside masquerade; }
            }
            table inet filter {
                chain input { type filter hook input priority 0; iifname { "p0", "other" } accept; }
                chain forward { type filter hook forward priority 0; iifname vmap { "p0" : accept, "q1" : drop }; }
            }"#;
        if !nft(ruleset) {
            return;
        }
        let chain = |port: &str, chain: &str| Bystander::Firewall { port: port.into(), chain: chain.into() };
        assert_eq!(on("p0"), [chain("p0", "inet filter forward"), chain("p0", "inet filter input")]);
        assert_eq!(on("p1"), [chain("p1", "ip nat post")]);
        assert!(on("q0").is_empty());
    });
}

#[test]
fn a_network_manager_is_reported() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        // A process is called what its file is called.
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dhcpcd");
        let _ = std::fs::remove_file(&file);
        std::os::unix::fs::symlink("/bin/sleep", &file).unwrap();
        let mut child = std::process::Command::new(&file).arg("60").spawn().unwrap();
        let found = on("p0");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [Bystander::Manager { process: "dhcpcd".into(), pid: child.id() }]);
    });
}

#[test]
fn a_process_that_listens_on_a_port_is_reported() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link set p0 up");
        assert!(on("p0").is_empty());
        let socket =
            rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, index("p0"));
        let found = on("p0");
        let [Bystander::Listener { port, pid, .. }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((port.as_str(), *pid), ("p0", std::process::id()));
    });
}

#[allow(unsafe_code, reason = "no safe wrapper knows the address of a packet socket")]
fn bind(socket: &rustix::fd::OwnedFd, index: aggctl_common::IfIndex) {
    use std::os::fd::AsRawFd as _;
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = 17;
    address.sll_protocol = 3_u16.to_be();
    address.sll_ifindex = index.0.cast_signed();
    // SAFETY: the address is valid for its length.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), 20) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
