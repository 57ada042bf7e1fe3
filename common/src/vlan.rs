//! The VLAN rule: which tag a frame has on the wire, given the one it has on the host, and the other way round.
//!
//! What is decided here for the programs, for announcements and in tests is written out in docs/vlan.md. Link-local
//! control frames ([`crate::control`]) are not subject to it: callers leave them alone.

use core::fmt;

use crate::DropReason;

/// EtherType of an 802.1Q tag (C-tag; IEEE 802.1Q-2022, table 9-1). Every tag that the rule adds has it.
pub const CUSTOMER: u16 = 0x8100;
/// EtherType of an 802.1ad tag (S-tag).
pub const SERVICE: u16 = 0x88a8;
/// Where the EtherType of a frame stands, and so its tag, if it has one: behind the two addresses.
pub const ETHERTYPE_AT: usize = 12;

/// The number of a VLAN, 1 to 4094; 0 says that there is only a priority.
#[repr(transparent)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(pub u16);

impl VlanId {
    /// The bits of a tag that hold it (IEEE 802.1Q-2022, 9.6).
    const MASK: u16 = 0x0fff;
    /// The highest number that a VLAN can have; 4095 is reserved.
    pub const MAX: Self = Self(4094);

    /// Whether a VLAN can have this number.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        1 <= self.0 && self.0 <= Self::MAX.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The outermost tag of a frame, as one word: EtherType in the upper half, priority and VLAN in the lower. One word,
/// because a program that takes two apart reads from its stack what it never wrote there, which kernels before 6.3
/// refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterTag(u32);

impl OuterTag {
    /// From its EtherType ([`CUSTOMER`] or [`SERVICE`]) and its priority (PCP, three bits), drop eligibility (DEI, one
    /// bit) and VLAN (twelve bits).
    #[inline(always)]
    #[must_use]
    pub const fn new(tpid: u16, tci: u16) -> Self {
        Self((tpid as u32) << 16 | tci as u32)
    }

    /// Its EtherType.
    #[inline(always)]
    #[must_use]
    pub const fn tpid(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Priority, drop eligibility and VLAN.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    #[inline(always)]
    #[must_use]
    pub const fn tci(self) -> u16 {
        self.0 as u16
    }

    /// The VLAN; 0: it carries a priority alone.
    #[inline(always)]
    #[must_use]
    pub const fn vid(self) -> VlanId {
        VlanId(self.tci() & VlanId::MASK)
    }

    /// The same priority and drop eligibility, in another VLAN.
    #[inline(always)]
    #[must_use]
    const fn tci_in(self, vid: VlanId) -> u16 {
        self.tci() & !VlanId::MASK | vid.0
    }

    /// The tag within the octets of a frame. `read` gives the 16 bits at an offset from the start of the frame, in the
    /// order of the wire, unless the frame ends before. Where the kernel keeps the outermost tag beside the frame, that
    /// one counts, and not what is found here.
    ///
    /// # Errors
    ///
    /// [`DropReason::Malformed`] if the frame ends within its addresses, its EtherType or its tag.
    #[inline(always)]
    pub fn in_band(read: impl Fn(usize) -> Option<u16>) -> Result<Option<Self>, DropReason> {
        match read(ETHERTYPE_AT) {
            None => Err(DropReason::Malformed),
            Some(tpid @ (CUSTOMER | SERVICE)) => match read(ETHERTYPE_AT + 2) {
                Some(tci) => Ok(Some(Self::new(tpid, tci))),
                None => Err(DropReason::Malformed),
            },
            Some(_) => Ok(None),
        }
    }
}

/// A set of VLANs that the rule can ask, word by word: the VLAN `64 × word + bit` has this bit in this word.
pub trait VlanSet {
    /// The word at `index` (below [`Globals::WORDS`]).
    fn word(&self, index: usize) -> u64;
}

impl VlanSet for [u64; Globals::WORDS] {
    fn word(&self, index: usize) -> u64 {
        self[index]
    }
}

impl<L: VlanSet> VlanSet for &L {
    fn word(&self, index: usize) -> u64 {
        (*self).word(index)
    }
}

/// What the aggregate does about tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanRule<L> {
    /// Frames pass as they are.
    Off,
    /// The host is in one VLAN and sees no tag.
    Access(VlanId),
    /// The host sees the tags of these VLANs, and nothing else.
    Trunk {
        /// The VLANs.
        list: L,
        /// One more, whose frames have no tag on the wire.
        native: Option<VlanId>,
    },
}

/// The words from which a program makes its rule: its read-only globals `VLAN_MODE`, `VLAN_VID` and `VLAN_LIST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Globals {
    /// [`Self::OFF`], [`Self::ACCESS`] or [`Self::TRUNK`]; any other number means off.
    pub mode: u32,
    /// The access VLAN or the native one; 0: none.
    pub vid: u32,
    /// The VLANs of a trunk, see [`VlanSet`].
    pub list: [u64; Self::WORDS],
}

