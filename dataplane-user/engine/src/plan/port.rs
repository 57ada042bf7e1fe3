//! The settings of a port: what it is made, and how it is made what it was.

use aggctl_common::{IfIndex, Mac, PortId};

use crate::{
    config::{AggregateConfig, Toggle},
    host::{Feature, Host, Link},
    plan::{Refusal, Step, Subject, attach::Taken, kind, layer3, layer3::Transfer, names},
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
        if let Some(was) = self.link.addr_gen_mode.filter(|mode| *mode != GEN_NONE) {
            steps.push(Step::SetAddrGenMode { link: subject.clone(), mode: GEN_NONE, was });
        }
        steps.extend(transfer.delete_routes());
        // The kernel flushes IPv4 neighbours with the last address, so each must be in the journal before; IPv6 ones stay,
        // and are needed as long as the addresses' prefix routes are there.
        steps.extend(transfer.delete_neighbours(false));
        steps.extend(transfer.delete_addresses());
        steps.extend(transfer.delete_neighbours(true));
        steps.extend(sysctl(&subject, self.link, DISABLE_IPV6, "1"));
        steps
    }

    /// The settings that do no harm while the port carries addresses.
    pub fn open(&self, config: &AggregateConfig, mtu: u32) -> Vec<Step> {
        let (link, subject) = (self.link, self.subject());
        let mut steps = Vec::new();
        for name in [LRO, VLAN_FILTER] {
            if link.features.get(name).is_some_and(|feature| feature.on && !feature.fixed) {
                steps.push(Step::SetFeature { link: subject.clone(), feature: name.to_owned(), on: false, was: true });
            }
        }
        if link.mtu != mtu {
            steps.push(Step::SetMtu { link: subject.clone(), mtu, was: link.mtu });
        }
        if config.allmulti != Toggle::Off && !link.allmulti {
            steps.push(Step::SetAllmulti { link: subject.clone(), on: true, was: false });
        }
        let promisc = config.promisc == Toggle::On || (config.promisc == Toggle::Auto && filters_vlans(link));
        if promisc && !link.promisc {
            steps.push(Step::SetPromisc { link: subject, on: true, was: false });
        }
        steps
    }

    /// As [`Port::join`], for a port that never carried anything, which is taken down for the moment: else the multicast
    /// reports that IPv6 still has to send (RFC 3810, 6.1: for up to a second after it was told to go) would leave with
    /// the aggregate's MAC, and the switch look for it here.
    pub fn join_in_silence(&self, mac: Mac) -> Vec<Step> {
        let (link, subject) = (self.link, self.subject());
        let speaks = link.admin_up && link.mac != mac;
        let down = Step::SetAdmin { link: subject, up: false, was: true };
        let mut steps = self.join(mac);
        if speaks {
            steps.push(down.inverse());
            steps.insert(0, down);
        }
        steps
    }

    /// The settings for which the port must carry nothing by itself any more.
    pub fn join(&self, mac: Mac) -> Vec<Step> {
        let (link, subject) = (self.link, self.subject());
        let mut steps = Vec::new();
        if link.mac != mac {
            steps.push(Step::SetMac { link: subject.clone(), mac, was: link.mac });
        }
        if !link.admin_up {
            steps.push(Step::SetAdmin { link: subject, up: true, was: false });
        }
        steps
    }
}

/// A port as the subject of a step.
pub(super) fn subject(id: PortId, identity: &Identity, link: &Link) -> Subject {
    Subject::Port { id, index: link.index, name: link.name.clone(), identity: identity.clone() }
}

/// The step that lets network managers have a port again, which may be gone.
pub(super) fn manage(port: &PortRecord) -> Step {
    let (id, name, identity) = (port.id, port.config.name.clone(), port.identity.clone());
    Step::Manage { link: Subject::Port { id, index: port.index.unwrap_or(IfIndex::NONE), name, identity } }
}

/// The step that gives a sysctl this value, if the interface has it with another one.
pub(super) fn sysctl(subject: &Subject, link: &Link, key: &str, value: &str) -> Option<Step> {
    let was = link.sysctls.get(key).filter(|was| *was != value)?;
    Some(Step::SetSysctl { link: subject.clone(), key: key.to_owned(), value: value.to_owned(), was: was.clone() })
}

/// Whether the interface filters VLANs and cannot be told not to.
pub(super) fn filters_vlans(link: &Link) -> bool {
    link.features.get(VLAN_FILTER).is_some_and(|feature| feature.on && feature.fixed)
}

/// What must be as before, ahead of any address: MAC and MTU, and that the port is up if it was. A driver may take the
/// interface down to change its MAC, which would cost it all its routes.
pub(super) fn restore_link(subject: &Subject, now: &Link, before: &Link) -> Vec<Step> {
    let mut steps = Vec::new();
    if now.mac != before.mac {
        steps.push(Step::SetMac { link: subject.clone(), mac: before.mac, was: now.mac });
    }
    if now.mtu != before.mtu {
        steps.push(Step::SetMtu { link: subject.clone(), mtu: before.mtu, was: now.mtu });
    }
    if before.admin_up && !now.admin_up {
        steps.push(Step::SetAdmin { link: subject.clone(), up: true, was: false });
    }
    steps
}

/// Everything else, once the addresses are there.
pub(super) fn restore_rest(subject: &Subject, now: &Link, before: &Link) -> Vec<Step> {
    let mut steps = Vec::new();
    if let (Some(was), Some(mode)) = (now.addr_gen_mode, before.addr_gen_mode)
        && was != mode
    {
        steps.push(Step::SetAddrGenMode { link: subject.clone(), mode, was });
    }
    if now.promisc != before.promisc {
        steps.push(Step::SetPromisc { link: subject.clone(), on: before.promisc, was: now.promisc });
    }
    if now.allmulti != before.allmulti {
        steps.push(Step::SetAllmulti { link: subject.clone(), on: before.allmulti, was: now.allmulti });
    }
    for name in [VLAN_FILTER, LRO] {
        let on = |link: &Link| link.features.get(name).map(|Feature { on, .. }| *on);
        if let (Some(was), Some(on)) = (on(now), on(before))
            && was != on
        {
            steps.push(Step::SetFeature { link: subject.clone(), feature: name.to_owned(), on, was });
        }
    }
    steps
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
