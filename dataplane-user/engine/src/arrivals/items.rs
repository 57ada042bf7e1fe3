//! Addresses, routes and neighbours in the order in which they came, each found by what makes it the same one: a host
//! may have many thousands.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use aggctl_common::IfIndex;

use super::{ChangedItem, PROXY};
use crate::{
    host::{Address, NeighbourEntry, Route},
    plan::{
        layer3,
        order::{RivalKey, is_rival, rival_key},
    },
    record::Layer3,
};

/// What makes it the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ItemKey {
    /// Interface, address, the other end's, length of the prefix.
    Address(IfIndex, IpAddr, Option<IpAddr>, u8),
    /// What rivals have in common, interfaces, type, nexthop object, gateway, type of service.
    Route(RivalKey, Vec<IfIndex>, u8, Option<u32>, Option<IpAddr>, u8),
    /// Interface, address, whether it is a proxy entry.
    Neighbour(IfIndex, IpAddr, bool),
}

impl ItemKey {
    fn of(item: &ChangedItem) -> Self {
        match item {
            ChangedItem::Address(address) => Self::of_address(address),
            ChangedItem::Route(route) => Self::of_route(route),
            ChangedItem::Neighbour(neighbour) => Self::of_neighbour(neighbour),
        }
    }

    fn of_address(a: &Address) -> Self {
        Self::Address(a.link, a.local, a.peer, a.prefix_len)
    }

    fn of_route(r: &Route) -> Self {
        let (gateway, service) = (layer3::gateway(r), layer3::type_of_service(r));
        Self::Route(rival_key(r), r.links.clone(), r.kind, r.nexthop, gateway, service)
    }

    fn of_neighbour(n: &NeighbourEntry) -> Self {
        Self::Neighbour(n.link, n.address, n.flags & PROXY != 0)
    }
}

/// Each at most once.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    /// With the number of its coming.
    items: HashMap<ItemKey, (usize, ChangedItem)>,
    came: usize,
}

impl Items {
    /// Takes it in as the last one, also if it was there.
    pub fn put(&mut self, item: ChangedItem) {
        self.items.insert(ItemKey::of(&item), (self.came, item));
        self.came += 1;
    }

    pub fn take(&mut self, item: &ChangedItem) {
        self.items.remove(&ItemKey::of(item));
    }

    /// Takes all of these.
    pub fn take_all(&mut self, all: &Layer3) {
        let keys = keys(all).collect::<HashSet<_>>();
        self.items.retain(|key, _| !keys.contains(key));
    }

    /// Takes the routes that differ from this one in nothing but how they leave by the same interfaces.
    pub fn take_rivals(&mut self, route: &Route) {
        let is_one = |other: &Route| is_rival(other, route) && other.links == route.links;
        self.items.retain(|_, (_, item)| !matches!(item, ChangedItem::Route(other) if is_one(other)));
    }

    pub fn has(&self, item: &ChangedItem) -> bool {
        self.has_key(&ItemKey::of(item))
    }

    pub fn has_key(&self, key: &ItemKey) -> bool {
        self.items.contains_key(key)
    }

    /// All of them.
    pub fn all(&self) -> Layer3 {
        self.those(|_| true)
    }

    /// Those of an interface.
    pub fn of(&self, link: IfIndex) -> Layer3 {
        self.those(|item| match item {
            ChangedItem::Address(address) => address.link == link,
            ChangedItem::Route(route) => route.links.contains(&link),
            ChangedItem::Neighbour(neighbour) => neighbour.link == link,
        })
    }

    fn those(&self, wanted: impl Fn(&ChangedItem) -> bool) -> Layer3 {
        let mut items = self.items.values().filter(|(_, item)| wanted(item)).collect::<Vec<_>>();
        items.sort_unstable_by_key(|(number, _)| *number);
        let mut all = Layer3::default();
        for (_, item) in items {
            match item.clone() {
                ChangedItem::Address(address) => all.addresses.push(address),
                ChangedItem::Route(route) => all.routes.push(route),
                ChangedItem::Neighbour(neighbour) => all.neighbours.push(neighbour),
            }
        }
        all
    }
}

/// All of these, one by one.
pub(super) fn each(all: &Layer3) -> impl Iterator<Item = ChangedItem> {
    let addresses = all.addresses.iter().cloned().map(ChangedItem::Address);
    let routes = all.routes.iter().cloned().map(ChangedItem::Route);
    addresses.chain(routes).chain(all.neighbours.iter().cloned().map(ChangedItem::Neighbour))
}

/// Keeps those of which `keep` is true.
pub(super) fn retain(all: &mut Layer3, keep: impl Fn(&ItemKey) -> bool) {
    all.addresses.retain(|address| keep(&ItemKey::of_address(address)));
    all.routes.retain(|route| keep(&ItemKey::of_route(route)));
    all.neighbours.retain(|neighbour| keep(&ItemKey::of_neighbour(neighbour)));
}

/// Appends others.
pub(super) fn append(all: &mut Layer3, others: Layer3) {
    all.addresses.extend(others.addresses);
    all.routes.extend(others.routes);
    all.neighbours.extend(others.neighbours);
}

fn keys(all: &Layer3) -> impl Iterator<Item = ItemKey> {
    let addresses = all.addresses.iter().map(ItemKey::of_address);
    let routes = all.routes.iter().map(ItemKey::of_route);
    addresses.chain(routes).chain(all.neighbours.iter().map(ItemKey::of_neighbour))
}
