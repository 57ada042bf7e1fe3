//! How traffic is spread over the ports in the modes where all of them carry some: the tables behind the table of
//! ports.

use std::sync::Arc;

use aggctl_common::{
    PortId,
    programs::TxPolicy,
    spread::{MAX_FALLBACKS, Rotation},
};

use crate::{
    action::Action,
    aggregate::Aggregate,
    settings::Settings,
    spread::{self, SpreadMember},
};

/// What was published last.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    /// What kind of tables the programs have, and how large: others are new and empty.
    kind: Option<(bool, u32)>,
    /// The slots and weights that the fallback orders are made of.
    members: Vec<(PortId, u8)>,
    fallback_orders: Arc<Vec<[u8; MAX_FALLBACKS]>>,
    primaries: Arc<Vec<u8>>,
    rotation: Option<Box<Rotation>>,
}

impl Aggregate {
    /// Publishes the tables that the ports' present state asks for, where they differ from the last.
    ///
    /// They come after the table of ports: a port that left it is passed over by the programs at once, by the order
    /// that the new tables will have too.
    pub(super) fn share_out(&mut self, first_table: bool, actions: &mut Vec<Action>) {
        let settings = Settings::of(&self.config);
        let kind = settings.table();
        if first_table || self.sharing.kind != kind {
            self.sharing = Sharing { kind, ..Sharing::default() };
        }
        let members: Vec<SpreadMember> = self
            .ports
            .iter()
            .map(|port| SpreadMember { id: port.id, weight: port.config.weight, usable: port.usable })
            .collect();
        match settings.tx_policy {
            TxPolicy::Active => {}
            TxPolicy::Buckets => self.share_buckets(&members, settings.buckets, actions),
            TxPolicy::Modulo => self.take_turns(spread::rotation(&members, false), actions),
            TxPolicy::RoundRobin | TxPolicy::Random => self.take_turns(spread::rotation(&members, true), actions),
        }
    }

    fn share_buckets(&mut self, members: &[SpreadMember], buckets: u32, actions: &mut Vec<Action>) {
        let mut weights: Vec<_> = members.iter().map(|member| (member.id, member.weight)).collect();
        weights.sort_unstable();
        if weights != self.sharing.members || self.sharing.fallback_orders.is_empty() {
            self.sharing.fallback_orders = Arc::new(spread::fallback_orders(members, buckets));
            self.sharing.members = weights;
            actions.push(Action::PublishFallbackOrders(Arc::clone(&self.sharing.fallback_orders)));
        }
        let primaries = spread::primaries(&self.sharing.fallback_orders, self.usable_mask());
        if primaries != *self.sharing.primaries {
            self.sharing.primaries = Arc::new(primaries);
            actions.push(Action::PublishBuckets(Arc::clone(&self.sharing.primaries)));
        }
    }

    fn take_turns(&mut self, rotation: Rotation, actions: &mut Vec<Action>) {
        if self.sharing.rotation.as_deref() != Some(&rotation) {
            self.sharing.rotation = Some(Box::new(rotation));
            actions.push(Action::PublishRotation(Box::new(rotation)));
        }
    }
}
