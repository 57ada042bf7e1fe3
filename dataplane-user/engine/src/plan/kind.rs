//! What an interface's kind (IFLA_INFO_KIND) says about its use as a port.
//!
//! A port is one way to the outside. Hardware, virtio, veth, netkit, tap and dummy interfaces are, and so are devices
//! that use one such interface (VLAN, macvlan, MACsec). A device that stands for several ways, or for a tunnel through
//! the host's own routes, is most likely named by mistake: it takes `--force`. What has no frames or no MAC of its own
//! cannot be a port at all.

use crate::{host::Link, plan::Refusal};

/// Kinds that take `--force`, and what they are.
const UNUSUAL: [(&str, &str); 19] = [
    ("bridge", "joins several interfaces"),
    ("openvswitch", "belongs to a switch"),
    ("bond", "is an aggregate of the bonding driver"),
    ("team", "is an aggregate of the team driver"),
    ("hsr", "joins two interfaces"),
    ("batadv", "is a mesh of interfaces"),
    ("vxlan", "is a tunnel through this host's own routes"),
    ("geneve", "is a tunnel through this host's own routes"),
    ("gretap", "is a tunnel through this host's own routes"),
    ("ip6gretap", "is a tunnel through this host's own routes"),
    ("erspan", "is a tunnel through this host's own routes"),
    ("ip6erspan", "is a tunnel through this host's own routes"),
    ("l2tpeth", "is a tunnel through this host's own routes"),
    ("bareudp", "is a tunnel through this host's own routes"),
    ("amt", "is a tunnel through this host's own routes"),
    ("gtp", "is a tunnel through this host's own routes"),
    ("wireguard", "is a tunnel through this host's own routes"),
    ("ovpn", "is a tunnel through this host's own routes"),
    ("ifb", "only redirects what others receive"),
];

/// Kinds that cannot be ports, and why.
const IMPOSSIBLE: [(&str, &str); 4] = [
    ("vrf", "has no frames of its own"),
    ("ipvlan", "has no MAC of its own"),
    ("ipvtap", "has no MAC of its own"),
    ("nlmon", "has no frames of its own"),
];

/// Kinds that send through another interface by the host's routes, and so do not take that one's frames.
const TUNNELS: [&str; 16] = [
    "vxlan",
    "geneve",
    "ipip",
    "sit",
    "ip6tnl",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "erspan",
    "ip6erspan",
    "vti",
    "vti6",
    "xfrm",
    "amt",
    "bareudp",
];

/// Refuses a port that is most likely named by mistake; for an owner who did not say `--force`.
///
/// # Errors
///
/// If it is one.
pub fn check_kind(link: &Link) -> Result<(), Refusal> {
    match lookup(&UNUSUAL, link) {
        Some(what) => Err(Refusal::PortUnusual { port: link.name.clone(), kind: link.kind.clone(), what }),
        None => Ok(()),
    }
}

/// Why the interface cannot be a port, if its kind says so.
pub(super) fn impossible(link: &Link) -> Option<&'static str> {
    lookup(&IMPOSSIBLE, link)
}

/// Whether devices of this kind send through another interface by the host's routes.
#[must_use]
pub fn is_tunnel(kind: &str) -> bool {
    TUNNELS.contains(&kind)
}

fn lookup(table: &[(&str, &'static str)], link: &Link) -> Option<&'static str> {
    table.iter().find(|(kind, _)| *kind == link.kind).map(|(_, what)| *what)
}
