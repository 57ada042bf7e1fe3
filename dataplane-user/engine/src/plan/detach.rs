//! Detach: the aggregate's present addresses and routes go to the ports that they came from, and the ports become what
//! they were.
//!
//! The plan is made from what is there now, never from what was planned once, so it also completes a detach that died
//! on its way.

use aggctl_common::IfIndex;

use crate::{
    host::{Address, DISABLE_IPV6, Host, Link, RP_FILTER, Route},
    plan::{
        Change, Layer3Step, LinkStep, OneWayStep, PairSettings, ProgramStep, Refusal, Setting, Step, Subject, early,
        layer3::{self, Transfer},
        made,
        order::RouteOrder,
        over, port, port_settings,
        shares::{Recipient, share},
        wiring,
    },
    record::{Layer3, Phase, Record},
};

/// Plans a detach, or the rest of one. If the aggregate's interface is gone, what it had when last seen is given back.
/// A port that is gone is left out; what came from it goes to the next one that is there.
///
/// # Errors
///
/// Unless `force` is set: if a port would get addresses that has no link while the aggregate has, or a device is
/// stacked on the aggregate. A detach that has begun ([`Phase::Detaching`]) is never refused.
pub fn detach(host: &Host, record: &Record, force: bool) -> Result<Vec<Step>, Refusal> {
    if !record.has_own_device() {
        return Ok(over::detach(record));
    }
    let ports =
        record.ports.iter().filter_map(|port| Some((port, record.interface_of(host, port)?))).collect::<Vec<_>>();
    let aggregate = record.aggregate_of(host);
    // A former attempt may have put routes on the ports: what counts is the order as it was without them.
    let is_on_port = |route: &&Route| ports.iter().any(|(_, link)| route.links.contains(&link.index));
    let order = RouteOrder::of(host.routes.iter().filter(|route| !is_on_port(route)));
    let shares = share(host, record, aggregate, &ports);
    let plan = DetachPlan { host, record, aggregate, order, shares };
    if !force && record.phase != Phase::Detaching {
        plan.check()?;
    }
    Ok(plan.steps())
}

struct DetachPlan<'a> {
    host: &'a Host,
    record: &'a Record,
    aggregate: Option<&'a Link>,
    /// The host's routes but for those of the ports.
    order: RouteOrder<'a>,
    shares: Vec<Recipient<'a>>,
}

impl<'a> DetachPlan<'a> {
    /// The number that stands for the aggregate in routes.
    fn index(&self) -> IfIndex {
        self.aggregate.map_or(self.record.index, |link| link.index)
    }

    /// Whether the host would be cut off, or lose devices.
    fn check(&self) -> Result<(), Refusal> {
        let Some(aggregate) = self.aggregate else { return Ok(()) };
        let name = self.record.config.name.clone();
        if let Some(upper) = self.users_of(aggregate) {
            return Err(Refusal::AggregateHasUpper { name, upper });
        }
        match self.shares.iter().find(|share| share.matters() && !share.link.has_link()) {
            Some(share) if aggregate.has_link() => Err(Refusal::TargetNoLink { name, port: share.link.name.clone() }),
            _ => Ok(()),
        }
    }

    /// What would be cut off with the aggregate: the bridge, bond, … that it is a port of, and the devices stacked on
    /// it.
    fn users_of(&self, aggregate: &Link) -> Option<String> {
        let master = aggregate.master.and_then(|index| self.host.links.get(&index));
        let users = master.into_iter().chain(self.host.stacked_on(aggregate.index));
        let described = users.map(|link| match link.kind.as_str() {
            "" => link.name.clone(),
            kind => format!("{} ({kind})", link.name),
        });
        let all = described.collect::<Vec<_>>();
        (!all.is_empty()).then(|| shortened(&all))
    }

