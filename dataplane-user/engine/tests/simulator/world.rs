//! The host that the engine believes to run on: interfaces with links and settings, and what may happen to them.

use std::time::Duration;

use aggctl_common::{IfIndex, Mac, PortId};
use aggctl_engine::{
    Action, Event,
    aggregate::Memory,
    config::{AggregateConfig, LinkWatch, MacPolicy, PortConfig, Reselect, Toggle},
    event::{AggregateState, LinkState, Member, OwnFlags},
    hold_down::{FlapRule, HoldDown},
    host::MtuLimits,
    prober::{PortFindings, WatchFinding},
    watches::{WatchConfig, WatchPolicy, Watches},
};

use crate::rng::Rng;

/// An interface that is, or may become, a port.
#[derive(Clone, Debug)]
pub struct Nic {
    pub id: PortId,
    pub member: bool,
    pub present: bool,
    pub state: LinkState,
    /// What its owner wants, as the engine has it.
    pub own: OwnFlags,
    /// The driver takes no settings.
    pub stubborn: bool,
    /// The driver refuses a larger MTU than this one, which it does not say.
    pub largest_mtu: u32,
}

impl Nic {
    fn member(&self, config: PortConfig) -> Member {
        Member { id: self.id, ifindex: self.state.ifindex, config, own: self.own, mac: self.own_mac() }
    }

    /// The MAC that it has when it is no port.
    pub fn own_mac(&self) -> Mac {
        mac(u64::from(self.id.0) + 1)
    }

    /// Whether its driver takes this MTU.
    pub fn takes(&self, mtu: u32) -> bool {
        mtu <= self.largest_mtu && self.state.mtu_limits.closest(mtu) == mtu
    }
}

pub struct World {
    pub rng: Rng,
    pub nics: Vec<Nic>,
    pub config: AggregateConfig,
    pub interface: AggregateState,
    /// The aggregate's own interface refuses another MAC.
    pub keeps_mac: bool,
    pub now: Duration,
    next_ifindex: u32,
}

pub fn name(id: PortId) -> String {
    format!("eth{id}")
}

/// Some watches.
fn watches(rng: &mut Rng) -> Watches {
    let texts = ["link", "link", "link+arp=192.0.2.1", "arp=192.0.2.1", "arp=192.0.2.1+traffic", "ns=fe80::1+errors"];
    rng.pick(&texts).parse().expect("watches")
}

