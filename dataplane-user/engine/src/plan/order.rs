//! The order of routes that differ in nothing but how they leave: the kernel takes the first.

use std::{collections::HashMap, net::IpAddr};

use aggctl_common::IfIndex;

use crate::host::Route;

/// What rivals have in common: family, table, destination, length of its prefix and metric.
pub(crate) type RivalKey = (bool, u32, Option<IpAddr>, u8, u32);

/// The key of a route.
pub(crate) fn rival_key(route: &Route) -> RivalKey {
    (route.v6, route.table, route.destination, route.prefix_len, route.metric)
}

/// Whether two routes differ in nothing but how they leave, so that their order decides.
pub(crate) fn is_rival(one: &Route, other: &Route) -> bool {
    rival_key(one) == rival_key(other)
}

/// Routes of a host, by what rivals have in common: a host may have many thousands, and each is asked about.
pub(super) struct RouteOrder<'a>(HashMap<RivalKey, Vec<&'a Route>>);

impl<'a> RouteOrder<'a> {
    /// The order of these.
    pub fn of(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut order = HashMap::<_, Vec<_>>::new();
        routes.into_iter().for_each(|route| order.entry(rival_key(route)).or_default().push(route));
        Self(order)
    }

    /// Whether the route stands before its rivals.
    pub fn is_first(&self, route: &Route) -> bool {
        self.rivals(route).next().is_none_or(|first| first == route)
    }

    /// Whether a rival of the route leaves by no such interface.
    pub fn has_rival_elsewhere(&self, route: &Route, link: IfIndex) -> bool {
        self.rivals(route).any(|other| !other.links.contains(&link))
    }

    /// Whether there is a route like this one, wherever it leaves; itself counts.
    pub fn has(&self, route: &Route) -> bool {
        self.0.contains_key(&rival_key(route))
    }

    fn rivals(&self, route: &Route) -> impl Iterator<Item = &'a Route> {
        self.0.get(&rival_key(route)).into_iter().flatten().copied()
    }
}
