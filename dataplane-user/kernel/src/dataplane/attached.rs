//! The programs of an aggregate on their hooks: attaching, swapping without a gap, and taking off.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::Ordering,
};

use aggctl_common::{IfIndex, MAX_PORTS, PortId, programs::RELAY};
use aggctl_engine::config::Hook;
use tracing::warn;

use super::{
    Asked, Dataplane, WiredPair, bpf, device, drops,
    error::DataplaneError,
    hook::{self, AttachPoint, HookPoint, HookSide},
    kernel_types::KernelTypes,
    maps, object,
    pins::{self, ProgramRole},
    wiring::{self, Delivery},
};

impl Dataplane {
    /// Attaches the sending program to the pair, where the wiring has it. If one of ours is attached there it is
    /// swapped, without a gap.
    ///
    /// # Errors
    ///
    /// If the interface is not there or the kernel refuses.
    pub fn attach_tx(&self, pair: &WiredPair, hook: Hook) -> Result<(), DataplaneError> {
        let program = object::sender(&self.settings);
        let place = wiring::of(pair.wiring).sending(pair, hook);
        if self.attach(ProgramRole::Tx, &place, &program, None)? {
            pins::make_mark(&self.pins.asks_mark())
        } else {
            pins::remove_mark(&self.pins.asks_mark())
        }
    }

    /// Takes the sending program off; fine if it is not attached there.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn detach_tx(&self, pair: &WiredPair, hook: Hook) -> Result<(), DataplaneError> {
        self.detach(ProgramRole::Tx, &wiring::of(pair.wiring).sending(pair, hook))
    }

    /// Attaches the relay to a peer in a namespace of its own; nothing in a wiring that has none. If one of ours
    /// is attached there it is swapped, without a gap.
    ///
    /// # Errors
    ///
    /// If the namespace or the interface is not there or the kernel refuses.
    pub fn attach_relay(&self, pair: &WiredPair, hook: Hook) -> Result<(), DataplaneError> {
        let relay = wiring::of(pair.wiring).relay(pair, hook);
        relay.map_or(Ok(()), |place| self.attach(ProgramRole::Relay, &place, RELAY, None).map(drop))
    }

    /// Takes the relay off; fine if it is not attached there.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn detach_relay(&self, pair: &WiredPair, hook: Hook) -> Result<(), DataplaneError> {
        let relay = wiring::of(pair.wiring).relay(pair, hook);
        relay.map_or(Ok(()), |place| self.detach(ProgramRole::Relay, &place))
    }

    /// Attaches the receiving program to a port of this pair. If one of ours is attached there it is swapped, without a
    /// gap. Also notes the interface in the table, and starts the port's drop counters from zero if it is new there.
    ///
    /// # Errors
    ///
    /// If the interface is not there or the kernel refuses.
    pub fn attach_rx(&self, port: PortId, index: IfIndex, pair: &WiredPair, hook: Hook) -> Result<(), DataplaneError> {
        check(port)?;
        let joins = !self.pins.program(ProgramRole::Rx(port)).exists();
        if self.table()?.set_interface(port, index) != index || joins {
            drops::reset(&self.pins, port)?;
        }
        let delivery = wiring::of(pair.wiring).delivery(pair);
        let program = object::receiver(&self.settings);
        self.attach(ProgramRole::Rx(port), &on_port(index, hook), &program, Some((port, Some(delivery)))).map(drop)
    }

    /// Takes the receiving program off a port; fine if it is not attached there. [`IfIndex::NONE`]: the interface is
    /// gone from this network namespace; it may live on in another one. The table stays as it is: the aggregate may go
    /// on sending through the port.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn detach_rx(&self, port: PortId, index: IfIndex, hook: Hook) -> Result<(), DataplaneError> {
        check(port)?;
        self.detach(ProgramRole::Rx(port), &on_port(index, hook))
    }

    /// Loads the program of this name and attaches it. `port` is as [`object::load`] has it. Says whether the program
    /// asks the kernel for the links of the ports.
    pub(super) fn attach(
        &self,
        role: ProgramRole,
        place: &HookPoint,
        program: &str,
        port: Option<(PortId, Option<Delivery>)>,
    ) -> Result<bool, DataplaneError> {
        self.changed.store(true, Ordering::Relaxed);
        // The loader would make a map that is missing, and nobody would know its layout.
        let stamp = self.settings.over.then_some(pins::STAMP);
        let all = [pins::PORTS, pins::BOUND, pins::DROPS, pins::TURN, pins::TABLE, pins::ROWS];
        for map in all.into_iter().chain(stamp) {
            maps::id(&self.pins, map)?;
        }
        let (fd, asks) = self.load(program, port)?;
        place.attach(AttachPoint::new(&self.pins, role, place), fd.as_fd())?;
        let path = self.pins.program(role);
        let fresh = path.with_file_name(format!("{role}-new"));
        pins::unpin(&fresh)?;
        bpf::pin(fd.as_fd(), &fresh).map_err(|error| DataplaneError::pin(&fresh, "pin", error))?;
        pins::rename(&fresh, &path)?;
        Ok(asks)
    }

    /// Loads the program of this name. Says whether it asks the kernel: where the kernel refuses one that does, there
    /// is one that does not.
    fn load(&self, name: &str, port: Option<(PortId, Option<Delivery>)>) -> Result<(OwnedFd, bool), DataplaneError> {
        let load = |asked| object::load_program(&self.pins, &self.settings, port, asked, name);
        if let Some(types) = self.asked_types() {
            match load(Some(types)) {
                Err(error @ DataplaneError::Refused { .. }) => {
                    warn!(%error, "it is loaded without asking the kernel for the link of a port: that is polled");
                }
                loaded => return Ok((loaded?, true)),
            }
        }
        Ok((load(None)?, false))
    }

    /// The types of the kernel that is asked, if one is.
    fn asked_types(&self) -> Option<&KernelTypes> {
        match &self.asked {
            Asked::Present => device::present().map(|kernel| &kernel.types),
            Asked::Types(types) => types.as_ref(),
        }
    }

    pub(super) fn detach(&self, role: ProgramRole, place: &HookPoint) -> Result<(), DataplaneError> {
        self.changed.store(true, Ordering::Relaxed);
        place.detach(AttachPoint::new(&self.pins, role, place))?;
        pins::unpin(&self.pins.program(role))
    }
}

/// Where the receiving program of a port is attached.
pub(super) fn on_port(index: IfIndex, hook: Hook) -> HookPoint {
    HookPoint::new(index, HookSide::Ingress, hook::of(hook))
}

pub(super) fn check(port: PortId) -> Result<(), DataplaneError> {
    if port.index() < MAX_PORTS { Ok(()) } else { Err(DataplaneError::NoSlot(port)) }
}
