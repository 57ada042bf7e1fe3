//! What the owner should know about a plan that is carried out all the same.

use std::{fmt, net::IpAddr};

use aggctl_common::Mac;

use crate::{config::AggregateConfig, host::Link};

/// Something to know. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A temporary IPv6 address (RFC 8981) becomes an ordinary one: the kernel takes no temporary ones from outside.
    TemporaryAddress {
        /// Where it was.
        port: String,
        /// The address.
        address: IpAddr,
    },
    /// The program on the driver's device sends past its queueing discipline.
    QdiscBypassed {
        /// The aggregate.
        aggregate: String,
        /// The kind of it.
        qdisc: String,
    },
    /// The driver's device has no port.
    NoPort {
        /// The aggregate.
        aggregate: String,
    },
    /// No port has a link.
    NoLink {
        /// The aggregate.
        aggregate: String,
        /// Its ports.
        ports: String,
    },
    /// The primary is no port yet.
    PrimaryNotYet {
        /// The aggregate.
        aggregate: String,
        /// The primary.
        primary: String,
    },
    /// This port has no link, others have.
    PortNoLink {
        /// The port.
        port: String,
    },
    /// The port's MTU changes to that of the aggregate.
    MtuChanges {
        /// The port.
        port: String,
        /// Octets before.
        from: u32,
        /// Octets from now on.
        to: u32,
    },
    /// A port that has addresses gets another MAC.
    MacChanges {
        /// The port.
        port: String,
    },
    /// The port's VLAN filter cannot be switched off, and promiscuous mode was ruled out.
    VlanFilter {
        /// The port.
        port: String,
    },
    /// A veth drops early in its driver.
    NativeOnVeth {
        /// The port.
        port: String,
    },
    /// A port that is no port any more has its own MAC again, which the aggregate keeps.
    SharedMac {
        /// The former port.
        port: String,
        /// The aggregate.
        aggregate: String,
        /// The MAC of both.
        mac: Mac,
    },
    /// The aggregate gets IPv6 from a port that has none.
    NoIpv6 {
        /// The port.
        port: String,
    },
}

impl Warning {
    /// What to say of the primary.
    #[must_use]
    pub fn of_primary(config: &AggregateConfig) -> Option<Self> {
        let primary = config.absent_primary()?.to_owned();
        Some(Self::PrimaryNotYet { aggregate: config.name.clone(), primary })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TemporaryAddress { port, address } => {
                write!(f, "the temporary address {address} of {port} becomes an ordinary one")
            }
            Self::QdiscBypassed { aggregate, qdisc } => write!(
                f,
                "the queueing discipline {qdisc} of {aggregate} has no effect on what is sent from now on; those of \
                 its ports have"
            ),
            Self::NoPort { aggregate } => write!(f, "{aggregate} has no port yet"),
            Self::NoLink { aggregate, ports } => write!(f, "no port of {aggregate} has a link yet: {ports}"),
            Self::PrimaryNotYet { aggregate, primary } => {
                write!(f, "{primary} is no port of {aggregate} yet: it is the primary once it is one")
            }
            Self::PortNoLink { port } => write!(f, "{port} has no link yet: it carries nothing until it has"),
            Self::MtuChanges { port, from, to } => write!(f, "the MTU of {port} changes from {from} to {to}"),
            Self::MacChanges { port } => {
                write!(f, "{port} has addresses and gets another MAC: its neighbours must learn it")
            }
            Self::VlanFilter { port } => {
                write!(f, "{port} lets only its own VLANs in (rx-vlan-filter is fixed) and promisc is off")
            }
            Self::NativeOnVeth { port } => write!(
                f,
                "{port} is a veth: while it runs an XDP program itself, its other end sends it no large frames (TSO), \
                 which costs TCP most of its speed; xdp generic leaves them"
            ),
            Self::SharedMac { port, aggregate, mac } => write!(
                f,
                "{aggregate} keeps {mac}, the MAC of {port}: before {port} is used in the same network give one of \
                 them another, as 'ip link set {port} address …'"
            ),
            Self::NoIpv6 { port } => write!(f, "IPv6 is disabled on {port}, so it is on the aggregate too"),
        }
    }
}

/// What to say of ports without a link once they are ports: all of `aggregate`'s `ports`, as they are among `links`
/// now.
#[must_use]
pub fn without_link(aggregate: &str, ports: &[&str], links: &[Link]) -> Vec<Warning> {
    let linked = |port: &str| links.iter().any(|link| link.name == port && link.has_link());
    let dead: Vec<_> = ports.iter().filter(|port| !linked(port)).collect();
    if ports.is_empty() {
        return vec![Warning::NoPort { aggregate: aggregate.to_owned() }];
    }
    if dead.len() == ports.len() {
        return vec![Warning::NoLink { aggregate: aggregate.to_owned(), ports: ports.join(", ") }];
    }
    dead.into_iter().map(|port| Warning::PortNoLink { port: (*port).to_owned() }).collect()
}
