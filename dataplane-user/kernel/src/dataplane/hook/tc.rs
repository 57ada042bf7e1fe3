//! The few traffic control messages that clsact needs.

use std::{io, os::fd::RawFd};

use aggctl_common::IfIndex;
use aya_obj::generated::{TC_H_CLSACT, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TCA_BPF_FLAG_ACT_DIRECT};

use super::Side;
use crate::{
    error::CallFailure,
    netlink::{
        socket::Socket,
        tlv::{Attributes, Builder},
    },
};

/// Priority of our filters. Behind whatever the kernel picks by itself (49152 and below), so that filters of others see
/// frames first.
const PRIORITY: u16 = 0xfa66;
/// Handle of our filters: one that neither the kernel nor people pick.
const HANDLE: u32 = 0x0a66;
/// Handle of the clsact (or ingress) qdisc; an interface has one at most.
const QDISC: u32 = 0xffff_0000;
/// Octets of `struct tcmsg`.
const TCMSG: usize = 20;

/// Name of a qdisc's or filter's kind.
const TCA_KIND: u16 = 1;
/// What is particular to the kind.
const TCA_OPTIONS: u16 = 2;
/// A program, by file descriptor.
const TCA_BPF_FD: u16 = 6;
/// Its name, as `tc` shows it.
const TCA_BPF_NAME: u16 = 7;
/// Flags of an eBPF filter.
const TCA_BPF_FLAGS: u16 = 8;
/// The kernel's number of the program.
const TCA_BPF_ID: u16 = 11;

/// `NLM_F_CREATE`.
const CREATE: u16 = 0x400;
/// `NLM_F_EXCL`.
const EXCLUSIVE: u16 = 0x200;
/// `ETH_P_ALL`.
const ALL_PROTOCOLS: u16 = 3;

/// The class of the qdisc whose filters see one side of the interface.
const fn parent(side: Side) -> u32 {
    match side {
        Side::Ingress => QDISC | TC_H_MIN_INGRESS,
        Side::Egress => QDISC | TC_H_MIN_EGRESS,
    }
}

/// A filter that is attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttachedFilter {
    priority: u16,
    handle: u32,
    name: Option<String>,
    /// The kernel's number of its program, if it is an eBPF filter.
    pub(super) program: Option<u32>,
}

impl AttachedFilter {
    /// Whether it is ours, and has this name.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        self.priority == PRIORITY && self.handle == HANDLE && self.name.as_deref() == Some(name)
    }

    /// Whether it sees frames before a filter of ours does.
    pub(super) fn sees_before_ours(&self) -> bool {
        self.priority < PRIORITY
    }
}

/// A netlink socket for traffic control.
pub(super) struct Tc(Socket);

impl Tc {
    pub(super) fn open() -> io::Result<Self> {
        Socket::open(libc::NETLINK_ROUTE as isize).map(Self)
    }

    /// Whether the interface has a clsact or an ingress qdisc; our filters can be attached to either.
    pub(super) fn has_qdisc(&mut self, index: IfIndex) -> Result<bool, CallFailure> {
        let qdiscs = self.0.dump(libc::RTM_GETQDISC, &tcmsg(index, 0, 0, 0))?;
        Ok(qdiscs.iter().any(|message| word(message, 4) == Some(index.0) && word(message, 8) == Some(QDISC)))
    }

    pub(super) fn add_qdisc(&mut self, index: IfIndex) -> Result<(), CallFailure> {
        let request = Builder::new(&tcmsg(index, QDISC, TC_H_CLSACT, 0)).push_str(TCA_KIND, "clsact").finish();
        self.0.request(libc::RTM_NEWQDISC, CREATE | EXCLUSIVE, &request)
    }

    pub(super) fn delete_qdisc(&mut self, index: IfIndex) -> Result<(), CallFailure> {
        self.0.request(libc::RTM_DELQDISC, 0, &tcmsg(index, QDISC, TC_H_CLSACT, 0))
    }

    /// Adds our filter, or replaces the program of the one that is there.
    pub(super) fn set_filter(
        &mut self,
        index: IfIndex,
        side: Side,
        name: &str,
        program: RawFd,
    ) -> Result<(), CallFailure> {
        let options = Builder::default()
            .push(TCA_BPF_FD, &program.to_ne_bytes())
            .push_str(TCA_BPF_NAME, name)
            .push_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
        let request = Builder::new(&our_filter(index, side))
            .push_str(TCA_KIND, "bpf")
            .push_nested(TCA_OPTIONS, &options)
            .finish();
        self.0.request(libc::RTM_NEWTFILTER, CREATE, &request)
    }

    pub(super) fn delete_filter(&mut self, index: IfIndex, side: Side) -> Result<(), CallFailure> {
        self.0.request(libc::RTM_DELTFILTER, 0, &our_filter(index, side))
    }

    /// All filters on one side of an interface; none if it has no qdisc for them.
    pub(super) fn filters(&mut self, index: IfIndex, side: Side) -> Result<Vec<AttachedFilter>, CallFailure> {
        let filters = self.0.dump(libc::RTM_GETTFILTER, &tcmsg(index, 0, parent(side), 0))?;
        Ok(filters.iter().filter_map(|message| parse(message)).collect())
    }
}

/// Reads a filter; `None` for the entries that stand for a whole priority.
#[allow(clippy::cast_possible_truncation, reason = "the priority is the upper half")]
fn parse(message: &[u8]) -> Option<AttachedFilter> {
    let handle = word(message, 8).filter(|handle| *handle != 0)?;
    let options = Attributes::after(message, TCMSG).find(TCA_OPTIONS).map(Attributes::nested);
    Some(AttachedFilter {
        priority: (word(message, 16)? >> 16) as u16,
        handle,
        name: options.and_then(|options| options.string(TCA_BPF_NAME)),
        program: options.and_then(|options| options.u32(TCA_BPF_ID)),
    })
}

fn our_filter(index: IfIndex, side: Side) -> Vec<u8> {
    let protocol = ALL_PROTOCOLS.to_be();
    tcmsg(index, HANDLE, parent(side), u32::from(PRIORITY) << 16 | u32::from(protocol))
}

/// `struct tcmsg`: family and padding, interface, handle, parent, info.
fn tcmsg(index: IfIndex, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index.0, handle, parent, info].into_iter().flat_map(u32::to_ne_bytes).collect()
}

fn word(message: &[u8], offset: usize) -> Option<u32> {
    message.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}
