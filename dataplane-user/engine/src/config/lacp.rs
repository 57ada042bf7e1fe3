//! LACP of a bonding device that we make.

use serde::{Deserialize, Serialize};

/// How the driver speaks LACP (IEEE 802.1AX) with the partner. Its options are passed on when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LacpConfig {
    /// Whether it does: bonding's mode 802.3ad.
    pub on: bool,
    /// How often the partner shall send. bonding: `lacp_rate`.
    pub rate: LacpRate,
    /// Priority of this system; the lower one's choice of ports counts. 1 to 65535. bonding: `ad_actor_sys_prio`.
    pub system_priority: u16,
    /// Which of several groups of ports is used. bonding: `ad_select`.
    pub select: AdSelect,
}

impl Default for LacpConfig {
    /// What an option is unless it is given: as with bonding.
    fn default() -> Self {
        Self { on: false, rate: LacpRate::default(), system_priority: u16::MAX, select: AdSelect::default() }
    }
}

impl LacpConfig {
    /// The first of its settings that is not as it is by default.
    #[must_use]
    pub fn special(&self) -> Option<&'static str> {
        let default = Self::default();
        let settings = [
            ("lacp-rate", self.rate != default.rate),
            ("system-priority", self.system_priority != default.system_priority),
            ("ad-select", self.select != default.select),
        ];
        settings.into_iter().find_map(|(name, special)| special.then_some(name))
    }
}

/// How often the partner shall send LACPDUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LacpRate {
    /// Every 30 seconds.
    #[default]
    Slow,
    /// Every second.
    Fast,
}

/// Which of several groups of ports is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdSelect {
    /// The one in use, as long as it has a port.
    #[default]
    Stable,
    /// The one with the most bandwidth.
    Bandwidth,
    /// The one with the most ports.
    Count,
}
