//! The hash policies.

use core::fmt;

/// Which fields of a frame are hashed.
///
/// The number is the one in the read-only data of the programs. (The kernel's bonding driver numbers them differently.)
#[repr(u32)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// The last octets of both MAC addresses, and the ethertype.
    #[cfg_attr(feature = "serde", serde(rename = "layer2"))]
    Layer2 = 0,
    /// The same, and the IP addresses.
    #[cfg_attr(feature = "serde", serde(rename = "layer2+3"))]
    Layer23 = 1,
    /// The IP addresses, and the ports or what takes their place. The default.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "layer3+4"))]
    Layer34 = 2,
}

impl Policy {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Layer2, Self::Layer23, Self::Layer34];

    /// The policy of this number, if it is one.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Layer2),
            1 => Some(Self::Layer23),
            2 => Some(Self::Layer34),
            _ => None,
        }
    }

    /// Its name, on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Layer23 => "layer2+3",
            Self::Layer34 => "layer3+4",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_lead_back_to_the_policies() {
        for (number, policy) in (0..).zip(Policy::ALL) {
            assert_eq!(policy as u32, number);
            assert_eq!(Policy::from_number(number), Some(policy));
        }
        assert_eq!(Policy::from_number(3), None);
        assert_eq!(Policy::from_number(u32::MAX), None);
    }
}
