//! Traffic control: queueing disciplines and the filters that are attached to an interface, ours and those of others.

use aggctl_common::IfIndex;
use aya_obj::generated::{TC_H_MIN_EGRESS, TC_H_MIN_INGRESS};
use rustix::io::Errno;

use super::{
    Netlink,
    socket::Socket,
    tlv::{Attributes, u32_of},
};
use crate::error::{CallFailure, KernelError};

/// Octets of `struct tcmsg`.
pub(crate) const TCMSG: usize = 20;
/// Handle of the clsact (or ingress) qdisc; an interface has one at most.
pub(crate) const CLSACT: u32 = 0xffff_0000;
/// What filters see frames that come in, of clsact and of the ingress qdisc.
pub(crate) const INGRESS: u32 = CLSACT | TC_H_MIN_INGRESS;
/// What filters see frames that go out, of clsact.
pub(crate) const EGRESS: u32 = CLSACT | TC_H_MIN_EGRESS;
/// `TCA_BPF_NAME`: the name of a program, as `tc` shows it.
pub(crate) const BPF_NAME: u16 = 7;
/// `TCA_BPF_ID`: the kernel's number of a program.
const BPF_ID: u16 = 11;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its kind: `bpf`, `flower`, `matchall`, …
    pub kind: String,
    /// Name of the program, of a `bpf` filter.
    pub program: Option<String>,
    /// The kernel's number of the program, of a `bpf` filter.
    pub program_id: Option<u32>,
    /// Its priority; the lowest runs first.
    pub priority: u16,
    /// Its number among those of its priority.
    pub handle: u32,
}

impl Netlink {
    /// The filters on the ingress of clsact or the ingress qdisc of an interface; none if it has no such qdisc.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn ingress_filters(&mut self, index: IfIndex) -> Result<Vec<Filter>, KernelError> {
        Ok(self.filters(index, INGRESS)?.iter().filter_map(|message| parse(message)).collect())
    }

    /// The filters of a queueing discipline of an interface, as the kernel describes them.
    pub(crate) fn filters(&mut self, index: IfIndex, parent: u32) -> Result<Vec<Vec<u8>>, KernelError> {
        match dump(&mut self.socket, index, parent) {
            Ok(messages) => Ok(messages),
            // The interface went away, or this kernel has no traffic control.
            Err(failure) if failure.is(&[Errno::NODEV, Errno::OPNOTSUPP]) => Ok(Vec::new()),
            Err(failure) => Err(self.refused(index, "list filters", failure)),
        }
    }

    /// Where there can be filters: interfaces, and what to ask them for.
    pub(crate) fn filter_places(&mut self) -> Result<Vec<(IfIndex, u32)>, KernelError> {
        let messages = match self.socket.dump(libc::RTM_GETQDISC, &[0; TCMSG]) {
            Err(failure) if failure.is(&[Errno::OPNOTSUPP]) => Vec::new(),
            other => other.map_err(|failure| KernelError::refused("queueing disciplines", "list", failure))?,
        };
        Ok(messages.iter().flat_map(|message| places(message)).collect())
    }
}

/// Where a queueing discipline has filters. The usual ones, which the kernel makes, have none.
fn places(message: &[u8]) -> Vec<(IfIndex, u32)> {
    let (Some(index), Some(handle)) = (word(message, 4).map(IfIndex), word(message, 8)) else { return Vec::new() };
    let kind = Attributes::after(message, TCMSG).string(libc::TCA_KIND).unwrap_or_default();
    match kind.as_str() {
        "clsact" => vec![(index, INGRESS), (index, EGRESS)],
        "ingress" => vec![(index, INGRESS)],
        _ if handle == 0 => Vec::new(),
        _ => vec![(index, handle)],
    }
}

/// The filters of a queueing discipline of an interface, as the kernel describes them.
fn dump(socket: &mut Socket, index: IfIndex, parent: u32) -> Result<Vec<Vec<u8>>, CallFailure> {
    socket.dump(libc::RTM_GETTFILTER, &tcmsg(index, 0, parent, 0))
}

/// The filters of a queueing discipline of an interface; none if it has no such one.
pub(crate) fn filters_of(socket: &mut Socket, index: IfIndex, parent: u32) -> Result<Vec<Filter>, CallFailure> {
    Ok(dump(socket, index, parent)?.iter().filter_map(|message| parse(message)).collect())
}

/// `struct tcmsg`: family and padding, interface, handle, parent, info.
pub(crate) fn tcmsg(index: IfIndex, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index.0, handle, parent, info].into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// A word of the header of a message.
pub(crate) fn word(message: &[u8], offset: usize) -> Option<u32> {
    message.get(offset..).and_then(u32_of)
}

/// The kind of a filter, and what is particular to the kind.
pub(crate) fn kind_and_options(message: &[u8]) -> Option<(String, Option<Attributes<'_>>)> {
    let attributes = Attributes::after(message, TCMSG);
    Some((attributes.string(libc::TCA_KIND)?, attributes.find(libc::TCA_OPTIONS).map(Attributes::nested)))
}

/// A filter. The kernel also lists each priority that has filters, as one without a handle: not that.
fn parse(message: &[u8]) -> Option<Filter> {
    let handle = word(message, 8).filter(|handle| *handle != 0)?;
    let info = word(message, 16)?;
    let (kind, options) = kind_and_options(message)?;
    let options = options.filter(|_| kind == "bpf");
    #[allow(clippy::cast_possible_truncation, reason = "the upper half is shifted down")]
    let priority = (info >> 16) as u16;
    Some(Filter {
        program: options.and_then(|options| options.string(BPF_NAME)),
        program_id: options.and_then(|options| options.u32(BPF_ID)),
        kind,
        priority,
        handle,
    })
}
