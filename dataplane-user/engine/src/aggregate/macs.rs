//! Who has which MAC ([`MacPolicy`]).

use aggctl_common::{Destination, Mac};

use crate::{
    action::{Action, Notice},
    aggregate::{
        Aggregate,
        port::{Port, unmet_in_words},
        setting::{PortSetting, SettingVerdict},
    },
    config::MacPolicy,
};

/// The aggregate's MAC, where it is that of the active port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnMac {
    setting: PortSetting<Mac>,
    /// The one before the present one, to which neighbours may still send.
    former: Option<Mac>,
}

impl Aggregate {
    /// The MAC that a port shall have; `None`: that is not known yet.
    pub(super) fn mac_for(&self, port: &Port) -> Option<Mac> {
        match self.config.mac_policy {
            MacPolicy::SameAll => Some(self.mac),
            MacPolicy::ByActive => Some(port.own_mac),
            MacPolicy::OnlyActive => self.active_port().map(|active| match () {
                () if port.id == active.id => self.mac,
                // The one that the aggregate has its MAC from changes with the active port, as in bonding.
                () if port.own_mac == self.mac => active.own_mac,
                () => port.own_mac,
            }),
        }
    }

    /// The aggregate was seen with this MAC, or is given it.
    pub(super) fn take_mac(&mut self, mac: Mac) {
        if self.mac != mac {
            self.own_mac.former = Some(self.mac);
            (self.mac, self.new_mac) = (mac, true);
        }
    }

    /// That the aggregate's MAC is not that of the active port, and is not set at present, in words.
    pub(super) fn unfulfilled_mac(&self) -> Option<String> {
        let unmet = self.own_mac.setting.unmet(self.now);
        unmet_in_words("MAC", &self.config.name, self.now, unmet, |mac| mac.to_string())
    }

    /// The MAC to which neighbours may still send, as the table has it; 0: none.
    pub(super) fn former_mac(&self) -> u64 {
        let former = self.own_mac.former.filter(|_| self.config.mac_policy == MacPolicy::ByActive);
        former.map_or(0, |mac| Destination::from(mac).word())
    }

    /// A port with this MAC of its own is none any more: what is sent to that is no business of the aggregate's.
    pub(super) fn forget_mac(&mut self, own: Mac) {
        self.own_mac.former = self.own_mac.former.filter(|former| *former != own);
    }

    /// Gives the aggregate the MAC of the active port, where the policy says so. `fresh`: the aggregate was reported
    /// just now. The table follows at once, so that what comes to either MAC is received.
    pub(super) fn settle_mac(&mut self, fresh: bool, actions: &mut Vec<Action>) {
        if self.config.mac_policy != MacPolicy::ByActive || !self.config.wiring.has_pair() {
            self.own_mac = OwnMac::default();
            return;
        }
        let active = self.active_port().map(|port| port.own_mac);
        let (Some(mac), Some(interface)) = (active, self.interface) else { return };
        if self.own_mac.setting.check(self.now, mac, interface.mac, fresh) == SettingVerdict::Leave {
            return;
        }
        actions.push(Action::SetAggregateMac { mac });
        actions.push(Action::Notice(Notice::Mac { from: interface.mac, to: mac }));
        self.take_mac(mac);
        self.publish(false, actions);
    }
}
