//! A port while it is planned for.

use aggctl_common::{IfIndex, PortId};

use crate::{
    config::{PortConfig, Xdp, XdpMode},
    host::{DISABLE_IPV6, GEN_NONE, Host, Link},
    identity::Identity,
    plan::{
        Change, LinkStep, Refusal, Setting, Step, Subject, early::early_mode, layer3, layer3::Transfer,
        order::RouteOrder, port_settings,
    },
    record::{Layer3, PortRecord},
};

/// A port while it is planned for.
pub(super) struct PlannedPort<'a> {
    pub id: PortId,
    pub link: &'a Link,
    pub identity: Identity,
    pub layer3: Layer3,
    /// In which mode it drops early, if it does.
    pub xdp: Option<XdpMode>,
}

impl<'a> PlannedPort<'a> {
    /// An interface that shall become a port.
    pub fn new(host: &Host, id: PortId, link: &'a Link) -> Self {
        Self { id, link, identity: Identity::of(link), layer3: Layer3::of(host, link.index), xdp: None }
    }

    /// The interface of a port.
    pub fn known(host: &Host, port: &PortRecord, link: &'a Link) -> Self {
        Self { identity: port.identity.clone(), xdp: port.xdp, ..Self::new(host, port.id, link) }
    }

    /// The same if it drops early as is wished.
    ///
    /// # Errors
    ///
    /// As for [`early_mode`].
    pub fn dropping(self, wish: Xdp) -> Result<Self, Refusal> {
        Ok(Self { xdp: early_mode(wish, self.link, false)?, ..self })
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
        let order = RouteOrder::of(&host.routes);
        let transfer = Transfer {
            order: &order,
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
        // The kernel flushes IPv4 neighbours with the last address, so each must be in the journal before; IPv6 ones
        // stay, and are needed as long as the addresses' prefix routes are there.
        steps.extend(transfer.delete_neighbours(false));
        steps.extend(transfer.delete_addresses());
        steps.extend(transfer.delete_neighbours(true));
        steps.extend(port_settings::sysctl(self.link, DISABLE_IPV6, "1").map(|setting| setting.of(subject)));
        steps
    }

    /// What is kept about it.
    pub fn record(&self, wish: &PortConfig) -> PortRecord {
        PortRecord {
            id: self.id,
            config: wish.clone(),
            index: Some(self.link.index),
            xdp: self.xdp,
            identity: self.identity.clone(),
            before: self.link.clone(),
            addresses: self.layer3.addresses.clone(),
        }
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
