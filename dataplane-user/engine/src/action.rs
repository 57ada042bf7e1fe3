//! What the engine asks the controller to do.

use std::sync::Arc;

use aggctl_common::{
    Mac, PortId, Ports,
    spread::{MAX_FALLBACKS, Rotation},
};
use serde::{Deserialize, Serialize};

use crate::{event::OwnFlags, foreign::ForeignKind};

/// Something to do, in the order given. Actions say what shall be, so doing one twice does no harm
/// (but for [`Action::Announce`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the programs use this table.
    Publish(Box<Ports>),
    /// Make the programs use these orders of ports, one for each bucket.
    PublishFallbackOrders(Arc<Vec<[u8; MAX_FALLBACKS]>>),
    /// Make the programs use this table: the port of each bucket.
    PublishBuckets(Arc<Vec<u8>>),
    /// Make the programs use this rotation.
    PublishRotation(Box<Rotation>),
    /// Set the aggregate's carrier.
    SetCarrier(bool),
    /// Set or clear a port's promiscuous flag.
    SetPromisc {
        /// The port.
        port: PortId,
        /// The flag.
        on: bool,
    },
    /// Set or clear a port's all-multicast flag.
    SetAllmulti {
        /// The port.
        port: PortId,
        /// The flag.
        on: bool,
    },
    /// The owner of a port changed its mind about its flags: keep in mind what they shall be when it is no port any
    /// more.
    KeepOwnFlags {
        /// The port.
        port: PortId,
        /// What the owner wants.
        own: OwnFlags,
    },
    /// Give a port this MAC.
    SetPortMac {
        /// The port.
        port: PortId,
        /// The address.
        mac: Mac,
    },
    /// Give the aggregate this MAC. If that is refused, the answer is [`Event::Aggregate`](crate::Event::Aggregate):
    /// what follows goes by the new one already.
    SetAggregateMac {
        /// The address.
        mac: Mac,
    },
    /// Give a port this MTU. If it refuses, the answer is [`Event::MtuRefused`](crate::Event::MtuRefused).
    SetPortMtu {
        /// The port.
        port: PortId,
        /// Octets.
        mtu: u32,
    },
    /// Give the aggregate this MTU, which it had before.
    SetAggregateMtu {
        /// Octets.
        mtu: u32,
    },
    /// Make the driver whose device the aggregate is have this port active: it filters what others receive.
    SetDriverActive {
        /// The port.
        port: PortId,
    },
    /// Tell the neighbours and the switches what is reached through this port now.
    Announce {
        /// The port to send from.
        port: PortId,
        /// What they are told.
        announcement: Announcement,
    },
    /// Tell whoever listens (`aggctl monitor`, the log) what happened.
    Notice(Notice),
}

/// What a round of announcements tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Where the addresses and the stations are that are reached through the aggregate, each once.
    pub addresses: bool,
    /// Which groups are received through it.
    pub groups: bool,
    /// Whether the aggregate's own count. Those of its device bonding announces itself.
    pub own: bool,
}

/// Something that happened to the aggregate, for people and for `monitor --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Notice {
    /// A port became usable, or stopped being so.
    Usable {
        /// Name of the port.
        port: String,
        /// Whether it is usable now.
        usable: bool,
        /// Why, in words.
        why: String,
    },
    /// A watch of a port beyond its link finds it well now, or does not any more.
    Watch {
        /// Name of the port.
        port: String,
        /// The watch, as it is written on the command line.
        watch: String,
        /// Whether it finds the port well.
        up: bool,
        /// Why, in words.
        why: String,
    },
    /// A port is held down from now on, since it changed too often.
    HeldDown {
        /// Name of the port.
        port: String,
        /// How many times its link, or the verdict of its watches, changed.
        changes: u8,
        /// In which time, seconds.
        window_s: u32,
        /// For how long it is not taken, seconds.
        for_s: u32,
    },
    /// Another port is active now.
    Active {
        /// The port that was, if one was.
        from: Option<String>,
        /// The port that is, if one is.
        to: Option<String>,
        /// Why, in words.
        why: String,
    },
    /// Broadcast and multicast are accepted on another port now.
    Designated {
        /// The port that did, if one did.
        from: Option<String>,
        /// The port that does, if one does.
        to: Option<String>,
        /// Why, in words.
        why: String,
    },
    /// The aggregate has the MAC of another port now.
    Mac {
        /// The one that it had.
        from: Mac,
        /// The one that it has.
        to: Mac,
    },
    /// The aggregate's carrier changed.
    Carrier {
        /// Whether it has carrier now.
        carrier: bool,
        /// How many ports are usable.
        usable: usize,
        /// How many must be.
        min_ports: u8,
    },
    /// The interface of a port went away or came (back).
    Present {
        /// Name of the port.
        port: String,
        /// Whether it is there now.
        present: bool,
    },
    /// Addresses are being announced through a port.
    Announcing {
        /// Name of the port.
        port: String,
        /// The round, from 1.
        round: u8,
        /// How many rounds there will be.
        rounds: u8,
    },
    /// Somebody changed a setting of a port that is the aggregate's, and it was put back.
    PutBack {
        /// Name of the port.
        port: String,
        /// Which setting.
        setting: String,
    },
    /// Somebody gave the aggregate an MTU that a port does not take: the aggregate and all its ports have the former
    /// one.
    MtuRefused {
        /// Name of the port.
        port: String,
        /// The MTU that it does not take, octets.
        mtu: u32,
        /// The one that all have again, octets.
        back: u32,
        /// Why, in words.
        why: String,
    },
    /// Somebody else put something on a port: it may take traffic past the aggregate.
    Foreign {
        /// Name of the port.
        port: String,
        /// What it is.
        kind: ForeignKind,
        /// Which one.
        what: String,
    },
    /// It is gone.
    ForeignGone {
        /// Name of the port.
        port: String,
        /// What it was.
        kind: ForeignKind,
        /// Which one.
        what: String,
    },
    /// Something is not as it should be, and was not repaired.
    Defect {
        /// What is wrong, in words.
        what: String,
        /// Why it was not repaired, if it may be.
        why: Option<String>,
    },
    /// Something was not as it should be, and was repaired.
    Repaired {
        /// What was wrong, in words.
        what: String,
    },
    /// What was not as it should be is so again, not by us.
    DefectGone {
        /// What was wrong, in words.
        what: String,
    },
}
