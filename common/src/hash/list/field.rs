//! Fields, and lists of them.

/// What of a frame can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// The source MAC.
    SrcMac,
    /// The destination MAC.
    DstMac,
    /// The ethertype behind the VLAN tags.
    EtherType,
    /// The VLAN of the outermost tag.
    Vlan,
    /// The VLAN of the tag behind that.
    InnerVlan,
    /// The source address of IPv4 or IPv6.
    SrcIp,
    /// The destination address of IPv4 or IPv6.
    DstIp,
    /// The IP protocol; of IPv6, what follows the first header.
    Proto,
    /// The source port of TCP, UDP, DCCP, SCTP and UDP-Lite.
    SrcPort,
    /// The destination port of these.
    DstPort,
    /// The flow label of IPv6.
    FlowLabel,
    /// The class of service: the upper six bits of the octet of IPv4 or IPv6.
    Dscp,
    /// The security parameters index of ESP and AH.
    Spi,
    /// The virtual network of VXLAN (UDP to 4789 or 8472), GENEVE (UDP to 6081) and NVGRE.
    Vni,
    /// The key of GRE.
    GreKey,
    /// The tunnel endpoint of GTP-U (UDP to 2152).
    GtpTeid,
    /// The first label of MPLS.
    Mpls,
    /// The identifier of an ICMP or ICMPv6 query or its answer (echo, timestamp).
    IcmpId,
    /// The kernel's mark of the frame.
    Mark,
    /// The number of the frame's queue, as the kernel keeps it.
    Queue,
    /// The kernel's own hash of the flow.
    SkbHash,
}

impl Field {
    /// All of them, in the order in which lists are written.
    pub const ALL: [Self; 21] = [
        Self::SrcMac,
        Self::DstMac,
        Self::EtherType,
        Self::Vlan,
        Self::InnerVlan,
        Self::SrcIp,
        Self::DstIp,
        Self::Proto,
        Self::SrcPort,
        Self::DstPort,
        Self::FlowLabel,
        Self::Dscp,
        Self::Spi,
        Self::Vni,
        Self::GreKey,
        Self::GtpTeid,
        Self::Mpls,
        Self::IcmpId,
        Self::Mark,
        Self::Queue,
        Self::SkbHash,
    ];

    /// Its name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SrcMac => "src-mac",
            Self::DstMac => "dst-mac",
            Self::EtherType => "ethertype",
            Self::Vlan => "vlan",
            Self::InnerVlan => "inner-vlan",
            Self::SrcIp => "src-ip",
            Self::DstIp => "dst-ip",
            Self::Proto => "proto",
            Self::SrcPort => "sport",
            Self::DstPort => "dport",
            Self::FlowLabel => "flow-label",
            Self::Dscp => "dscp",
            Self::Spi => "spi",
            Self::Vni => "vni",
            Self::GreKey => "gre-key",
            Self::GtpTeid => "gtp-teid",
            Self::Mpls => "mpls",
            Self::IcmpId => "icmp-id",
            Self::Mark => "mark",
            Self::Queue => "queue",
            Self::SkbHash => "skb-hash",
        }
    }

    /// The field that takes its place in frames the other way, and must be listed with it in a symmetric hash.
    #[must_use]
    pub const fn opposite(self) -> Option<Self> {
        match self {
            Self::SrcMac => Some(Self::DstMac),
            Self::DstMac => Some(Self::SrcMac),
            Self::SrcIp => Some(Self::DstIp),
            Self::DstIp => Some(Self::SrcIp),
            Self::SrcPort => Some(Self::DstPort),
            Self::DstPort => Some(Self::SrcPort),
            _ => None,
        }
    }

    /// Whether frames of a connection may have one value one way and another the other way, so that a symmetric hash
    /// cannot have it.
    #[must_use]
    pub const fn has_direction(self) -> bool {
        matches!(
            self,
            Self::FlowLabel
                | Self::Dscp
                | Self::Spi
                | Self::GtpTeid
                | Self::Mpls
                | Self::Mark
                | Self::Queue
                | Self::SkbHash
        )
    }

    /// Its bit in a set of fields.
    #[inline(always)]
    #[must_use]
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// How many leading bits of an IP address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixLengths {
    /// Of IPv4, 1 to 32.
    pub four: u8,
    /// Of IPv6, 1 to 128.
    pub six: u8,
}

impl PrefixLengths {
    /// Whole addresses.
    pub const WHOLE: Self = Self { four: 32, six: 128 };
}

impl Default for PrefixLengths {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// The fields that a policy hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldList {
    /// The fields as a set of bits.
    pub(super) fields: u32,
    /// How much of source addresses counts.
    pub source: PrefixLengths,
    /// How much of destination addresses counts.
    pub destination: PrefixLengths,
    /// Whether frames that differ in their direction alone have the same hash: what is opposite is sorted before it is
    /// hashed.
    pub symmetric: bool,
}

impl FieldList {
    /// The list with this field too.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self { fields: self.fields | field.bit(), ..self }
    }

    /// Whether a field is in it.
    #[must_use]
    pub const fn has(&self, field: Field) -> bool {
        self.fields & field.bit() != 0
    }

    /// Its fields, in the order in which lists are written.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.has(*field))
    }
}
