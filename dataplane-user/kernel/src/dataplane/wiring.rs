//! The wirings: which of our programs is attached where on the pair, and the way of a frame from a port to the
//! aggregate.
//!
//! What plans must know of a wiring is in the engine ([`config::Wiring::has_namespace`]); nothing else differs.

use aggctl_common::IfIndex;
use aggctl_engine::config::{self, Device, Hook};

use super::{
    ProgramRole, WiredPair,
    hook::{self, HookPoint, HookSide},
};

/// The way of a frame from a port to the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The interface that the port's program gives it to.
    pub(super) target: IfIndex,
    /// Whether it is the short way, on which the relay takes it on.
    pub(super) relayed: bool,
}

/// How device, ports and programs are connected.
pub(super) trait WiringKind: Sync {
    /// Where the sending program is attached.
    fn sending(&self, pair: &WiredPair, hook: Hook) -> HookPoint;

    /// Where the relay is attached, if there is one.
    fn relay(&self, pair: &WiredPair, hook: Hook) -> Option<HookPoint>;

    /// What the programs of the ports do.
    fn delivery(&self, pair: &WiredPair) -> Delivery;

    /// The programs of the pair, and where they are attached.
    fn programs(&self, pair: &WiredPair, hook: Hook) -> Vec<(ProgramRole, HookPoint)> {
        let relay = self.relay(pair, hook).map(|place| (ProgramRole::Relay, place));
        [(ProgramRole::Tx, self.sending(pair, hook))].into_iter().chain(relay).collect()
    }
}

/// The wiring that a configuration means.
pub(super) fn of(wiring: config::Wiring) -> &'static dyn WiringKind {
    match wiring {
        // A record has the wiring that is in use, never `auto`.
        config::Wiring::Shared | config::Wiring::Auto => &Shared,
        config::Wiring::Over => &Over,
        config::Wiring::Direct => &Direct,
    }
}

/// The aggregate is a driver's device, which receives by itself.
struct Over;

impl WiringKind for Over {
    /// Before the driver chooses.
    fn sending(&self, pair: &WiredPair, hook: Hook) -> HookPoint {
        HookPoint::new(pair.aggregate, HookSide::Egress, hook::of(hook))
    }

    fn relay(&self, _: &WiredPair, _: Hook) -> Option<HookPoint> {
        None
    }

    /// No port has a program.
    fn delivery(&self, pair: &WiredPair) -> Delivery {
        Delivery { target: pair.aggregate, relayed: false }
    }
}

/// The peer is where the ports are.
struct Shared;

impl WiringKind for Shared {
    /// On the aggregate's own transmit if the device allows it, else where all that comes out at the peer.
    fn sending(&self, pair: &WiredPair, hook: Hook) -> HookPoint {
        match pair.device {
            Device::Netkit => HookPoint::new(pair.aggregate, HookSide::Egress, hook::netkit()),
            Device::Veth | Device::Auto => HookPoint::new(pair.peer, HookSide::Ingress, hook::of(hook)),
        }
    }

    fn relay(&self, _: &WiredPair, _: Hook) -> Option<HookPoint> {
        None
    }

    /// What leaves by the peer arrives on the aggregate.
    fn delivery(&self, pair: &WiredPair) -> Delivery {
        Delivery { target: pair.peer, relayed: false }
    }
}

/// The peer is in a namespace of its own, and nothing but what is received passes it.
struct Direct;

impl WiringKind for Direct {
    /// Before the device, whatever that is.
    fn sending(&self, pair: &WiredPair, hook: Hook) -> HookPoint {
        HookPoint::new(pair.aggregate, HookSide::Egress, hook::of(hook))
    }

    fn relay(&self, pair: &WiredPair, hook: Hook) -> Option<HookPoint> {
        Some(HookPoint::new(pair.peer, HookSide::Ingress, hook::of(hook)).within(pair.namespace.clone()))
    }

    fn delivery(&self, pair: &WiredPair) -> Delivery {
        Delivery { target: pair.aggregate, relayed: true }
    }
}
