//! Where the journal of an attach says that routes, neighbours and nexthop objects of the aggregate came from.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use aggctl_common::IfIndex;

use crate::{
    host::{NeighbourEntry, Nexthop, Route},
    plan::{
        Change, Layer3Step, Step, Subject, layer3,
        order::{RivalKey, rival_key},
    },
    record::JournalEntry,
};

/// The interfaces that things were moved from, by their numbers at the attach.
#[derive(Debug, Default)]
pub(super) struct Origins {
    routes: HashMap<(RivalKey, Option<IpAddr>), Vec<IfIndex>>,
    neighbours: BTreeMap<IpAddr, Vec<IfIndex>>,
    nexthops: BTreeMap<u32, IfIndex>,
}

impl Origins {
    /// What this journal says.
    pub fn of(journal: &[JournalEntry]) -> Self {
        let mut origins = Self::default();
        for entry in journal {
            let Step::Layer3(step) = &entry.step else { continue };
            match step {
                Layer3Step::Route { link: Subject::Aggregate, route, described_on, present: Change::ON, .. } => {
                    origins.routes.entry(key(route)).or_default().push(*described_on);
                }
                Layer3Step::Neighbour { link: Subject::Aggregate, neighbour, present: Change::ON } => {
                    origins.neighbours.entry(neighbour.address).or_default().push(neighbour.link);
                }
                Layer3Step::Nexthop { nexthop, link: Change { from: Subject::Port { index, .. }, .. } } => {
                    origins.nexthops.entry(nexthop.id).or_insert(*index);
                }
                _ => {}
            }
        }
        origins
    }

    /// The ports that had the route: several, if several had the same.
    pub fn of_route(&self, route: &Route) -> &[IfIndex] {
        self.routes.get(&key(route)).map_or(&[], Vec::as_slice)
    }

    /// The ports that the neighbour was copied from.
    pub fn of_neighbour(&self, neighbour: &NeighbourEntry) -> &[IfIndex] {
        self.neighbours.get(&neighbour.address).map_or(&[], Vec::as_slice)
    }

    /// The port that the nexthop object was moved from.
    pub fn of_nexthop(&self, nexthop: &Nexthop) -> Option<IfIndex> {
        self.nexthops.get(&nexthop.id).copied()
    }
}

fn key(route: &Route) -> (RivalKey, Option<IpAddr>) {
    (rival_key(route), layer3::gateway(route))
}
