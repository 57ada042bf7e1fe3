//! Traffic control: what is attached to the ingress of an interface besides us.

use aggctl_common::IfIndex;
use rustix::io::Errno;

use super::{
    Netlink,
    tlv::{Attributes, Builder, u32_of},
};
use crate::error::KernelError;

/// Octets of `struct tcmsg`.
const HEADER: usize = 20;
/// The ingress of clsact and of the ingress qdisc (`TC_H_CLSACT`, `TC_H_MIN_INGRESS`).
const INGRESS: u32 = 0xffff_fff2;
/// The egress of clsact (`TC_H_MIN_EGRESS`).
const EGRESS: u32 = 0xffff_fff3;
/// `TCA_KIND`.
const ATTR_KIND: u16 = 1;
/// `TCA_OPTIONS`.
const ATTR_OPTIONS: u16 = 2;
/// `TCA_BPF_NAME`.
const ATTR_BPF_NAME: u16 = 7;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its kind: `bpf`, `flower`, `matchall`, …
    pub kind: String,
    /// Name of the program, of a `bpf` filter.
    pub program: Option<String>,
    /// Its priority; the lowest runs first.
    pub priority: u16,
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
        let mut header = [0; HEADER];
        header[4..8].copy_from_slice(&index.0.to_ne_bytes());
        header[12..16].copy_from_slice(&parent.to_ne_bytes());
        match self.socket.dump(libc::RTM_GETTFILTER, &Builder::new(&header).finish()) {
            Ok(messages) => Ok(messages),
            // The interface went away, or this kernel has no traffic control.
            Err(failure) if failure.is(&[Errno::NODEV, Errno::OPNOTSUPP]) => Ok(Vec::new()),
            Err(failure) => Err(self.refused(index, "list filters", failure)),
        }
    }

    /// Where there can be filters: interfaces, and what to ask them for.
    pub(crate) fn filter_places(&mut self) -> Result<Vec<(IfIndex, u32)>, KernelError> {
        let messages = match self.socket.dump(libc::RTM_GETQDISC, &[0; HEADER]) {
            Err(failure) if failure.is(&[Errno::OPNOTSUPP]) => Vec::new(),
            other => other.map_err(|failure| KernelError::refused("queueing disciplines", "list", failure))?,
        };
        Ok(messages.iter().flat_map(|message| places(message)).collect())
    }
}

/// Where a queueing discipline has filters. The usual ones, which the kernel makes, have none.
fn places(message: &[u8]) -> Vec<(IfIndex, u32)> {
    let word = |at: usize| message.get(at..).and_then(u32_of);
    let (Some(index), Some(handle)) = (word(4).map(IfIndex), word(8)) else { return Vec::new() };
    let kind = Attributes::after(message, HEADER).string(ATTR_KIND).unwrap_or_default();
    match kind.as_str() {
        "clsact" => vec![(index, INGRESS), (index, EGRESS)],
        "ingress" => vec![(index, INGRESS)],
        _ if handle == 0 => Vec::new(),
        _ => vec![(index, handle)],
    }
}

/// A filter. The kernel also lists each priority that has filters, as one without a handle: not that.
fn parse(message: &[u8]) -> Option<Filter> {
    let header = message.first_chunk::<HEADER>()?;
    let handle = u32_of(&header[8..])?;
    let info = u32_of(&header[16..])?;
    let attributes = Attributes::after(message, HEADER);
    let kind = attributes.string(ATTR_KIND)?;
    let options = attributes.find(ATTR_OPTIONS).map(Attributes::nested);
    let program = options.filter(|_| kind == "bpf").and_then(|options| options.string(ATTR_BPF_NAME));
    #[allow(clippy::cast_possible_truncation, reason = "the upper half is shifted down")]
    let priority = (info >> 16) as u16;
    (handle != 0).then_some(Filter { kind, program, priority })
}
