//! The MTU of the aggregate and its ports, which is the same: if one port does not take a new one, all go back to the
//! former (as in bonding, drivers/net/bonding/bond_main.c, bond_change_mtu).

use aggctl_common::PortId;

use crate::{
    action::{Action, Notice},
    aggregate::Aggregate,
    event::AggregateState,
};

/// What is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mtu {
    /// The last one that the aggregate and all its ports had, octets.
    agreed: Option<u32>,
    /// The one that the aggregate has, and a port does not take.
    refused: Option<u32>,
}

impl Mtu {
    /// What a former controller knew.
    pub fn remembered(agreed: Option<u32>) -> Self {
        Self { agreed, refused: None }
    }

    /// The last one that the aggregate and all its ports had, octets.
    pub fn agreed(self) -> Option<u32> {
        self.agreed
    }
}

impl Aggregate {
    /// The one that the ports shall have; `None`: not known.
    pub(super) fn wanted_mtu(&self) -> Option<u32> {
        let mtu = self.interface?.mtu;
        if self.mtu.refused == Some(mtu) { self.mtu.agreed } else { Some(mtu) }
    }

    /// Notes the MTU if the aggregate and all ports that are there have the same.
    pub(super) fn agree_on_mtu(&mut self) {
        let wanted = self.wanted_mtu();
        let mut reported = self.ports.iter().filter_map(|port| port.reported()).map(|state| Some(state.mtu)).peekable();
        if self.settled && reported.peek().is_some() && reported.all(|mtu| mtu == wanted) {
            self.mtu.agreed = wanted;
        }
    }

    /// Looks whether all ports take the MTU that the aggregate is reported with, as far as their drivers say.
    pub(super) fn judge_mtu(&mut self, interface: AggregateState, actions: &mut Vec<Action>) {
        let mtu = interface.mtu;
        if let (Some(refused), Some(back)) = (self.mtu.refused, self.mtu.agreed)
            && refused == mtu
        {
            actions.push(Action::SetAggregateMtu { mtu: back });
            return;
        }
        self.mtu.refused = None;
        let unfit = self.ports.iter().find_map(|port| {
            let limits = port.reported()?.mtu_limits;
            (limits.closest(mtu) != mtu).then(|| (port.id, format!("its driver takes {limits}")))
        });
        if let Some((port, why)) = unfit {
            self.refuse_mtu(port, mtu, why, actions);
        }
    }

    /// A port does not take the MTU that it shall have. If it is a new one, all go back to the former.
    pub(super) fn refuse_mtu(&mut self, id: PortId, mtu: u32, why: String, actions: &mut Vec<Action>) {
        let Some(port) = self.port(id) else { return };
        // What it had last is what all had, if nobody knows better.
        let former = self.mtu.agreed.or_else(|| port.reported().map(|state| state.mtu));
        let Some(back) = former.filter(|back| *back != mtu && self.wanted_mtu() == Some(mtu)) else { return };
        let notice = Notice::MtuRefused { port: port.config.name.clone(), mtu, back, why };
        actions.extend([Action::SetAggregateMtu { mtu: back }, Action::Notice(notice)]);
        self.mtu = Mtu { agreed: Some(back), refused: Some(mtu) };
    }
}
