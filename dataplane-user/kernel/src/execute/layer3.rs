//! The steps about addresses, routes, nexthop objects and neighbours.

use aggctl_engine::plan::Layer3Step;

use super::Executor;
use crate::error::KernelError;

impl Executor {
    /// Carries out a step about what lives on an interface above the link.
    pub(super) fn change_layer3(&mut self, step: &Layer3Step) -> Result<(), KernelError> {
        let index = self.find(step.subject())?.index;
        let netlink = &mut self.netlink;
        match step {
            Layer3Step::Address { address, present, .. } if present.to => netlink.add_address(index, address),
            Layer3Step::Address { address, .. } => netlink.delete_address(index, address),
            Layer3Step::Route { route, described_on, first, present, .. } if present.to => {
                netlink.add_route(route, *described_on, index, *first)
            }
            Layer3Step::Route { route, described_on, .. } => netlink.delete_route(route, *described_on, index),
            Layer3Step::Nexthop { nexthop, .. } => netlink.move_nexthop(nexthop, index),
            Layer3Step::Neighbour { neighbour, present, .. } if present.to => netlink.add_neighbour(index, neighbour),
            Layer3Step::Neighbour { neighbour, .. } => netlink.delete_neighbour(index, neighbour),
        }
    }
}
