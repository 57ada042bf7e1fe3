//! Finds the fields of a frame, as the bonding driver does (`bond_flow_dissect` and `bond_flow_ip`): where it looks at
//! less than it could, so does this.

use super::{
    Policy,
    fields::{AddressWords, EthernetFields, NoAddresses, NoTransport, Transport, TransportPorts},
    numbers::{ethertype, protocol},
    parts::{Network, Parts},
};
use crate::frame::Frame;

/// Length of the Ethernet header.
const LINK_LENGTH: usize = 14;
/// Length of the header of an ICMP or ICMPv6 error, behind which the packet is quoted.
const ICMP_LENGTH: usize = 8;

/// Finds what the policy asks for, or nothing if the frame is shorter than an Ethernet header.
#[inline(always)]
pub(super) fn parse<F, A, T>(policy: Policy, frame: &F) -> Option<Parts<A, T>>
where
    F: Frame + ?Sized,
    A: From<AddressWords>,
    T: From<Result<Transport, NoTransport>>,
{
    let [last] = frame.words(LINK_LENGTH - 4)?;
    let [_, source, high, low] = last.to_ne_bytes();
    let ethertype = u16::from_be_bytes([high, low]);
    let network = match policy {
        Policy::Layer2 => Err(NoAddresses::Policy),
        Policy::Layer23 | Policy::Layer34 => network(policy, frame, ethertype),
    };
    // Last, because the default does without.
    let link = if policy == Policy::Layer34 && network.is_ok() {
        None
    } else {
        let [word] = frame.words(2)?;
        let [_, _, _, destination] = word.to_ne_bytes();
        Some(EthernetFields { destination, source, ethertype })
    };
    Some(Parts { link, network })
}

/// The IP packet in a frame, or the one that it quotes.
#[inline(always)]
fn network<F, A, T>(policy: Policy, frame: &F, ethertype: u16) -> Result<Network<A, T>, NoAddresses>
where
    F: Frame + ?Sized,
    A: From<AddressWords>,
    T: From<Result<Transport, NoTransport>>,
{
    let outer: IpHeader<A> = header(frame, ethertype, LINK_LENGTH)?;
    let Ok(protocol @ (protocol::ICMP | protocol::ICMPV6)) = outer.protocol else {
        return Ok(Network { transport: outer.ports(policy, frame).into(), addresses: outer.addresses, quoted: false });
    };
    let message = frame.words(outer.end).map(|[first, second]| (first.to_ne_bytes(), second.to_ne_bytes()));
    let transport = match message {
        Some(([kind, ..], _)) if is_error(protocol, kind) => {
            let inner: IpHeader<A> = header(frame, ethertype, outer.end + ICMP_LENGTH)?;
            let transport = inner.ports(policy, frame).into();
            return Ok(Network { transport, addresses: inner.addresses, quoted: true });
        }
        _ if policy != Policy::Layer34 => Err(NoTransport::Policy),
        Some(([kind, code, _, _], [high, low, _, _])) if has_identifier(kind) => {
            Ok(Transport::Icmp { kind, code, identifier: u16::from_be_bytes([high, low]) })
        }
        Some(([kind, ..], _)) => Err(NoTransport::Message(kind)),
        None => Err(NoTransport::Truncated),
    };
    Ok(Network { transport: transport.into(), addresses: outer.addresses, quoted: false })
}

/// What an IP header says.
struct IpHeader<A> {
    addresses: A,
    /// The offset of what follows it.
    end: usize,
    /// The protocol of what follows it, unless the packet is a fragment.
    protocol: Result<u8, NoTransport>,
}

/// The IP header at an offset. The ethertype alone tells IPv4 from IPv6, also for a quoted packet; the version is not
/// looked at.
#[inline(always)]
fn header<F, A>(frame: &F, ethertype: u16, offset: usize) -> Result<IpHeader<A>, NoAddresses>
where
    F: Frame + ?Sized,
    A: From<AddressWords>,
{
    match ethertype {
        ethertype::IPV4 => header4(frame, offset),
        ethertype::IPV6 => header6(frame, offset),
        ethertype::VLAN | ethertype::SERVICE_VLAN => Err(NoAddresses::Tagged),
        _ => Err(NoAddresses::NotIp),
    }
}

/// The IPv4 header at an offset (RFC 791, 3.1). A length that is too small is taken as it is.
#[inline(always)]
fn header4<F, A>(frame: &F, offset: usize) -> Result<IpHeader<A>, NoAddresses>
where
    F: Frame + ?Sized,
    A: From<AddressWords>,
{
    /// "More fragments" and the fragment's offset in the second word: one of them is there in every fragment.
    const FRAGMENT: u32 = u32::from_ne_bytes([0, 0, 0x3f, 0xff]);

    let [first, second, third, source, destination] = frame.words(offset).ok_or(NoAddresses::Truncated)?;
    let [length, ..] = first.to_ne_bytes();
    let [_, protocol, ..] = third.to_ne_bytes();
    Ok(IpHeader {
        addresses: AddressWords::V4([source, destination]).into(),
        end: offset + usize::from(length & 0x0f) * 4,
        protocol: if second & FRAGMENT == 0 { Ok(protocol) } else { Err(NoTransport::Fragment) },
    })
}

/// The IPv6 header at an offset (RFC 8200, 3).
#[inline(always)]
fn header6<F, A>(frame: &F, offset: usize) -> Result<IpHeader<A>, NoAddresses>
where
    F: Frame + ?Sized,
    A: From<AddressWords>,
{
    let [_, second, addresses @ ..] = frame.words::<10>(offset).ok_or(NoAddresses::Truncated)?;
    let [_, _, next, _] = second.to_ne_bytes();
    Ok(IpHeader { addresses: AddressWords::V6(addresses).into(), end: offset + 40, protocol: Ok(next) })
}

impl<A> IpHeader<A> {
    /// The ports of the packet, or what takes their place (`proto_ports_offset` in `include/linux/in.h`).
    #[inline(always)]
    fn ports<F: Frame + ?Sized>(&self, policy: Policy, frame: &F) -> Result<Transport, NoTransport> {
        if policy != Policy::Layer34 {
            return Err(NoTransport::Policy);
        }
        let word = |offset| frame.words(offset).map(|[word]| word).ok_or(NoTransport::Truncated);
        match self.protocol? {
            protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE => {
                Ok(Transport::Ports(TransportPorts(word(self.end)?.to_ne_bytes())))
            }
            protocol::ESP => Ok(Transport::Spi(u32::from_be(word(self.end)?))),
            protocol::AH => Ok(Transport::Spi(u32::from_be(word(self.end + 4)?))),
            other => Err(NoTransport::Protocol(other)),
        }
    }
}

/// Whether an ICMP or ICMPv6 message quotes a packet (`icmp_is_err` in `include/linux/icmp.h`, `icmpv6_is_err` in
/// `include/linux/icmpv6.h`). The protocol counts, not the version of the IP header before it.
#[inline(always)]
const fn is_error(protocol: u8, kind: u8) -> bool {
    if protocol == protocol::ICMP { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { matches!(kind, 1..=4) }
}

/// Whether a message has an identifier: echo, timestamp and their answers in ICMP, echo and its answer in ICMPv6. As in
/// the kernel's flow dissector, the types of both count in both.
#[inline(always)]
const fn has_identifier(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 13 | 14 | 128 | 129)
}
