//! Frames that a port received, before the kernel makes packets of them (XDP).
//!
//! What is dropped here the receiving program would drop as well, for the same reason: it is the same rule. All else is
//! left to that program, also what cannot be told here: frames shorter than a minimal header with a tag, and which VLAN
//! a frame is of that seems to have no tag, since the card may have taken that out.

use core::hint::cold_path;

use aggctl_common::{
    DropReason, MacAddresses, PortId,
    programs::RxPolicy,
    rule::{self, PortsView, Received, ReceivingPort},
    vlan::{ETHERTYPE_AT, OuterTag},
};
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    programs::XdpContext,
};

use crate::{
    bound, drops,
    linear::{self, Header},
    ports,
    receive::slot,
    vlan,
};

/// What a frame begins with.
#[repr(C)]
struct Beginning {
    /// Where it goes, and where it comes from.
    addresses: MacAddresses,
    /// As they lie: the EtherType; if that is a tag's, what the tag says; and the EtherType behind that.
    types: [u16; 3],
}

// SAFETY: it is made of numbers of two octets.
unsafe impl Header for Beginning {}

impl Beginning {
    /// One of [`Self::types`].
    #[inline(always)]
    fn word(&self, position: usize) -> u16 {
        u16::from_be(self.types[position])
    }

    /// The outermost tag that there is.
    #[inline(always)]
    fn tag(&self) -> Option<OuterTag> {
        // All that is asked for is there.
        OuterTag::in_band(|at| Some(self.word((at - ETHERTYPE_AT) / 2))).ok().flatten()
    }
}

/// The port that this copy of the program is attached to, what it accepts, and the frame that it received.
struct ThisPort<'a>(RxPolicy, &'a Beginning);

impl ReceivingPort for ThisPort<'_> {
    #[inline(always)]
    fn slot(&self) -> PortId {
        slot()
    }

    #[inline(always)]
    fn rx_policy(&self) -> RxPolicy {
        self.0
    }

    #[inline(always)]
    fn table(&self) -> impl PortsView {
        ports::TABLE
    }

    #[inline(always)]
    fn is_awaited(&self) -> bool {
        if !bound::anybody() {
            return false;
        }
        cold_path();
        bound::awaited(slot()).may_contain(self.1.word(0), self.1.word(2))
    }
}

/// Drops what the rules say, and leaves the rest to the receiving program; `TAGS`: goes also by the rule about VLANs.
#[inline(always)]
pub fn receive<const TAGS: bool>(context: &XdpContext, rx_policy: RxPolicy) -> u32 {
    let Some(frame) = linear::header(context) else { return XDP_PASS };
    match check::<TAGS>(rx_policy, frame) {
        Ok(()) => XDP_PASS,
        Err(reason) => {
            drops::count(reason.received_on(slot()));
            XDP_DROP
        }
    }
}

/// Whether it may pass.
#[inline(always)]
fn check<const TAGS: bool>(rx_policy: RxPolicy, frame: &Beginning) -> Result<(), DropReason> {
    match rule::receive(&ThisPort(rx_policy, frame), &frame.addresses)? {
        Received::Aggregate if TAGS => frame.tag().map_or(Ok(()), vlan::check),
        Received::Aggregate | Received::Port | Received::PortAndAggregate { .. } => Ok(()),
    }
}