fn mac(last: u64) -> Mac {
    Mac([2, 0, 0, 0, 0, last as u8])
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = rng.below(8) + 1;
        let mut world = Self {
            config: AggregateConfig::new("agg0", Vec::new()),
            interface: AggregateState { admin_up: true, promiscuity: 0, mac: mac(0), mtu: 1500 },
            keeps_mac: false,
            now: Duration::from_millis(rng.below(10_000)),
            next_ifindex: 100,
            nics: Vec::new(),
            rng,
        };
        for slot in 0..count {
            let ifindex = world.new_ifindex();
            let up = world.rng.below(3) > 0;
            let state = LinkState {
                ifindex,
                admin_up: !world.rng.once_in(10),
                carrier: up,
                promisc: world.rng.once_in(4),
                allmulti: world.rng.once_in(4),
                mac: mac(slot + 1),
                mtu: 1500,
                mtu_limits: MtuLimits { min: 68, max: world.rng.pick(&[0, 0, 0, 65535, 2000]) },
                speed_mbps: world.rng.pick(&[None, Some(100), Some(1000)]),
                full_duplex: world.rng.pick(&[None, Some(false), Some(true)]),
                membership: None,
                vlan_filter_fixed: world.rng.once_in(4),
            };
            let stubborn = world.rng.once_in(10);
            let id = PortId(slot as u8);
            let largest_mtu = world.rng.pick(&[9000, 9000, 9000, 2000]);
            let present = !world.rng.once_in(12);
            let own = OwnFlags { promisc: state.promisc, allmulti: state.allmulti };
            world.nics.push(Nic { id, member: true, present, state, own, stubborn, largest_mtu });
            let config = world.port_config(id);
            world.config.ports.push(config);
        }
        world.randomise_config();
        world
    }

    pub fn members(&self) -> Vec<Member> {
        let member = |config: &PortConfig| {
            let nic = self.nics.iter().find(|nic| name(nic.id) == config.name).expect("a nic for each port");
            nic.member(config.clone())
        };
        self.config.ports.iter().map(member).collect()
    }

    pub fn memory(&mut self) -> Memory {
        let active = self.rng.once_in(2).then(|| PortId(self.rng.below(8) as u8));
        let unwell = (0..8).map(PortId).filter(|_| self.rng.once_in(4)).collect();
        Memory { active, by_hand: self.rng.once_in(4), unwell, ..Memory::default() }
    }

    fn new_ifindex(&mut self) -> IfIndex {
        self.next_ifindex += 1;
        IfIndex(self.next_ifindex)
    }

    fn port_config(&mut self, id: PortId) -> PortConfig {
        let priority = self.rng.pick(&[0, 0, 0, -5, 10, 100]);
        let watches = self.rng.once_in(4).then(|| watches(&mut self.rng));
        PortConfig {
            priority,
            sticky: self.rng.once_in(8),
            watches,
            enabled: !self.rng.once_in(8),
            ..PortConfig::new(name(id))
        }
    }

    fn randomise_config(&mut self) {
        let rng = &mut self.rng;
        let config = &mut self.config;
        config.primary = rng.once_in(2).then(|| name(PortId(rng.below(8) as u8)));
        config.reselect = rng.pick(&[Reselect::Always, Reselect::Always, Reselect::Better, Reselect::Failure]);
        config.min_ports = rng.pick(&[1, 1, 1, 2, 3]);
        let delay = [0, 0, 1, 50, 200, 500];
        config.link_watch = LinkWatch { up_delay_ms: rng.pick(&delay), down_delay_ms: rng.pick(&delay), poll_ms: 10 };
        config.announce.count = rng.pick(&[0, 1, 3, 3, 5]);
        config.announce.interval_ms = rng.pick(&[0, 1, 100, 100, 300]);
        config.announce.groups = rng.pick(&[0, 1, 1, 2]);
        let rule = FlapRule {
            changes: rng.pick(&[2, 3, 5]),
            window_s: rng.pick(&[1, 3, 60]),
            for_s: rng.pick(&[1, 2, 10, 120]),
        };
        config.hold_down = if rng.once_in(2) { HoldDown::Off } else { HoldDown::By(rule) };
        config.watches = watches(rng);
        config.watch_policy = rng.pick(&[WatchPolicy::All, WatchPolicy::Any]);
        config.mac_policy = rng.pick(&[MacPolicy::SameAll, MacPolicy::ByActive, MacPolicy::OnlyActive]);
        config.promisc = rng.pick(&[Toggle::Auto, Toggle::Auto, Toggle::On, Toggle::Off]);
        config.allmulti = rng.pick(&[Toggle::Auto, Toggle::On, Toggle::Off]);
    }

    /// Which flags of a port the aggregate needs.
    pub fn needs(&self, nic: &Nic) -> OwnFlags {
        let foreign_macs = self.config.mac_policy != MacPolicy::SameAll;
        let promiscuous = nic.state.vlan_filter_fixed || self.interface.promiscuity > 0 || foreign_macs;
        OwnFlags {
            promisc: self.config.promisc == Toggle::On || self.config.promisc == Toggle::Auto && promiscuous,
            allmulti: self.config.allmulti != Toggle::Off,
        }
    }

    /// What a query of this interface shows.
    pub fn report(&self, nic: usize) -> Event {
        let Nic { id, present, state, .. } = self.nics[nic];
        if present { Event::Link { port: id, link: state } } else { Event::Gone { port: id } }
    }

    /// Something happens; mostly to links.
    pub fn happen(&mut self) -> Event {
        let nic = self.rng.below(self.nics.len() as u64) as usize;
        match self.rng.below(100) {
            0..40 => {
                self.nics[nic].state.carrier = !self.rng.once_in(3);
                self.report(nic)
            }
            40..50 => self.report(nic),
            50..60 => self.watched(nic),
            60..65 => {
                self.nics[nic].state.admin_up = !self.rng.once_in(4);
                self.report(nic)
            }
            65..70 => {
                // Unplugged or plugged in, seen or (when already plugged in again) not.
                let unseen = self.rng.once_in(3);
                if unseen || !self.nics[nic].present {
                    self.nics[nic].state.ifindex = self.new_ifindex();
                    self.nics[nic].state.mac = mac(nic as u64 + 1);
                }
                self.nics[nic].present = unseen || !self.nics[nic].present || !self.rng.once_in(3);
                self.report(nic)
            }
            70..75 => {
                let state = &mut self.nics[nic].state;
                state.speed_mbps = self.rng.pick(&[None, Some(100), Some(1000)]);
                state.promisc ^= self.rng.once_in(3);
                state.allmulti ^= self.rng.once_in(3);
                state.mtu = self.rng.pick(&[state.mtu, 1400]);
                self.report(nic)
            }
            75..79 => {
                self.interface.promiscuity = self.rng.below(2) as u32;
                self.interface.mtu = self.rng.pick(&[1500, 9000]);
                self.keeps_mac = self.rng.once_in(4);
                if self.rng.once_in(3) {
                    self.interface.mac = mac(200 + self.rng.below(3));
                }
                Event::Aggregate(self.interface)
            }
            79..87 => Event::Activate { port: PortId(self.rng.below(8) as u8) },
            87..88 => Event::ChooseAgain,
            88..91 => self.configure(),
            91..95 => self.add_or_remove(nic),
            _ => Event::Tick,
        }
    }

    /// The watches of a port speak; sometimes of a link that was lost since, or will be.
    fn watched(&mut self, nic: usize) -> Event {
        let port = self.nics[nic].id;
        let own = self.config.ports.iter().find(|config| config.name == name(port));
        let watches = own.map_or(&self.config.watches, |own| self.config.watches_of(own)).clone();
        let finding = |watch: &WatchConfig| WatchFinding {
            watch: watch.clone(),
            up: !self.rng.once_in(3),
            why: String::from("so it is"),
        };
        let findings = watches.beyond_link().map(finding).collect();
        let epoch = self.rng.below(4);
        Event::Watched(PortFindings { port, epoch, findings })
    }

    fn configure(&mut self) -> Event {
        if self.rng.once_in(2) {
            self.randomise_config();
        } else {
            self.config.primary = self.rng.once_in(2).then(|| name(PortId(self.rng.below(8) as u8)));
        }
        for index in 0..self.config.ports.len() {
            if self.rng.once_in(4) {
                let id = self.nics.iter().find(|nic| name(nic.id) == self.config.ports[index].name).unwrap().id;
                self.config.ports[index] = self.port_config(id);
            }
        }
        Event::Configure(self.config.clone())
    }

    fn add_or_remove(&mut self, nic: usize) -> Event {
        let id = self.nics[nic].id;
        let was_member = self.nics[nic].member;
        self.nics[nic].member = !was_member || !self.rng.once_in(4);
        if was_member && self.nics[nic].member {
            return self.report(nic);
        }
        if self.nics[nic].member {
            let config = self.port_config(id);
            self.config.ports.push(config.clone());
            let nic = &mut self.nics[nic];
            nic.own = OwnFlags { promisc: nic.state.promisc, allmulti: nic.state.allmulti };
            Event::PortAdded(nic.member(config))
        } else {
            self.config.ports.retain(|port| port.name != name(id));
            Event::PortRemoved { port: id }
        }
    }

    /// Carries out an action. What the engine must be told of it at once is returned.
    pub fn apply(&mut self, action: &Action) -> Option<Event> {
        let (port, set): (PortId, &dyn Fn(&mut LinkState)) = match action {
            Action::SetPromisc { port, on } => (*port, &|state| state.promisc = *on),
            Action::SetAllmulti { port, on } => (*port, &|state| state.allmulti = *on),
            Action::SetPortMac { port, mac } => (*port, &|state| state.mac = *mac),
            Action::SetPortMtu { port, mtu } => (*port, &|state| state.mtu = *mtu),
            Action::KeepOwnFlags { port, own } => {
                self.nics.iter_mut().filter(|nic| nic.id == *port).for_each(|nic| nic.own = *own);
                return None;
            }
            Action::SetAggregateMac { mac } => {
                if !self.keeps_mac {
                    self.interface.mac = *mac;
                }
                return Some(Event::Aggregate(self.interface));
            }
            Action::SetAggregateMtu { mtu } => {
                self.interface.mtu = *mtu;
                return Some(Event::Aggregate(self.interface));
            }
            Action::Publish(_)
            | Action::PublishFallbackOrders(_)
            | Action::PublishBuckets(_)
            | Action::PublishRotation(_)
            | Action::SetCarrier(_)
            | Action::SetDriverActive { .. }
            | Action::Announce { .. }
            | Action::Notice(_) => return None,
        };
        let nic = self.nics.iter_mut().find(|nic| nic.id == port).expect("a port that exists");
        assert!(nic.member && nic.present, "{action:?} for an interface that is not there");
        if let Action::SetPortMtu { port, mtu } = *action
            && !nic.takes(mtu)
        {
            return Some(Event::MtuRefused { port, mtu, why: "no".to_owned() });
        }
        if !nic.stubborn {
            set(&mut nic.state);
        }
        None
    }
}
