//! What can be asked: which contender, set up how, under which traffic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the programs and devices of `aggctl` are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// On a bonding device.
    Over,
    /// On a team device.
    OverTeam,
    /// Everything in one namespace, everything visible.
    Shared,
    /// The least work while the ports stay where they are.
    Direct,
}

impl Wiring {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Over, Self::OverTeam, Self::Shared, Self::Direct];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Over | Self::OverTeam => "over",
            Self::Shared => "shared",
            Self::Direct => "direct",
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// A port without an aggregate.
    Bare,
    /// The kernel's bonding driver.
    Bonding,
    /// The kernel's team driver, with teamd.
    Team,
    /// `aggctl`.
    #[serde(untagged)]
    Aggctl(Wiring),
}

impl Contender {
    /// All that join ports.
    pub const AGGREGATES: [Self; 6] = [
        Self::Bonding,
        Self::Team,
        Self::Aggctl(Wiring::Over),
        Self::Aggctl(Wiring::OverTeam),
        Self::Aggctl(Wiring::Shared),
        Self::Aggctl(Wiring::Direct),
    ];
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => f.write_str("bare port"),
            Self::Bonding => f.write_str("bonding"),
            Self::Team => f.write_str("team"),
            Self::Aggctl(Wiring::Over) => f.write_str("aggctl over bonding"),
            Self::Aggctl(Wiring::OverTeam) => f.write_str("aggctl over team"),
            Self::Aggctl(wiring) => write!(f, "aggctl {}", wiring.name()),
        }
    }
}

/// How a port is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One port at a time.
    ActiveBackup,
    /// By addresses and UDP or TCP ports (layer3+4).
    Hash,
    /// One frame after the other.
    RoundRobin,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ActiveBackup, Self::Hash, Self::RoundRobin];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ActiveBackup => "active-backup",
            Self::Hash => "hash",
            Self::RoundRobin => "round-robin",
        })
    }
}

/// A contender that is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setup {
    /// Which one.
    pub contender: Contender,
    /// How it chooses a port; of no meaning for a bare port.
    pub mode: Mode,
    /// Over how many ports, at least 1.
    pub ports: u8,
}

/// What a port is, and what its cable ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cable {
    /// A virtual cable into another namespace.
    Veth,
    /// A tap device, which loses its carrier as real cards do.
    Tap,
    /// Between cards that the user named.
    Borrowed,
}

impl fmt::Display for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Veth => "veth",
            Self::Tap => "tap",
            Self::Borrowed => "as named",
        })
    }
}

/// What time is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The instructions of the one processor of an emulated machine.
    Instructions,
    /// The time of this world, which other work on the same computer disturbs.
    Wall,
}

/// What carries data from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferKind {
    /// One connection with as much as goes.
    Tcp,
    /// The smallest datagrams, as many as go.
    Udp,
}

impl fmt::Display for TransferKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// Which way frames go, seen from the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the host to the wire.
    Tx,
    /// From the wire to the host.
    Rx,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tx => "TX",
            Self::Rx => "RX",
        })
    }
}

/// What a UDP datagram is packed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encapsulation {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// IPv4 with a VLAN tag.
    Vlan,
}

impl Encapsulation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V4, Self::V6, Self::Vlan];
}

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::Vlan => "IPv4, VLAN tag",
        })
    }
}

/// How long frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// The shortest frame, 64 bytes on the wire with its checksum; a little longer for IPv6, whose shortest frame that
    /// the generator makes does not fit.
    Small,
    /// 1500 bytes of IP.
    Large,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// Bytes of a frame without its checksum.
    pub const fn bytes(self, protocol: Encapsulation) -> u32 {
        match (self, protocol) {
            (Self::Small, Encapsulation::V4) => 60,
            (Self::Small, Encapsulation::Vlan) => 64,
            // Ethernet 14, IPv6 40, UDP 8, and 16 that pktgen needs for itself.
            (Self::Small, Encapsulation::V6) => 78,
            (Self::Large, Encapsulation::V4 | Encapsulation::V6) => 1514,
            (Self::Large, Encapsulation::Vlan) => 1518,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "64",
            Self::Large => "1500",
        })
    }
}

/// What the generator sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Traffic {
    /// Which way.
    pub direction: Direction,
    /// What it is packed into.
    pub protocol: Encapsulation,
    /// How long.
    pub size: Size,
    /// How many flows take turns, a power of ten: they differ in their UDP ports.
    pub flows: u32,
    /// Whether the generator holds on to each frame that it hands over, as pktgen does unless told otherwise
    /// (`SHARED`): who wants to have such a frame to himself, as bonding and team do when they receive, must copy its
    /// description. What a card delivers is held by nobody else.
    pub held: bool,
}

#[cfg(test)]
mod tests {
    use super::{Contender, Wiring};

    #[test]
    fn contenders_are_plain_words_in_the_report() {
        let words =
            [Contender::Bonding, Contender::Aggctl(Wiring::Direct)].map(|one| serde_json::to_string(&one).unwrap());
        assert_eq!(words, ["\"bonding\"", "\"direct\""]);
        let read: Contender = serde_json::from_str("\"shared\"").unwrap();
        assert_eq!(read, Contender::Aggctl(Wiring::Shared));
    }
}
