//! How the aggregate's device, the ports and the programs are connected, and what they are attached to.

use serde::{Deserialize, Serialize};

/// How the aggregate device, the ports and the programs are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// `over` if the aggregate's name is that of a bonding or team device, else `shared`. An aggregate that runs has
    /// one of the others.
    #[default]
    Auto,
    /// The aggregate is the device of a kernel driver (bonding, team), and its members are the ports. The sending
    /// program is attached to its egress hook; all else is the driver's.
    Over,
    /// The peer of the device and the ports share the host's namespace; everything stays visible.
    Shared,
    /// The peer is in a network namespace of the aggregate's own. What is sent leaves from the aggregate's egress
    /// hook, before the device; what is received takes the short way through both ends.
    Direct,
}

impl Wiring {
    /// Whether the peer is in a network namespace of the aggregate's own. Then a program of its own is there,
    /// too, which passes on what the ports received.
    #[must_use]
    pub const fn has_namespace(self) -> bool {
        matches!(self, Self::Direct)
    }

    /// Whether the aggregate is a pair of devices of our own, and ports are ours to set up.
    #[must_use]
    pub const fn has_pair(self) -> bool {
        !matches!(self, Self::Over)
    }
}

/// What the pair of the aggregate's interface and its peer is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// netkit where the kernel has what we need of it, else veth.
    #[default]
    Auto,
    /// A netkit pair (Linux 6.7; its MAC can be set since 6.11): the sending program is attached to the aggregate's own
    /// transmit.
    Netkit,
    /// A veth pair: the sending program is attached to the peer's ingress.
    Veth,
}

/// The kernel hook that the programs are attached to. The sending program of a netkit device has netkit's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// tcx where the kernel has it, else clsact.
    #[default]
    Auto,
    /// tcx links (Linux 6.6).
    Tcx,
    /// Filters of the clsact qdisc (Linux 4.5).
    Clsact,
}

/// Whether the ports drop by an XDP program what must not be received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Xdp {
    /// Not: the receiving program drops it.
    #[default]
    Off,
    /// In the driver of each port, before there is a packet.
    Native,
    /// Before anybody else sees the packet; every driver has that.
    Generic,
    /// In the driver, of each port that has it and where nothing is lost by it.
    Auto,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the kernel, just behind the driver.
    Generic,
}

impl XdpMode {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}
