//! How an interface becomes a port of an aggregate: on attach, when a port is added, and when one is repaired.

use std::iter;

use aggctl_common::Mac;

use crate::{
    config::{AggregateConfig, Hook, MacPolicy, Toggle},
    host::{Address, Host, Link},
    names,
    plan::{
        Change, Layer3Step, ProgramStep, Setting, Step, Subject, Warning, early,
        layer3::{self, IFA_F_TEMPORARY, Transfer},
        order::RouteOrder,
        port::PlannedPort,
        port_settings,
    },
};

/// The aggregate that ports join.
pub(super) struct Joining<'a> {
    pub host: &'a Host,
    pub config: &'a AggregateConfig,
    pub hook: Hook,
    /// The aggregate's interface, or, while there is none, the one whose place it takes.
    pub aggregate: &'a Link,
}

impl Joining<'_> {
    /// Makes a port of an interface that carries nothing. The receiving program comes before the aggregate's MAC: from
    /// then on the host receives nothing through this port, so it cannot answer through it and make a switch look for
    /// the MAC there.
    pub fn bare(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        let mut steps = port.strip(self.host);
        steps.extend(self.receive(port));
        steps.extend(self.open(port));
        steps.extend(self.join_in_silence(port));
        steps
    }

    /// Makes a port of an interface that carries addresses, which move to the aggregate. `given` has the addresses and
    /// neighbours that the aggregate already got.
    pub fn with_addresses(&self, port: &PlannedPort<'_>, given: &mut Vec<Address>) -> Vec<Step> {
        let mut steps = self.open(port);
        steps.extend(self.move_layer3(port, given, self.receive(port)));
        steps.extend(self.join(port));
        steps.extend(port_settings::tighten(port.link).map(|setting| setting.of(port.subject())));
        steps
    }

    /// Moves to the aggregate what a port carries, after which that has nothing by itself. When the addresses are
    /// there, and before anything leaves by the aggregate, `receive` is done.
    pub fn move_layer3(&self, port: &PlannedPort<'_>, given: &mut Vec<Address>, receive: Vec<Step>) -> Vec<Step> {
        let what = &port.layer3;
        let order = RouteOrder::of(&self.host.routes);
        let transfer = Transfer {
            order: &order,
            crowded: false,
            what,
            made_for: &what.addresses,
            from: port.link.index,
            source: port.subject(),
            to: Subject::Aggregate,
        };
        let mut steps = Vec::new();
        steps.extend(port_settings::loosen(port.link).map(|setting| setting.of(port.subject())));
        steps.extend(port_settings::loosen(self.aggregate).map(|setting| setting.of(Subject::Aggregate)));
        steps.extend(transfer.add_neighbours());
        for address in layer3::in_adding_order(&what.addresses) {
            if !given.iter().any(|a| (a.local, a.prefix_len) == (address.local, address.prefix_len)) {
                given.push(address.clone());
                let address = as_on_aggregate(address, &port.link.name, &self.config.name);
                steps.push(Layer3Step::add_address(&Subject::Aggregate, &address));
            }
        }
        steps.extend(receive);
        steps.extend(transfer.add_routes());
        steps.extend(transfer.move_nexthops());
        steps.extend(port.strip(self.host));
        steps
    }

    /// Makes a port of one again to which others gave addresses: they stay where they are.
    pub fn again(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        let mut steps = self.receive(port);
        steps.extend(self.open(port));
        steps.extend(self.join(port));
        steps
    }

    /// What to know about a port that joins.
    pub fn warnings(&self, port: &PlannedPort<'_>) -> Vec<Warning> {
        let (name, aggregate) = (&port.link.name, self.aggregate);
        let temporary = port.layer3.addresses.iter().filter(|a| a.local.is_ipv6() && a.flags & IFA_F_TEMPORARY != 0);
        let mut warnings =
            temporary.map(|a| Warning::TemporaryAddress { port: name.clone(), address: a.local }).collect::<Vec<_>>();
        if port.link.mtu != aggregate.mtu {
            warnings.push(Warning::MtuChanges { port: name.clone(), from: port.link.mtu, to: aggregate.mtu });
        }
        if port.has_addresses() && port.link.mac != aggregate.mac {
            warnings.push(Warning::MacChanges { port: name.clone() });
        }
        warnings.extend(early::early_warning(port.xdp, port.link));
        if self.config.promisc == Toggle::Off && port_settings::filters_vlans(port.link) {
            warnings.push(Warning::VlanFilter { port: name.clone() });
        }
        warnings
    }

    /// The settings that do no harm while the port carries addresses.
    fn open(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        let settings = port_settings::open(port.link, self.config, self.aggregate.mtu);
        settings.into_iter().map(|setting| setting.of(port.subject())).collect()
    }

    /// The programs. The one that drops early comes second: until the receiving one is there, the port's frames are its
    /// own.
    fn receive(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        let rx = ProgramStep::Rx { link: port.subject(), hook: self.hook, attached: Change::ON }.into();
        let early = port.xdp.map(|mode| early::step(port.subject(), Some(mode)));
        iter::once(rx).chain(early).collect()
    }

    /// The settings for which the port must carry nothing by itself any more.
    fn join(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        port_settings::join(port.link, self.mac_for(port)).map(|setting| setting.of(port.subject())).collect()
    }

    /// The MAC that a port gets; where that depends on the active port the controller sees to it.
    fn mac_for(&self, port: &PlannedPort<'_>) -> Mac {
        match self.config.mac_policy {
            MacPolicy::SameAll => self.aggregate.mac,
            MacPolicy::ByActive | MacPolicy::OnlyActive => port.link.mac,
        }
    }

    /// As [`Self::join`], for a port that never carried anything, which is taken down for the moment: else the
    /// multicast reports that IPv6 still has to send (RFC 3810, 6.1: for up to a second after it was told to go) would
    /// leave with the aggregate's MAC, and the switch look for it here.
    fn join_in_silence(&self, port: &PlannedPort<'_>) -> Vec<Step> {
        let admin = |change| Setting::Admin(change).of(port.subject());
        let mut steps = self.join(port);
        if port.link.admin_up && port.link.mac != self.mac_for(port) {
            steps.insert(0, admin(Change::OFF));
            steps.push(admin(Change::ON));
        }
        steps
    }
}

/// The address as the aggregate gets it.
pub(super) fn as_on_aggregate(address: &Address, port: &str, aggregate: &str) -> Address {
    let mut address = address.clone();
    address.label = address.label.map(|label| names::relabel(&label, port, aggregate));
    if address.local.is_ipv6() {
        address.flags &= !IFA_F_TEMPORARY;
    }
    address
}