impl Globals {
    /// Words of a set of VLANs.
    pub const WORDS: usize = 64;
    /// Mode of [`VlanRule::Off`].
    pub const OFF: u32 = 0;
    /// Mode of [`VlanRule::Access`].
    pub const ACCESS: u32 = 1;
    /// Mode of [`VlanRule::Trunk`].
    pub const TRUNK: u32 = 2;

    /// The rule that they stand for.
    #[must_use]
    pub fn rule(&self) -> VlanRule<&[u64; Self::WORDS]> {
        VlanRule::from_globals(self.mode, self.vid, &self.list)
    }
}

impl Default for Globals {
    /// No rule.
    fn default() -> Self {
        Self { mode: Self::OFF, vid: 0, list: [0; Self::WORDS] }
    }
}

impl<L: VlanSet> VlanRule<L> {
    /// The rule that the words of [`Globals`] stand for.
    #[inline(always)]
    #[must_use]
    pub fn from_globals(mode: u32, vid: u32, list: L) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "twelve bits are left")]
        let vid = VlanId((vid & VlanId::MASK as u32) as u16);
        match mode {
            Globals::ACCESS => Self::Access(vid),
            Globals::TRUNK => Self::Trunk { list, native: if vid.0 == 0 { None } else { Some(vid) } },
            _ => Self::Off,
        }
    }
}

/// What is done to the outermost tag of a frame that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Nothing.
    Keep,
    /// The frame gets a tag: EtherType [`CUSTOMER`], and these priority and VLAN bits.
    Push(u16),
    /// The tag is taken away.
    Pop,
    /// The tag is replaced by one with EtherType [`CUSTOMER`] and these bits.
    Retag(u16),
}

/// What happens to a frame with this outermost tag that the host sends.
///
/// # Errors
///
/// [`DropReason::Vlan`] if it has no place on the wire.
#[inline(always)]
pub fn on_send(rule: &VlanRule<impl VlanSet>, tag: Option<OuterTag>) -> Result<TagChange, DropReason> {
    match (rule, tag) {
        (VlanRule::Off, _) => Ok(TagChange::Keep),
        (VlanRule::Access(vid), None) => Ok(TagChange::Push(vid.0)),
        (VlanRule::Access(vid), Some(tag)) if tag.vid().0 == 0 => Ok(TagChange::Retag(tag.tci_in(*vid))),
        (VlanRule::Trunk { native: Some(native), .. }, Some(tag)) if tag.vid().0 == native.0 => Ok(TagChange::Pop),
        (VlanRule::Trunk { list, .. }, Some(tag)) if contains(list, tag.vid()) => Ok(TagChange::Keep),
        (VlanRule::Access(_) | VlanRule::Trunk { .. }, _) => Err(DropReason::Vlan),
    }
}

/// What happens to a frame with this outermost tag that a port receives.
///
/// # Errors
///
/// [`DropReason::Vlan`] if it is not for this host.
#[inline(always)]
pub fn on_receive(rule: &VlanRule<impl VlanSet>, tag: Option<OuterTag>) -> Result<TagChange, DropReason> {
    match (rule, tag) {
        (VlanRule::Off, _) => Ok(TagChange::Keep),
        (VlanRule::Access(vid), Some(tag)) if tag.vid().0 == vid.0 => Ok(TagChange::Pop),
        (VlanRule::Trunk { native: Some(native), .. }, None) => Ok(TagChange::Push(native.0)),
        (VlanRule::Trunk { native: Some(native), .. }, Some(tag)) if tag.vid().0 == 0 => {
            Ok(TagChange::Retag(tag.tci_in(*native)))
        }
        (VlanRule::Trunk { native: Some(native), .. }, Some(tag)) if tag.vid().0 == native.0 => Ok(TagChange::Keep),
        (VlanRule::Trunk { list, .. }, Some(tag)) if contains(list, tag.vid()) => Ok(TagChange::Keep),
        (VlanRule::Access(_) | VlanRule::Trunk { .. }, _) => Err(DropReason::Vlan),
    }
}

/// Whether a list has a VLAN. It never has 0, whatever its bits say: that is none.
#[inline(always)]
fn contains(list: &impl VlanSet, vid: VlanId) -> bool {
    vid.is_valid() && list.word(usize::from(vid.0 >> 6) & (Globals::WORDS - 1)) >> (vid.0 & 63) & 1 == 1
}

#[cfg(test)]
mod tests;
