//! The few traffic control messages that clsact needs.

use std::{io, os::fd::RawFd};

use aggctl_common::IfIndex;
use aya_obj::generated::{TC_H_CLSACT, TCA_BPF_FLAG_ACT_DIRECT};

use super::HookSide;
use crate::{
    error::CallFailure,
    netlink::{
        CREATE, EXCL,
        socket::Socket,
        tc::{self, Filter, tcmsg},
        tlv::Builder,
    },
    packet_sockets::EVERY_PROTOCOL,
};

/// Priority of our filters. Behind whatever the kernel picks by itself (49152 and below), so that filters of others see
/// frames first.
const PRIORITY: u16 = 0xfa66;
/// Handle of our filters: one that neither the kernel nor people pick.
const HANDLE: u32 = 0x0a66;
/// A program, by file descriptor.
const TCA_BPF_FD: u16 = 6;
/// Flags of an eBPF filter.
const TCA_BPF_FLAGS: u16 = 8;

/// The class of the qdisc whose filters see one side of the interface.
const fn parent(side: HookSide) -> u32 {
    match side {
        HookSide::Ingress => tc::INGRESS,
        HookSide::Egress => tc::EGRESS,
    }
}

/// Whether a filter is ours, and has this name.
pub(super) fn is_ours(filter: &Filter, name: &str) -> bool {
    filter.priority == PRIORITY && filter.handle == HANDLE && filter.program.as_deref() == Some(name)
}

/// Whether a filter sees frames before one of ours does.
pub(super) fn sees_before_ours(filter: &Filter) -> bool {
    filter.priority < PRIORITY
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
        Ok(qdiscs
            .iter()
            .any(|message| tc::word(message, 4) == Some(index.0) && tc::word(message, 8) == Some(tc::CLSACT)))
    }

    pub(super) fn add_qdisc(&mut self, index: IfIndex) -> Result<(), CallFailure> {
        let request =
            Builder::new(&tcmsg(index, tc::CLSACT, TC_H_CLSACT, 0)).push_str(libc::TCA_KIND, "clsact").finish();
        self.0.request(libc::RTM_NEWQDISC, CREATE | EXCL, &request)
    }

    pub(super) fn delete_qdisc(&mut self, index: IfIndex) -> Result<(), CallFailure> {
        self.0.request(libc::RTM_DELQDISC, 0, &tcmsg(index, tc::CLSACT, TC_H_CLSACT, 0))
    }

    /// Adds our filter, or replaces the program of the one that is there.
    pub(super) fn set_filter(
        &mut self,
        index: IfIndex,
        side: HookSide,
        name: &str,
        program: RawFd,
    ) -> Result<(), CallFailure> {
        let options = Builder::default()
            .push(TCA_BPF_FD, &program.to_ne_bytes())
            .push_str(tc::BPF_NAME, name)
            .push_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
        let request = Builder::new(&our_filter(index, side))
            .push_str(libc::TCA_KIND, "bpf")
            .push_nested(libc::TCA_OPTIONS, &options)
            .finish();
        self.0.request(libc::RTM_NEWTFILTER, CREATE, &request)
    }

    pub(super) fn delete_filter(&mut self, index: IfIndex, side: HookSide) -> Result<(), CallFailure> {
        self.0.request(libc::RTM_DELTFILTER, 0, &our_filter(index, side))
    }

    /// All filters on one side of an interface; none if it has no qdisc for them.
    pub(super) fn filters(&mut self, index: IfIndex, side: HookSide) -> Result<Vec<Filter>, CallFailure> {
        tc::filters_of(&mut self.0, index, parent(side))
    }
}

fn our_filter(index: IfIndex, side: HookSide) -> Vec<u8> {
    let protocol = EVERY_PROTOCOL.to_be();
    tcmsg(index, HANDLE, parent(side), u32::from(PRIORITY) << 16 | u32::from(protocol))
}
