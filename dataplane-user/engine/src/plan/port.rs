//! The settings of a port: what it is made, and how it is made what it was.

use aggctl_common::{IfIndex, Mac, PortId};

use crate::{
    config::{AggregateConfig, Toggle},
    host::{Host, Link},
    plan::{Change, LinkStep, Refusal, Setting, Step, Subject, attach::Taken, kind, layer3, layer3::Transfer, names},
    record::{Identity, Layer3, PortRecord},
};

/// Receive-side merging in hardware, which breaks forwarding.
const LRO: &str = "rx-lro";
/// The filter that lets only the port's own VLANs in.
const VLAN_FILTER: &str = "rx-vlan-filter";
/// The sysctl that takes IPv6 off an interface.
pub(super) const DISABLE_IPV6: &str = "ipv6/disable_ipv6";
/// The sysctl that drops packets whose way back is another.
pub(super) const RP_FILTER: &str = "ipv4/rp_filter";
/// `IN6_ADDR_GEN_MODE_NONE`.
pub(super) const GEN_NONE: u8 = 1;

/// A port while it is planned for.
pub(super) struct Port<'a> {
    pub id: PortId,
    pub link: &'a Link,
    pub identity: Identity,
    pub layer3: Layer3,
}

impl<'a> Port<'a> {
    /// An interface that shall become a port.
    pub fn new(host: &Host, id: PortId, link: &'a Link) -> Self {
        Self { id, link, identity: Identity::of(link), layer3: Layer3::of(host, link.index) }
    }

    /// The interface of a port.
    pub fn known(host: &Host, port: &PortRecord, link: &'a Link) -> Self {
        Self { identity: port.identity.clone(), ..Self::new(host, port.id, link) }
    }

    pub fn subject(&self) -> Subject {
        subject(self.id, &self.identity, self.link)
    }

    /// Whether it has addresses other than a link-local one that the kernel made.
    pub fn has_addresses(&self) -> bool {
        self.layer3.addresses.iter().any(|a| layer3::is_given(a, self.link))
    }

    /// Whether it has anything that must move: addresses, or routes and nexthop objects without any. What routers
    /// advertise to an interface that has no address of its own does not count.
    pub fn carries(&self) -> bool {
        let kept = |r: &_| layer3::is_movable(r, &self.layer3.addresses) && !layer3::is_from_router(r);
        self.has_addresses() || !self.layer3.nexthops.is_empty() || self.layer3.routes.iter().any(kept)
    }

    /// Takes IPv6 and whatever is left above the link off the port, so that it says nothing by itself. Link-local
    /// addresses are removed by steps of their own, so that undoing brings them back without new ones being made.
    pub fn strip(&self, host: &Host) -> Vec<Step> {
        let subject = self.subject();
        let transfer = Transfer {
            order: &host.routes,
            crowded: false,
            what: &self.layer3,
            made_for: &self.layer3.addresses,
            from: self.link.index,
            source: subject.clone(),
            to: subject.clone(),
        };
        let mut steps = Vec::new();
        let generates = self.link.addr_gen_mode.and_then(|mode| Change::between(mode, GEN_NONE));
        steps.extend(generates.map(|mode| Setting::AddrGenMode(mode).of(subject.clone())));
        steps.extend(transfer.delete_routes());
        // The kernel flushes IPv4 neighbours with the last address, so each must be in the journal before; IPv6 ones stay,
        // and are needed as long as the addresses' prefix routes are there.
        steps.extend(transfer.delete_neighbours(false));
        steps.extend(transfer.delete_addresses());
        steps.extend(transfer.delete_neighbours(true));
        steps.extend(sysctl(self.link, DISABLE_IPV6, "1").map(|setting| setting.of(subject)));
        steps
    }

    /// The settings that do no harm while the port carries addresses.
    pub fn open(&self, config: &AggregateConfig, mtu: u32) -> Vec<Step> {
        let link = self.link;
        let is_switched_on = |name: &&str| link.features.get(*name).is_some_and(|feature| feature.on && !feature.fixed);
        let features = [LRO, VLAN_FILTER].into_iter().filter(is_switched_on);
        let mut settings = features.map(|name| feature(name, Change::OFF)).collect::<Vec<_>>();
        settings.extend(Change::between(link.mtu, mtu).map(Setting::Mtu));
        if config.allmulti != Toggle::Off {
            settings.extend(Change::between(link.allmulti, true).map(Setting::Allmulti));
        }
        if config.promisc == Toggle::On || (config.promisc == Toggle::Auto && filters_vlans(link)) {
            settings.extend(Change::between(link.promisc, true).map(Setting::Promisc));
        }
        settings.into_iter().map(|setting| setting.of(self.subject())).collect()
    }

    /// As [`Port::join`], for a port that never carried anything, which is taken down for the moment: else the multicast
    /// reports that IPv6 still has to send (RFC 3810, 6.1: for up to a second after it was told to go) would leave with
    /// the aggregate's MAC, and the switch look for it here.
    pub fn join_in_silence(&self, mac: Mac) -> Vec<Step> {
        let admin = |change| Setting::Admin(change).of(self.subject());
        let mut steps = self.join(mac);
        if self.link.admin_up && self.link.mac != mac {
            steps.insert(0, admin(Change::OFF));
            steps.push(admin(Change::ON));
        }
        steps
    }

