//! The numbers by which headers say what follows them.

/// Ethertypes (IEEE 802 numbers).
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// An Ethernet frame within something else ("Transparent Ethernet Bridging").
    pub const BRIDGED: u16 = 0x6558;
}

/// IP protocols (IANA protocol numbers).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

/// Destination ports of tunnels over UDP (IANA service names and port numbers).
pub mod port {
    pub const GTP_U: u16 = 2152;
    pub const VXLAN: u16 = 4789;
    /// VXLAN where nobody said otherwise to Linux.
    pub const VXLAN_LINUX: u16 = 8472;
    pub const GENEVE: u16 = 6081;
}
