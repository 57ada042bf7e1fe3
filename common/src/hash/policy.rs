//! The hash policies.

use core::fmt;

/// Which fields of a frame are hashed.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// The last octets of both MAC addresses, and the ethertype.
    #[cfg_attr(feature = "serde", serde(rename = "layer2"))]
    Layer2,
    /// The same, and the IP addresses.
    #[cfg_attr(feature = "serde", serde(rename = "layer2+3"))]
    Layer23,
    /// The IP addresses, and the ports or what takes their place. The default.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "layer3+4"))]
    Layer34,
}

impl Policy {
    /// All of them, from the fewest fields to the most.
    pub const ALL: [Self; 3] = [Self::Layer2, Self::Layer23, Self::Layer34];

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
