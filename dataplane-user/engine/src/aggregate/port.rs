//! What the engine knows about one port.

use std::time::Duration;

use aggctl_common::{IfIndex, Mac, PortId};

use crate::{
    action::{Action, Notice},
    aggregate::{
        LeftFlags,
        flag::Flag,
        setting::{PortSetting, SettingVerdict, UnmetSetting},
    },
    config::PortConfig,
    event::{LinkState, Member, OwnFlags},
    hold_down::Damper,
    prober::WatchFinding,
    select::Candidate,
    watch::{Watch, WatchedLink},
    watches::WatchConfig,
};

/// Whether a port's interface is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing is known of it yet.
    Unknown,
    /// There, and last reported so.
    Present(LinkState),
    /// Gone.
    Gone,
}

/// A port.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub id: PortId,
    pub config: PortConfig,
    pub ifindex: IfIndex,
    /// The MAC that it had before it became a port.
    pub own_mac: Mac,
    pub presence: Presence,
    pub watch: Watch,
    /// What its watches beyond the link say since that came up.
    pub findings: Vec<WatchFinding>,
    /// Whether a watch that has not spoken yet is taken to find it well.
    pub trusted: bool,
    /// How often its link was lost for good.
    pub epoch: u64,
    pub link_failures: u64,
    /// Whether it changes too often.
    pub damper: Damper,
    /// Whether it could be used when the last table was made, but for being held down, or disabled by hand.
    pub able: bool,
    /// Whether it was usable when the last table was made.
    pub usable: bool,
    /// Until when it accepts unicast although it is not active any more. Only while it could be used.
    pub accept_until: Option<Duration>,
    promisc: Flag,
    allmulti: Flag,
    mac: PortSetting<Mac>,
    mtu: PortSetting<u32>,
}

/// What the aggregate needs of the settings of a port; `None`: not known, so left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedSettings {
    pub promisc: Option<bool>,
    pub allmulti: bool,
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
}

impl Port {
    /// `left`: how a former controller left its flags; `trusted`: whether its watches found it well then.
    pub fn new(member: Member, link_failures: u64, left: LeftFlags, trusted: bool) -> Self {
        Self {
            id: member.id,
            config: member.config,
            ifindex: member.ifindex,
            own_mac: member.mac,
            presence: Presence::Unknown,
            watch: Watch::default(),
            findings: Vec::new(),
            trusted,
            epoch: 0,
            link_failures,
            damper: Damper::default(),
            able: false,
            usable: false,
            accept_until: None,
            promisc: Flag::new(member.own.promisc, left.promisc),
            allmulti: Flag::new(member.own.allmulti, left.allmulti),
            mac: PortSetting::default(),
            mtu: PortSetting::default(),
        }
    }

    /// The state last reported, while the interface is there.
    pub fn reported(&self) -> Option<&LinkState> {
        match &self.presence {
            Presence::Present(state) => Some(state),
            Presence::Unknown | Presence::Gone => None,
        }
    }

    /// Whether the link is up, before any delay.
    pub fn raw_up(&self) -> bool {
        self.reported().is_some_and(|state| state.admin_up && state.carrier)
    }

    /// Whether only the down-delay keeps the port usable.
    pub fn is_failing(&self) -> bool {
        matches!(self.watch.link(), WatchedLink::Failing { .. })
    }

    /// Takes in a report. `first_look`: the engine has just started, so no delay: what is found may have been so for
    /// long.
    pub fn link(&mut self, now: Duration, state: LinkState, first_look: bool) {
        let was_up = self.raw_up();
        let first = self.presence == Presence::Unknown;
        self.presence = Presence::Present(state);
        self.ifindex = state.ifindex;
        let up = self.raw_up();
        self.link_failures += u64::from(was_up && !up);
        if first && first_look {
            self.watch = Watch::found(up);
            self.trusted &= up;
        } else if state.admin_up {
            self.watch.report(now, up);
        } else {
            self.watch.give_up();
        }
    }

    /// Whether a watch beyond the link finds it well.
    pub fn finds_well(&self, watch: &WatchConfig) -> bool {
        self.findings.iter().find(|finding| finding.watch == *watch).map_or(self.trusted, |finding| finding.up)
    }

    /// If its link was lost for good, what was found out about what is behind it is worth nothing.
    pub fn forget_if_lost(&mut self) {
        if self.watch.link() == WatchedLink::Down && (self.trusted || !self.findings.is_empty()) {
            (self.trusted, self.epoch) = (false, self.epoch + 1);
            self.findings.clear();
        }
    }

