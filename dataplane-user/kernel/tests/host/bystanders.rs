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
        let ruleset =
            r#"table inet filter { chain input { type filter hook input priority 0; iifname "p0" accept; } }"#;
        if !nft(ruleset) {
            return;
        }
        assert_eq!(on("p0"), [Bystander::Firewall { port: "p0".into(), chain: "inet filter input".into() }]);
        assert!(on("q0").is_empty());
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
