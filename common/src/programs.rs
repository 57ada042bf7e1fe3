//! What the programs are specialised for. There is one for each of these, with a rule about VLANs and without; numbers,
//! like the slot of a port, are read-only globals of a program, so the verifier removes what the program will not do.

use crate::hash::Policy;

/// How the sending program picks the port of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TxPolicy {
    /// The active port ([`crate::rule::choose`]).
    Active,
    /// By a hash of the frame, through the table of buckets ([`crate::spread::choose`]).
    Buckets,
    /// By a hash of the frame modulo the number of usable ports, as bonding does ([`crate::spread::pick`]).
    Modulo,
    /// In turn, a number of packets each ([`crate::spread::pick`]).
    RoundRobin,
    /// At random ([`crate::spread::pick`]).
    Random,
}

/// Which frames the receiving programs accept, link-local control frames aside.
///
/// Ordered by how much is accepted: each accepts all that those before it do, but for our own frames coming back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RxPolicy {
    /// Those of the active port.
    Active,
    /// Unicast of any port, groups of the designated port; several ports receive the same (partner `plain`).
    Designated,
    /// All of any port: the partner sends each frame to one of them (partner `lag`).
    Any,
}

impl TxPolicy {
    /// How the name of the sending program ends that picks the port so; `policy` says what it hashes, if it hashes:
    /// nothing if that is a list of fields.
    #[must_use]
    pub const fn name(self, policy: Option<Policy>) -> &'static str {
        match (self, policy) {
            (Self::Active, _) => "active",
            (Self::Buckets, None) => "fields",
            (Self::Buckets, Some(Policy::Layer2)) => "layer2",
            (Self::Buckets, Some(Policy::Layer23)) => "layer23",
            (Self::Buckets, Some(Policy::Layer34)) => "layer34",
            (Self::Modulo, None) => "compatfields",
            (Self::Modulo, Some(Policy::Layer2)) => "compat2",
            (Self::Modulo, Some(Policy::Layer23)) => "compat23",
            (Self::Modulo, Some(Policy::Layer34)) => "compat34",
            (Self::RoundRobin, _) => "turns",
            (Self::Random, _) => "random",
        }
    }
}

impl RxPolicy {
    /// How the name of the receiving program ends that accepts so.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Designated => "designated",
            Self::Any => "any",
        }
    }
}

/// How the names of sending programs begin, and those of receiving ones.
pub const SENDS: &str = "tx_";
/// See [`SENDS`].
pub const RECEIVES: &str = "rx_";
/// How the names of programs begin that drop frames before the kernel makes packets of them, in the driver.
pub const EARLY_NATIVE: &str = "xdp_";
/// The same for those just behind the driver.
pub const EARLY_GENERIC: &str = "xdpgen_";
/// What comes next in the names of programs that know a rule about VLANs.
pub const TAGS: &str = "tag_";
/// What comes next in the names of receiving programs that also take frames to the MAC that the aggregate had before
/// ([`crate::rule::readdressed`]).
pub const FORMER: &str = "former_";
/// What comes next in the names of sending programs that leave to a driver what they do not decide.
pub const OVER: &str = "over_";
/// The name of the program that writes the time into the map `STAMP`.
pub const STAMP: &str = "stamp";
/// The name of the program that passes on what the ports received, at a peer in a namespace of its own.
pub const RELAY: &str = "relay";
