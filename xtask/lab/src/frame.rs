//! A frame that came out of a cable, as far as it counts in a measurement.

use std::time::Duration;

/// A frame with a UDP datagram over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedFrame {
    /// When it was seen.
    pub at: Duration,
    /// At the end of which port: its place among the ports.
    pub port: usize,
    /// UDP ports.
    pub flow: (u16, u16),
    /// The first four octets that it carries.
    pub number: u32,
}

/// UDP ports and the first four octets of a UDP datagram over IPv4 without options, if a packet of this `EtherType` is
/// one.
pub fn datagram(kind: &[u8], packet: &[u8]) -> Option<((u16, u16), u32)> {
    let half = |at: usize| packet.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    (kind == [8, 0] && packet.first()? & 0x0f == 5 && *packet.get(9)? == 17).then_some(())?;
    let number = packet.get(28..32)?.try_into().ok().map(u32::from_be_bytes)?;
    Some(((half(20)?, half(22)?), number))
}
