//! clsact: filters of a qdisc, for kernels without tcx. A filter outlives the process by itself.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use aggctl_common::IfIndex;
use aya_obj::generated::bpf_attach_type::{BPF_TCX_EGRESS, BPF_TCX_INGRESS};
use rustix::io::Errno;

use super::{
    AttachPoint, HookKind, HookSide, link,
    tc::{Tc, is_ours, sees_before_ours},
};
use crate::dataplane::{
    error::DataplaneError,
    pins::{self, ProgramRole},
};

/// Filters of the clsact qdisc.
///
/// Minimum kernel version: 4.5.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clsact;

impl HookKind for Clsact {
    fn attach(&self, site: AttachPoint<'_>, program: BorrowedFd<'_>) -> Result<(), DataplaneError> {
        let failed = |call| move |failure| DataplaneError::hook(site.index, call, failure);
        let mut tc = Tc::open().map_err(|error| DataplaneError::hook(site.index, "netlink socket", error))?;
        if !tc.has_qdisc(site.index).map_err(failed("list qdiscs"))? {
            // The mark comes first: a qdisc of ours that nobody knows to be ours would stay for ever.
            let mark = site.pins.qdisc_mark(site.role, site.index);
            pins::make_mark(&mark)?;
            match tc.add_qdisc(site.index) {
                Err(failure) if failure.is(&[Errno::EXIST]) => pins::remove_mark(&mark)?,
                Err(failure) if failure.is(&[Errno::NODEV]) => {
                    pins::remove_mark(&mark)?;
                    return Err(DataplaneError::NoInterface(site.index));
                }
                result => result.map_err(failed("add qdisc clsact"))?,
            }
        }
        let program = program.as_raw_fd();
        tc.set_filter(site.index, site.side, label(site.role), program).map_err(failed("set clsact filter"))
    }

    fn detach(&self, site: AttachPoint<'_>) -> Result<(), DataplaneError> {
        if site.index == IfIndex::NONE {
            // With the interface its qdisc went, also where it was only moved. What is left says whose that was.
            return site.pins.remove_marks(&pins::qdisc_marks(site.role));
        }
        let failed = |call| move |failure| DataplaneError::hook(site.index, call, failure);
        let mut tc = Tc::open().map_err(|error| DataplaneError::hook(site.index, "netlink socket", error))?;
        let filters = tc.filters(site.index, site.side).map_err(failed("list filters"))?;
        if filters.iter().any(|filter| is_ours(filter, label(site.role))) {
            match tc.delete_filter(site.index, site.side) {
                Err(failure) if failure.is(&[Errno::NODEV, Errno::NOENT]) => {}
                result => result.map_err(failed("delete clsact filter"))?,
            }
        }
        let mark = site.pins.qdisc_mark(site.role, site.index);
        if !mark.is_dir() {
            return Ok(());
        }
        let mut left = tc.filters(site.index, HookSide::Ingress).map_err(failed("list filters"))?;
        left.extend(tc.filters(site.index, HookSide::Egress).map_err(failed("list filters"))?);
        if left.is_empty() {
            match tc.delete_qdisc(site.index) {
                Err(failure) if failure.is(&[Errno::NODEV, Errno::NOENT, Errno::INVAL]) => {}
                result => result.map_err(failed("delete qdisc clsact"))?,
            }
        }
        pins::remove_mark(&mark)
    }

    fn attached(&self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
        let mut tc = Tc::open().map_err(|error| DataplaneError::hook(site.index, "netlink socket", error))?;
        let filters = tc
            .filters(site.index, site.side)
            .map_err(|failure| DataplaneError::hook(site.index, "list filters", failure))?;
        Ok(filters.into_iter().find(|filter| is_ours(filter, label(site.role))).and_then(|filter| filter.program_id))
    }

    fn before(&self, site: AttachPoint<'_>) -> Result<Vec<u32>, DataplaneError> {
        let mut tc = Tc::open().map_err(|error| DataplaneError::hook(site.index, "netlink socket", error))?;
        let filters = tc
            .filters(site.index, site.side)
            .map_err(|failure| DataplaneError::hook(site.index, "list filters", failure))?;
        let others = filters.into_iter().filter(sees_before_ours);
        let kind = if site.side == HookSide::Ingress { BPF_TCX_INGRESS } else { BPF_TCX_EGRESS };
        // Those on tcx come first. A kernel that does not know it has none.
        let on_tcx = link::programs(site.index, kind).unwrap_or_default();
        Ok(on_tcx.into_iter().chain(others.filter_map(|filter| filter.program_id)).collect())
    }
}

/// The name that `tc filter show` prints.
const fn label(role: ProgramRole) -> &'static str {
    match role {
        ProgramRole::Tx => "aggctl_tx",
        ProgramRole::Relay => "aggctl_relay",
        ProgramRole::Rx(_) => "aggctl_rx",
        ProgramRole::Xdp(_) => "aggctl_xdp",
    }
}