    /// The interface went away.
    pub fn gone(&mut self) {
        self.link_failures += u64::from(self.raw_up());
        self.presence = Presence::Gone;
        self.ifindex = IfIndex::NONE;
        self.watch.give_up();
        self.promisc.forget();
        self.allmulti.forget();
        self.mac = PortSetting::default();
        self.mtu = PortSetting::default();
    }

    /// This port as a candidate for the active one.
    pub fn candidate(&self, passed_over: u64) -> Candidate<'_> {
        let state = self.reported();
        Candidate {
            id: self.id,
            config: &self.config,
            usable: self.usable,
            failing: self.is_failing(),
            held: self.damper.hold().is_some(),
            passed_over: passed_over & self.id.bit() != 0,
            speed_mbps: state.and_then(|state| state.speed_mbps),
            full_duplex: state.and_then(|state| state.full_duplex),
        }
    }

    /// What its owner wants of its flags.
    pub fn own_flags(&self) -> OwnFlags {
        OwnFlags { promisc: self.promisc.own(), allmulti: self.allmulti.own() }
    }

    /// Its flags as they are left to the next controller.
    pub fn left_flags(&self) -> LeftFlags {
        LeftFlags { promisc: self.promisc.left(), allmulti: self.allmulti.left() }
    }

    /// The settings that are not as they shall be, and are not asked for at present, in words.
    pub fn unfulfilled(&self, now: Duration) -> Vec<String> {
        let name = &self.config.name;
        let all = [
            unmet_in_words("MAC", name, now, self.mac.unmet(now), |mac| mac.to_string()),
            unmet_in_words("MTU", name, now, self.mtu.unmet(now), |mtu| mtu.to_string()),
            unmet_in_words("promiscuous mode", name, now, self.promisc.unmet(now), on_off),
            unmet_in_words("all-multicast mode", name, now, self.allmulti.unmet(now), on_off),
        ];
        all.into_iter().flatten().collect()
    }

    /// Asks for each setting that is not as it shall be. `fresh`: the port's state was reported just now.
    pub fn settle_settings(&mut self, now: Duration, wish: &WantedSettings, fresh: bool, actions: &mut Vec<Action>) {
        let Presence::Present(state) = self.presence else { return };
        let (port, own) = (self.id, self.own_flags());
        let mut put = |verdict, setting: &str, action| {
            if verdict == SettingVerdict::PutBack {
                let notice = Notice::PutBack { port: self.config.name.clone(), setting: setting.to_owned() };
                actions.push(Action::Notice(notice));
            }
            if verdict != SettingVerdict::Leave {
                actions.push(action);
            }
        };
        // Before the MAC: frames to another one must be let in from then on.
        if let Some(needed) = wish.promisc {
            let (verdict, on) = self.promisc.check(now, needed, state.promisc, fresh);
            put(verdict, "promiscuous mode", Action::SetPromisc { port, on });
        }
        if let Some(mac) = wish.mac {
            put(self.mac.check(now, mac, state.mac, fresh), "MAC", Action::SetPortMac { port, mac });
        }
        if let Some(mtu) = wish.mtu {
            put(self.mtu.check(now, mtu, state.mtu, fresh), "MTU", Action::SetPortMtu { port, mtu });
        }
        let (verdict, on) = self.allmulti.check(now, wish.allmulti, state.allmulti, fresh);
        put(verdict, "all-multicast mode", Action::SetAllmulti { port, on });
        if self.own_flags() != own {
            actions.push(Action::KeepOwnFlags { port, own: self.own_flags() });
        }
    }
}

/// That a setting is not as it shall be, and is not asked for at present, in words.
pub(super) fn unmet_in_words<T>(
    setting: &str,
    of: &str,
    now: Duration,
    unmet: Option<UnmetSetting<T>>,
    word: impl FnOnce(T) -> String,
) -> Option<String> {
    Some(match unmet? {
        UnmetSetting::Unsupported(wanted) => {
            format!("{setting} of {of} is not {}: its driver does not do it", word(wanted))
        }
        UnmetSetting::LeftToOthers(wanted, at) => format!(
            "{setting} of {of} is not {}: somebody changes it again and again; it is put back in {} s",
            word(wanted),
            at.saturating_sub(now).as_secs()
        ),
    })
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}
