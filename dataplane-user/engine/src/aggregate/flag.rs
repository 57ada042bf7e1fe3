//! Promiscuous and all-multicast mode of a port, which both its owner and the aggregate may want.
//!
//! The kernel keeps one bit for both (`IFF_PROMISC` and `IFF_ALLMULTI` of `dev->gflags`, net/core/dev.c,
//! `__dev_change_flags`; what tcpdump, bridges and macvlans want is counted beside it and does not matter here). So
//! when others change it, that is the owner's wish from then on, and the bit is set as long as one of the two wants it.
//! An owner who sets a bit that is set already, because the aggregate needs it, changes nothing: there is no event.

use std::time::Duration;

use crate::aggregate::setting::{PortSetting, SettingVerdict, UnmetSetting};

/// One flag of one port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// Whether the owner wants it.
    own: bool,
    setting: PortSetting<bool>,
}

impl Flag {
    /// `left`: how a former controller left it, where that is known.
    pub fn new(own: bool, left: Option<bool>) -> Self {
        Self { own, setting: PortSetting::left_at(left) }
    }

    /// Whether the owner wants it.
    pub fn own(&self) -> bool {
        self.own
    }

    /// How it is, unless others change it.
    pub fn left(&self) -> Option<bool> {
        self.setting.left()
    }

    /// The interface went away: how its successor has it says nothing about the owner's wish.
    pub fn forget(&mut self) {
        self.setting = PortSetting::default();
    }

    /// Compares what shall be with what was reported. What to do, and what the flag shall be.
    pub fn check(&mut self, now: Duration, needed: bool, reported: bool, fresh: bool) -> (SettingVerdict, bool) {
        if self.setting.fulfilled().is_some_and(|seen| seen != reported) {
            self.own = reported;
        }
        let wanted = needed || self.own;
        (self.setting.check(now, wanted, reported, fresh), wanted)
    }

    /// What it shall be, if it is not, and is not asked for at present.
    pub fn unmet(&self, now: Duration) -> Option<UnmetSetting<bool>> {
        self.setting.unmet(now)
    }
}
