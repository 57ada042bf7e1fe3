//! Link-local control frames: destinations 01:80:c2:00:00:00 to 01:80:c2:00:00:0f (IEEE 802.1Q-2022, table 8-1), which
//! belong to the link and not to the aggregate.

/// What becomes of a frame that a port hears, as far as link-local control is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// An ordinary frame.
    No,
    /// It stays with the port's own sockets: pause (…:01) and slow protocols (…:02, LACP) mean this link alone.
    PortOnly,
    /// It stays with the port's own sockets, and a copy goes to the aggregate: the spanning tree of a bridge on top
    /// needs it.
    PortAndAggregate,
}

impl Control {
    /// Classifies by the destination address.
    #[inline(always)]
    #[must_use]
    pub const fn of(destination: [u8; 6]) -> Self {
        let [a, b, c, d, e, last] = destination;
        if u32::from_be_bytes([a, b, c, d]) != 0x0180_c200 || e != 0 || last > 0x0f {
            return Self::No;
        }
        match last {
            0x01 | 0x02 => Self::PortOnly,
            _ => Self::PortAndAggregate,
        }
    }
}
