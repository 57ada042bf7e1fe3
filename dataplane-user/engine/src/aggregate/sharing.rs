//! How traffic is spread over the ports in the modes where all of them carry some: the tables behind the table of ports.

use std::sync::Arc;

use aggctl_common::{
    PortId,
    programs::Selection,
    spread::{Cycle, ROW},
};

use crate::{
    action::Action,
    aggregate::Aggregate,
    settings::Settings,
    spread::{self, Share},
};

/// What was published last.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    /// What kind of tables the programs have, and how large: others are new and empty.
    kind: Option<(bool, u32)>,
    /// The slots and weights that the rows are made of.
    members: Vec<(PortId, u8)>,
    rows: Arc<Vec<[u8; ROW]>>,
    primaries: Arc<Vec<u8>>,
    cycle: Option<Box<Cycle>>,
}

impl Aggregate {
    /// Publishes the tables that the ports' present state asks for, where they differ from the last.
    ///
    /// They come after the table of ports: a port that left it is passed over by the programs at once, by the order that the
    /// new tables will have too.
    pub(super) fn share_out(&mut self, first_table: bool, actions: &mut Vec<Action>) {
        let settings = Settings::of(&self.config);
        let kind = settings.table();
        if first_table || self.sharing.kind != kind {
            self.sharing = Sharing { kind, ..Sharing::default() };
        }
        let members: Vec<Share> = self
            .ports
            .iter()
            .map(|port| Share { id: port.id, weight: port.config.weight, usable: port.usable })
            .collect();
        match settings.selection {
            Selection::Active => {}
            Selection::Buckets => self.share_buckets(&members, settings.buckets, actions),
            Selection::Modulo => self.take_turns(spread::cycle(&members, false), actions),
            Selection::RoundRobin | Selection::Random => self.take_turns(spread::cycle(&members, true), actions),
        }
    }

    fn share_buckets(&mut self, members: &[Share], buckets: u32, actions: &mut Vec<Action>) {
        let mut weights: Vec<_> = members.iter().map(|member| (member.id, member.weight)).collect();
        weights.sort_unstable();
        if weights != self.sharing.members || self.sharing.rows.is_empty() {
            self.sharing.rows = Arc::new(spread::rows(members, buckets));
            self.sharing.members = weights;
            actions.push(Action::PublishRows(Arc::clone(&self.sharing.rows)));
        }
        let primaries = spread::primaries(&self.sharing.rows, self.usable_mask());
        if primaries != *self.sharing.primaries {
            self.sharing.primaries = Arc::new(primaries);
            actions.push(Action::PublishBuckets(Arc::clone(&self.sharing.primaries)));
        }
    }

    fn take_turns(&mut self, cycle: Cycle, actions: &mut Vec<Action>) {
        if self.sharing.cycle.as_deref() != Some(&cycle) {
            self.sharing.cycle = Some(Box::new(cycle));
            actions.push(Action::PublishCycle(Box::new(cycle)));
        }
    }
}