    /// The settings for which the port must carry nothing by itself any more.
    pub fn join(&self, mac: Mac) -> Vec<Step> {
        let mac = Change::between(self.link.mac, mac).map(Setting::Mac);
        let up = Change::between(self.link.admin_up, true).map(Setting::Admin);
        mac.into_iter().chain(up).map(|setting| setting.of(self.subject())).collect()
    }
}

/// A port as the subject of a step.
pub(super) fn subject(id: PortId, identity: &Identity, link: &Link) -> Subject {
    Subject::Port { id, index: link.index, name: link.name.clone(), identity: identity.clone() }
}

/// The step that lets network managers have a port again, which may be gone.
pub(super) fn manage(port: &PortRecord) -> Step {
    let (id, name, identity) = (port.id, port.config.name.clone(), port.identity.clone());
    let link = Subject::Port { id, index: port.index.unwrap_or(IfIndex::NONE), name, identity };
    LinkStep::Managed { link, managed: Change::ON }.into()
}

/// This value of a sysctl, if the interface has it with another one.
pub(super) fn sysctl(link: &Link, key: &str, value: &str) -> Option<Setting> {
    let now = link.sysctls.get(key).filter(|now| *now != value)?;
    Some(sysctl_change(key, now, value))
}

/// A sysctl that goes from one value to another.
pub(super) fn sysctl_change(key: &str, from: &str, to: &str) -> Setting {
    Setting::Sysctl { key: key.to_owned(), value: Change { from: from.to_owned(), to: to.to_owned() } }
}

fn feature(name: &str, on: Change<bool>) -> Setting {
    Setting::Feature { name: name.to_owned(), on }
}

/// Whether the interface filters VLANs and cannot be told not to.
pub(super) fn filters_vlans(link: &Link) -> bool {
    link.features.get(VLAN_FILTER).is_some_and(|feature| feature.on && feature.fixed)
}

/// What must be as before, ahead of any address: MAC and MTU, and that the port is up if it was. A driver may take the
/// interface down to change its MAC, which would cost it all its routes.
pub(super) fn restore_link(now: &Link, before: &Link) -> impl Iterator<Item = Setting> {
    let mac = Change::between(now.mac, before.mac).map(Setting::Mac);
    let mtu = Change::between(now.mtu, before.mtu).map(Setting::Mtu);
    let up = (before.admin_up && !now.admin_up).then_some(Setting::Admin(Change::ON));
    [mac, mtu, up].into_iter().flatten()
}

/// Everything else, once the addresses are there.
pub(super) fn restore_rest(now: &Link, before: &Link) -> impl Iterator<Item = Setting> {
    let modes = now.addr_gen_mode.zip(before.addr_gen_mode);
    let mode = modes.and_then(|(now, before)| Change::between(now, before)).map(Setting::AddrGenMode);
    let promisc = Change::between(now.promisc, before.promisc).map(Setting::Promisc);
    let allmulti = Change::between(now.allmulti, before.allmulti).map(Setting::Allmulti);
    let [filter, lro] = [VLAN_FILTER, LRO].map(|name| {
        let (now, before) = now.features.get(name).zip(before.features.get(name))?;
        Some(feature(name, Change::between(now.on, before.on)?))
    });
    [mode, promisc, allmulti, filter, lro].into_iter().flatten()
}

/// Whether `link` may become a port.
pub(super) fn check(host: &Host, link: &Link, taken: &Taken) -> Result<(), Refusal> {
    let port = link.name.clone();
    if link.loopback {
        return Err(Refusal::PortIsLoopback { port });
    }
    if let Some(aggregate) = taken.ports.get(&link.index) {
        return Err(Refusal::PortInAggregate { port, aggregate: aggregate.clone() });
    }
    if taken.names.iter().any(|name| *name == port || names::hidden_name(name) == port) {
        return Err(Refusal::PortIsAggregate { port });
    }
    if !link.ethernet {
        return Err(Refusal::PortNotEthernet { port });
    }
    if let Some(why) = kind::impossible(link) {
        return Err(Refusal::PortImpossible { port, kind: link.kind.clone(), why });
    }
    if let Some(index) = link.master {
        let master = host.links.get(&index);
        let kind = master.map(|m| m.kind.clone()).filter(|kind| !kind.is_empty());
        return Err(Refusal::PortHasMaster {
            port,
            kind: kind.unwrap_or_else(|| "interface".to_owned()),
            master: master.map_or_else(|| index.to_string(), |m| m.name.clone()),
        });
    }
    if let Some(upper) = stacked_on(host, link.index).find(|upper| !kind::is_tunnel(&upper.kind)) {
        return Err(Refusal::PortHasUpper { port, upper: upper.name.clone() });
    }
    let filter = link.hooks.clsact_ingress.first().map(|filter| format!("a tc filter ({filter})"));
    let chain = link.hooks.nft_ingress.first().map(|chain| format!("an nftables chain ({chain})"));
    filter.or(chain).map_or(Ok(()), |what| Err(Refusal::PortHasHook { port, what }))
}

/// Whether `link` takes the MTU that it gets as a port, that of `source`.
pub(super) fn check_mtu(link: &Link, source: &Link) -> Result<(), Refusal> {
    let (limits, mtu) = (link.mtu_limits, source.mtu);
    let fits = limits.closest(mtu);
    if fits == mtu {
        return Ok(());
    }
    Err(Refusal::PortMtu { port: link.name.clone(), limits, mtu, fits, source_name: source.name.clone() })
}

/// The devices that are stacked on this interface.
pub(super) fn stacked_on(host: &Host, index: IfIndex) -> impl Iterator<Item = &Link> {
    host.links.values().filter(move |link| link.lower == Some(index))
}