    fn steps(&self) -> Vec<Step> {
        let targets = || self.shares.iter().filter(|share| share.is_target());
        let mut steps = Vec::new();
        if self.record.made {
            // What it chooses would be a port that leaves.
            steps.extend(self.programs());
        } else if self.aggregate.is_some() {
            let target = targets().find(|share| share.link.has_link() && share.port.before.admin_up);
            steps.extend(target.map(|share| OneWayStep::Select { link: share.subject() }.into()));
        }
        // Backwards, because each puts its routes ahead of equal ones: in the end the first port's stand first.
        for share in targets().rev() {
            steps.extend(self.hand_over(share));
        }
        // Only when everything has its new place: the aggregate's last IPv4 address takes all its IPv4 routes along.
        if let Some(aggregate) = self.aggregate {
            for share in targets().rev() {
                steps.extend(self.transfer(share, aggregate.index).delete_routes());
            }
            let addresses = Layer3::of(self.host, aggregate.index).addresses;
            let addresses = layer3::in_adding_order(&addresses).rev();
            steps.extend(addresses.map(|a| Layer3Step::delete_address(&Subject::Aggregate, a)));
            if self.record.made {
                // Once more, when nothing leaves by the device any more, and before the other ports leave it.
                steps.extend(targets().filter_map(Self::announce));
            }
        }
        for share in &self.shares {
            steps.extend(self.release(share));
        }
        steps.extend(self.remove());
        steps
    }

    /// Gives a port its share while the aggregate still works.
    fn hand_over(&self, share: &Recipient<'_>) -> Vec<Step> {
        let subject = share.subject();
        let transfer = self.transfer(share, self.index());
        let set = |setting: Setting| setting.of(subject.clone());
        let mut steps = self.restore_link(share);
        let stays_up = share.port.before.admin_up;
        if !stays_up {
            // Before its addresses are there: going down would take the IPv6 ones along.
            steps.extend(port_settings::take_down(share.link, &share.port.before).map(set));
        }
        if share.what.addresses.iter().any(|a| a.local.is_ipv4()) {
            steps.extend(port_settings::loosen(share.link).map(set));
            steps.extend(self.aggregate.and_then(port_settings::loosen).map(|setting| setting.of(Subject::Aggregate)));
        }
        if share.what.addresses.iter().any(|a| a.local.is_ipv6()) {
            steps.extend(port_settings::sysctl(share.link, DISABLE_IPV6, "0").map(set));
        } else {
            steps.extend(self.restore_sysctl(share, DISABLE_IPV6));
        }
        if stays_up {
            steps.extend(transfer.add_neighbours());
        }
        let missing =
            layer3::in_adding_order(&share.what.addresses).filter(|a| !layer3::has(self.host, share.link.index, a));
        steps.extend(missing.map(|a| Layer3Step::add_address(&subject, a)));
        if stays_up {
            steps.extend(transfer.add_routes());
            steps.extend(transfer.move_nexthops());
        }
        steps.extend(self.detach_programs(share));
        steps.extend(Self::announce(share));
        steps
    }

    /// Tells the neighbours that a port has its addresses back.
    fn announce(share: &Recipient<'_>) -> Option<Step> {
        let reaches = share.port.before.admin_up && share.link.has_link();
        reaches.then(|| OneWayStep::Announce { link: share.subject() }.into())
    }

    /// Takes a port out of the driver's device, if it is in it; gives it its MAC and MTU, and sets it up if it was.
    fn restore_link(&self, share: &Recipient<'_>) -> Vec<Step> {
        let (now, before) = (share.link, &share.port.before);
        if self.record.made && now.master == Some(self.index()) {
            return made::leave(share);
        }
        if before.master.is_some() {
            return Vec::new(); // its owner made it a member when the device was there
        }
        port_settings::restore_link(now, before).map(|setting| setting.of(share.subject())).collect()
    }

