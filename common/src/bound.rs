//! What sockets bound to a port wait for. A frame of such an EtherType reaches the port's own sockets, whatever else
//! becomes of it. The kernel's own bonding does the same for sockets that are bound to an interface and a protocol.

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use crate::{
    MAX_PORTS, PortId,
    vlan::{CUSTOMER, SERVICE},
};

/// The least EtherType (IEEE 802.3-2022, 3.2.6); what is below is a length.
const LEAST: u16 = 0x0600;
/// What the kernel calls frames that have a length: `ETH_P_802_3`, raw IPX.
const RAW: u16 = 0x0001;
/// `ETH_P_802_2`, all others.
const LLC: u16 = 0x0004;

/// EtherTypes of the protocols by which a host answers. The port's own stack must not answer such frames: they are the
/// aggregate's.
const ANSWERING: [u16; 3] = [0x0800, 0x0806, 0x86dd];

/// Whether IPv4, ARP or IPv6 of the host take frames of this EtherType.
#[inline(always)]
#[must_use]
pub const fn is_answered(ethertype: u16) -> bool {
    matches!(ethertype, 0x0800 | 0x0806 | 0x86dd)
}

/// The EtherTypes that sockets bound to one port wait for, in one word: four at most; more than four count as all.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct EtherTypes(pub u64);

impl EtherTypes {
    /// None.
    pub const NONE: Self = Self(0);

    /// All but IPv4, ARP and IPv6, in the place of one. No protocol has the number (IANA: reserved).
    const ANY: u16 = 0xffff;

    /// From all that are wanted; 0 is no EtherType.
    #[must_use]
    pub fn of(wanted: impl IntoIterator<Item = u16>) -> Self {
        let mut all = Self::NONE;
        for ethertype in wanted {
            if ethertype != 0 && !all.contain(ethertype) && !all.add(ethertype) {
                all = all.any_of_the_rest();
                all.add(ethertype);
            }
        }
        all
    }

    /// Whether this is one of them.
    #[inline(always)]
    #[must_use]
    pub const fn contain(self, ethertype: u16) -> bool {
        let mut rest = self.0;
        while rest != 0 {
            #[allow(clippy::cast_possible_truncation, reason = "the lowest is meant")]
            let one = rest as u16;
            if one == ethertype || one == Self::ANY && !is_answered(ethertype) {
                return true;
            }
            rest >>= u16::BITS;
        }
        false
    }

    /// Whether the kernel may take a frame for one of these: by the 16 bits where its EtherType stands, and those
    /// behind a tag, if these are one. A tag may be the frame's outermost, or one within another that the card took
    /// out; and what is a length stands for one of two protocols. Yes, if in doubt.
    #[inline(always)]
    #[must_use]
    pub const fn may_contain(self, ethertype: u16, behind_tag: u16) -> bool {
        self.may_be(ethertype) || matches!(ethertype, CUSTOMER | SERVICE) && self.may_be(behind_tag)
    }

    /// The same of a frame that is known to have no tag there.
    #[inline(always)]
    const fn may_be(self, ethertype: u16) -> bool {
        if ethertype < LEAST {
            return self.contain(RAW) || self.contain(LLC);
        }
        self.contain(ethertype)
    }

    /// Takes one more in; says whether there was room. What is in [`Self::ANY`] is in already.
    fn add(&mut self, ethertype: u16) -> bool {
        let free = self.0 >> (u64::BITS - u16::BITS) == 0;
        if free && !self.contain(ethertype) {
            self.0 = self.0 << u16::BITS | u64::from(ethertype);
        }
        free
    }

    /// The same with [`Self::ANY`] for all that it covers.
    fn any_of_the_rest(self) -> Self {
        let answered = ANSWERING.into_iter().filter(|ethertype| self.contain(*ethertype));
        answered.fold(Self(Self::ANY.into()), |all, ethertype| Self(all.0 << u16::BITS | u64::from(ethertype)))
    }
}

/// The value of the map `BOUND` (an array of one entry). Written by the controller, a word at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Bound {
    /// A bit for each slot with an entry below that is not empty: programs look no further while there is none.
    pub any: u64,
    /// What sockets bound to the port of each slot wait for.
    pub slots: [EtherTypes; MAX_PORTS],
}

