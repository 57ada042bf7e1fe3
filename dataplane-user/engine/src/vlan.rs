//! What the owner wishes about VLANs (`--vlan`), and what follows from it for programs and announcements.
//!
//! What a rule does to a frame is decided in [`aggctl_common::vlan`] alone.

use std::{fmt, str::FromStr};

use aggctl_common::{
    Destination,
    control::Control,
    vlan::{self, CUSTOMER, ETHERTYPE_AT, Globals, OuterTag, TagChange, VlanId},
};
use serde::{Deserialize, Serialize};

/// What the aggregate does about VLAN tags. Written as on the command line: `off`, `access=VID`, `trunk=LIST` or
/// `trunk=LIST,native=VID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VlanConfig {
    /// Frames pass as they are.
    #[default]
    Off,
    /// The host is in one VLAN and sees no tag.
    Access {
        /// The VLAN.
        vid: VlanId,
    },
    /// The host sees the tags of these VLANs, and nothing else.
    Trunk {
        /// The VLANs.
        list: VlanList,
        /// One more, whose frames have no tag on the wire.
        native: Option<VlanId>,
    },
}

/// What is wrong with a text that should be a VLAN setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVlan {
    /// Not a number that a VLAN can have.
    #[error("'{0}' is no VLAN (1 to 4094)")]
    Number(String),
    /// A range whose end comes before its beginning.
    #[error("'{0}' is no range of VLANs: its end comes before its beginning")]
    Backwards(String),
    /// A list without VLANs.
    #[error("a trunk needs VLANs: trunk=LIST, for example trunk=1-3,10")]
    Empty,
    /// A part that is no setting.
    #[error("'{0}' is no VLAN setting (off, access=VID or trunk=LIST[,native=VID])")]
    Unknown(String),
    /// A second native VLAN.
    #[error("'{0}' is one native VLAN too many")]
    SecondNative(String),
}

/// A set of VLANs. Written as numbers and ranges with commas between them: `1-3,10,20-22`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VlanList(Box<[u64; Globals::WORDS]>);

impl VlanList {
    /// Whether a VLAN is in it.
    #[must_use]
    pub fn contains(&self, vid: VlanId) -> bool {
        self.0.get(usize::from(vid.0 / 64)).is_some_and(|word| word >> (vid.0 % 64) & 1 == 1)
    }

    fn insert(&mut self, vid: u16) {
        if let Some(word) = self.0.get_mut(usize::from(vid / 64)) {
            *word |= 1 << (vid % 64);
        }
    }

    /// Its VLANs as ranges, merged and in ascending order.
    fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for vid in (1..=VlanId::MAX.0).filter(|vid| self.contains(VlanId(*vid))) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == vid => *last = vid,
                _ => ranges.push((vid, vid)),
            }
        }
        ranges
    }
}

impl fmt::Display for VlanList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.ranges().into_iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            match last {
                _ if first == last => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for VlanList {
    type Err = InvalidVlan;

    fn from_str(text: &str) -> Result<Self, InvalidVlan> {
        if text.is_empty() {
            return Err(InvalidVlan::Empty);
        }
        let mut list = Self(Box::new([0; Globals::WORDS]));
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(InvalidVlan::Backwards(part.to_owned()));
            }
            (first.0..=last.0).for_each(|vid| list.insert(vid));
        }
        Ok(list)
    }
}

crate::text::as_text!(VlanList);

impl VlanConfig {
    /// What the programs are given.
    #[must_use]
    pub fn globals(&self) -> Globals {
        match self {
            Self::Off => Globals::default(),
            Self::Access { vid } => Globals { mode: Globals::ACCESS, vid: vid.0.into(), ..Globals::default() },
            Self::Trunk { list, native } => {
                Globals { mode: Globals::TRUNK, vid: native.unwrap_or_default().0.into(), list: *list.0 }
            }
        }
    }

    /// What passes while one rule takes the place of the other: what either lets through, if both leave the tags as
    /// they are; else this rule.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Trunk { list, native }, Self::Trunk { list: more, native: same }) if native == same => {
                let mut words = list.0.clone();
                words.iter_mut().zip(more.0.iter()).for_each(|(word, more)| *word |= more);
                Self::Trunk { list: VlanList(words), native: *native }
            }
            (Self::Off, Self::Trunk { native: None, .. }) | (Self::Trunk { native: None, .. }, Self::Off) => Self::Off,
            _ => self.clone(),
        }
    }

    /// A frame of this host, tagged as on the aggregate's interface, as it is on the wire; `None` if it has no place
    /// there. For frames that do not pass the sending program: announcements and probes.
    #[must_use]
    pub fn on_wire(&self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        /// Octets of a tag.
        const TAG: usize = 4;

        if *self == Self::Off || Control::of(&Destination::from_octets(*frame.first_chunk()?)) != Control::No {
            return Some(frame);
        }
        let octets = |at: usize| frame.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets));
        let tag = OuterTag::in_band(octets).ok()?;
        let (removed, added) = match vlan::on_send(&self.globals().rule(), tag).ok()? {
            TagChange::Keep => return Some(frame),
            TagChange::Push(tci) => (0, Some(tci)),
            TagChange::Pop => (TAG, None),
            TagChange::Retag(tci) => (TAG, Some(tci)),
        };
        let added = added.into_iter().flat_map(|tci| [CUSTOMER, tci]).flat_map(u16::to_be_bytes);
        frame.splice(ETHERTYPE_AT..ETHERTYPE_AT + removed, added);
        Some(frame)
    }
}

impl fmt::Display for VlanConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Access { vid } => write!(f, "access={vid}"),
            Self::Trunk { list, native: None } => write!(f, "trunk={list}"),
            Self::Trunk { list, native: Some(native) } => write!(f, "trunk={list},native={native}"),
        }
    }
}

impl FromStr for VlanConfig {
    type Err = InvalidVlan;

    fn from_str(text: &str) -> Result<Self, InvalidVlan> {
        match text.split_once('=') {
            None if text == "off" => Ok(Self::Off),
            Some(("access", vid)) => Ok(Self::Access { vid: number(vid)? }),
            Some(("trunk", rest)) => trunk(rest),
            _ => Err(InvalidVlan::Unknown(text.to_owned())),
        }
    }
}

/// `LIST[,native=VID]`; the native VLAN may also stand elsewhere in the list.
fn trunk(text: &str) -> Result<VlanConfig, InvalidVlan> {
    let mut native = None;
    let mut listed = Vec::new();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("native", vid)) if native.is_none() => native = Some(number(vid)?),
            Some(("native", _)) => return Err(InvalidVlan::SecondNative(part.to_owned())),
            Some(_) => return Err(InvalidVlan::Unknown(part.to_owned())),
            None => listed.push(part),
        }
    }
    Ok(VlanConfig::Trunk { list: listed.join(",").parse()?, native })
}

/// A VLAN's number: digits alone.
fn number(text: &str) -> Result<VlanId, InvalidVlan> {
    // `parse` alone would take a sign for a part of the number.
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    let vid = text.parse().ok().filter(|_| digits).map(VlanId);
    vid.filter(|vid| vid.is_valid()).ok_or_else(|| InvalidVlan::Number(text.to_owned()))
}

#[cfg(test)]
mod tests;