    /// Makes a port what it was. The receiving program goes last: as long as the MAC is the aggregate's, the host must
    /// not answer through this port.
    fn release(&self, share: &Recipient<'_>) -> Vec<Step> {
        let (subject, before) = (share.subject(), &share.port.before);
        let set = |setting: Setting| setting.of(subject.clone());
        let is_target = share.is_target();
        let mut steps = Vec::new();
        if !is_target {
            steps.extend(port_settings::take_down(share.link, before).map(set));
            steps.extend(self.restore_link(share));
            steps.extend(self.restore_sysctl(share, DISABLE_IPV6));
        }
        let own = share.port.addresses.iter().filter(|a| !layer3::is_given(a, before));
        let lost =
            own.filter(|a| !layer3::has(self.host, share.link.index, a) && !layer3::is_in(&share.what.addresses, a));
        steps.extend(lost.map(|a| Layer3Step::add_address(&subject, a)));
        steps.extend(port_settings::restore_rest(share.link, before).map(set));
        if is_target {
            steps.extend(port_settings::tighten(before).map(set));
        } else {
            steps.extend(self.restore_sysctl(share, RP_FILTER));
            steps.extend(self.detach_programs(share));
        }
        steps
    }

    /// The one that drops early goes first: what the receiving one lets pass again would not come to it.
    fn detach_programs(&self, share: &Recipient<'_>) -> impl Iterator<Item = Step> {
        let link = share.subject();
        let early = early::off(self.record, share.port.id, &link);
        let rx = ProgramStep::Rx { link, hook: self.record.hook, attached: Change::OFF }.into();
        early.into_iter().chain((!self.record.made).then_some(rx))
    }

    /// Takes off the programs of the device.
    fn programs(&self) -> Vec<Step> {
        let programs = wiring::programs(self.record.config.wiring, self.record.device, self.record.hook);
        programs.iter().rev().filter_map(Step::inverse).collect()
    }

    /// Removes the device, its namespace and the maps; the device first, so that as long as it is there the maps are
    /// too.
    fn remove(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let peer = || self.host.links.get(&self.record.peer_index).filter(|link| link.name == self.record.peer);
        // Without the aggregate here, its other end holds on to it wherever it was moved.
        let end = self.aggregate.or_else(|| peer().filter(|_| !self.record.config.wiring.has_namespace()));
        if self.record.made {
            steps.extend(self.aggregate.map(|link| made::device(self.record, link, Change::OFF)));
        } else if let Some(link) = end {
            steps.extend(self.programs());
            let pair = PairSettings {
                device: self.record.device,
                name: self.record.config.name.clone(),
                peer: self.record.peer.clone(),
                mac: link.mac,
                mtu: link.mtu,
                gso_max_size: link.gso_max_size,
                gso_max_segs: link.gso_max_segs,
            };
            steps.push(LinkStep::Pair { pair, present: Change::OFF }.into());
        }
        steps.extend(wiring::namespace(self.record.config.wiring).and_then(|step| step.inverse()));
        steps.push(ProgramStep::Maps { present: Change::OFF }.into());
        // At last, of ports that are gone, too.
        steps.extend(self.record.ports.iter().map(port::manage));
        let peer = || LinkStep::Managed { link: Subject::Peer, managed: Change::ON }.into();
        steps.extend((!self.record.made).then(peer));
        steps
    }

    fn transfer<'s>(&'s self, share: &'s Recipient<'_>, from: IfIndex) -> Transfer<'s> {
        Transfer {
            order: &self.order,
            crowded: self.shares.iter().filter(|share| share.is_target()).count() > 1,
            what: &share.what,
            made_for: &share.what.addresses,
            from,
            source: Subject::Aggregate,
            to: share.subject(),
        }
    }

    fn restore_sysctl(&self, share: &Recipient<'_>, key: &str) -> Option<Step> {
        let value = share.port.before.sysctls.get(key)?;
        let is_ours = |a: &&Address| a.link == share.link.index && a.local.is_ipv6();
        if key == DISABLE_IPV6 && value == "1" && self.host.addresses.iter().any(|a| is_ours(&a)) {
            return None; // a former detach gave it IPv6 addresses that came after the attach
        }
        port_settings::sysctl(share.link, key, value).map(|setting| setting.of(share.subject()))
    }
}

/// The first few names, and how many more there are.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let list = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}
