//! Link-local control frames: destinations 01:80:c2:00:00:00 to 01:80:c2:00:00:0f (IEEE 802.1Q-2022, table 8-1), which
//! belong to the link and not to the aggregate.

use crate::Destination;

/// What becomes of a frame that a port receives, as far as link-local control is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// An ordinary frame.
    No,
    /// It stays with the port's own sockets: pause (…:01) and slow protocols (…:02, LACP) mean this link alone.
    PortOnly,
    /// It stays with the port's own sockets; where the aggregate takes other frames for groups from this port, a copy
    /// goes there: the spanning tree of a bridge on top needs it.
    PortAndAggregate,
}

impl Control {
    /// Classifies by the destination address.
    #[inline(always)]
    #[must_use]
    pub const fn of(Destination([first, second, third]): &Destination) -> Self {
        if *first != Destination::CONTROL_0 || *second != Destination::CONTROL_1 {
            return Self::No;
        }
        match third.to_ne_bytes() {
            [0, 0x01 | 0x02] => Self::PortOnly,
            [0, 0x00 | 0x03..=0x0f] => Self::PortAndAggregate,
            _ => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(octets: [u8; 6]) -> Control {
        Control::of(&Destination::from_octets(octets))
    }

    #[test]
    fn pause_and_slow_protocols_stay_on_the_port() {
        assert_eq!(classify([0x01, 0x80, 0xc2, 0, 0, 0x01]), Control::PortOnly);
        assert_eq!(classify([0x01, 0x80, 0xc2, 0, 0, 0x02]), Control::PortOnly);
    }

    #[test]
    fn the_other_fourteen_also_go_to_the_aggregate() {
        for last in (0..=0x0f).filter(|last| ![1, 2].contains(last)) {
            assert_eq!(classify([0x01, 0x80, 0xc2, 0, 0, last]), Control::PortAndAggregate, "…:{last:02x}");
        }
    }

    #[test]
    fn every_single_octet_counts() {
        let stp = [0x01, 0x80, 0xc2, 0, 0, 0];
        for position in 0..6 {
            for value in 0..=255 {
                let mut octets = stp;
                octets[position] = value;
                let control = octets[..5] == stp[..5] && octets[5] <= 0x0f;
                assert_eq!(classify(octets) != Control::No, control, "{octets:x?}");
            }
        }
    }
}