// As docs/maps.md has it.
const _: () = assert!(size_of::<Bound>() == 520 && offset_of!(Bound, any) == 0 && offset_of!(Bound, slots) == 8);

impl Bound {
    /// Nobody waits for anything.
    pub const NOTHING: Self = Self { any: 0, slots: [EtherTypes::NONE; MAX_PORTS] };

    /// From what is wanted of each port.
    #[must_use]
    pub fn of(ports: impl IntoIterator<Item = (PortId, EtherTypes)>) -> Self {
        let mut all = Self::NOTHING;
        for (port, ethertypes) in ports {
            if ethertypes != EtherTypes::NONE {
                all.any |= port.bit();
                all.slots[port.index()] = ethertypes;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    extern crate std;

    const PTP: u16 = 0x88f7;
    const FIP: u16 = 0x8914;
    const CFM: u16 = 0x8902;
    const EAPOL: u16 = 0x888e;
    const AOE: u16 = 0x88a2;
    const ARP: u16 = 0x0806;

    #[test]
    fn up_to_four_are_told_apart() {
        let four = EtherTypes::of([PTP, FIP, PTP, 0, CFM, ARP]);
        assert!([PTP, FIP, CFM, ARP].iter().all(|ethertype| four.contain(*ethertype)));
        assert!([EAPOL, AOE, 0x0800, 0x86dd, 0].iter().all(|ethertype| !four.contain(*ethertype)), "{four:x?}");
    }

    #[test]
    fn of_more_than_four_none_is_left_out_and_what_a_host_answers_is_named() {
        let many = EtherTypes::of([PTP, FIP, CFM, EAPOL, ARP, AOE]);
        assert!([PTP, FIP, CFM, EAPOL, AOE, ARP].iter().all(|ethertype| many.contain(*ethertype)));
        assert!(!many.contain(0x0800) && !many.contain(0x86dd), "{many:x?}");
    }

    #[test]
    fn before_the_kernel_has_looked_all_is_contained_that_it_may_take_a_frame_for() {
        let ptp = EtherTypes::of([PTP]);
        for tag in [CUSTOMER, SERVICE] {
            assert!(ptp.may_contain(PTP, AOE) && ptp.may_contain(tag, PTP) && !ptp.may_contain(tag, AOE));
            assert!(EtherTypes::of([tag]).may_contain(tag, AOE), "the card took out the one around it");
        }
        assert!(!ptp.may_contain(AOE, PTP), "it stands behind no tag");
        for waited in [RAW, LLC] {
            let waited = EtherTypes::of([waited]);
            assert!(waited.may_contain(46, 0) && waited.may_contain(CUSTOMER, 1500) && !waited.may_contain(LEAST, 0));
        }
        assert!(!EtherTypes::NONE.may_contain(46, 46) && !ptp.may_contain(46, PTP));
    }

    #[test]
    fn nothing_is_waited_for_where_nobody_is() {
        assert_eq!(EtherTypes::of([]), EtherTypes::NONE);
        assert!(!EtherTypes::NONE.contain(PTP) && !EtherTypes::NONE.contain(0));
        let bound = Bound::of([(PortId(5), EtherTypes::of([PTP])), (PortId(6), EtherTypes::NONE)]);
        assert_eq!((bound.any, bound.slots[5], bound.slots[6]), (1 << 5, EtherTypes::of([PTP]), EtherTypes::NONE));
    }

    proptest! {
        #[test]
        fn whatever_is_wanted_is_contained(wanted in proptest::collection::vec(
            prop_oneof![any::<u16>(), proptest::sample::select(ANSWERING.to_vec())], 0..12,
        )) {
            let all = EtherTypes::of(wanted.iter().copied());
            let set: BTreeSet<u16> = wanted.into_iter().filter(|ethertype| *ethertype != 0).collect();
            let missing: Vec<_> = set.iter().filter(|ethertype| !all.contain(**ethertype)).collect();
            prop_assert!(missing.is_empty(), "{:x?} lacks {:x?}", all, missing);
            for answered in ANSWERING {
                prop_assert_eq!(all.contain(answered), set.contains(&answered));
            }
            if set.len() <= 4 && !set.contains(&0xffff) {
                prop_assert!((1..=u16::MAX).filter(|ethertype| all.contain(*ethertype)).eq(set.iter().copied()));
            }
        }
    }
}
