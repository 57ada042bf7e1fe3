//! Traffic control: what hangs on the ingress of an interface besides us.

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
        let mut header = [0; HEADER];
        header[4..8].copy_from_slice(&index.0.to_ne_bytes());
        header[12..16].copy_from_slice(&INGRESS.to_ne_bytes());
        let query = Builder::new(&header).finish();
        match self.socket.dump(libc::RTM_GETTFILTER, &query) {
            Ok(messages) => Ok(messages.iter().filter_map(|message| parse(message)).collect()),
            // The interface went away, or this kernel has no traffic control.
            Err(failure) if failure.is(&[Errno::NODEV, Errno::OPNOTSUPP]) => Ok(Vec::new()),
            Err(failure) => Err(self.refused(index, "list ingress filters", failure)),
        }
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
