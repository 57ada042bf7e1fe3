//! Policy routing rules. They are only read: rules that name a port are the owner's to change.

use super::{INET, INET6, Netlink, tlv::Attributes};
use crate::error::KernelError;

/// Octets of `struct fib_rule_hdr`.
const HEADER: usize = 12;
/// `FRA_IIFNAME`.
const ATTR_IIFNAME: u16 = 3;
/// `FRA_PRIORITY`.
const ATTR_PRIORITY: u16 = 6;
/// `FRA_OIFNAME`.
const ATTR_OIFNAME: u16 = 17;
/// `FRA_SUPPRESS_IFGROUP`.
const ATTR_SUPPRESS_GROUP: u16 = 13;

/// What the kernel says where a rule suppresses no group.
const NO_GROUP: u32 = u32::MAX;

/// A rule, as far as it can concern a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// IPv6, else IPv4.
    pub v6: bool,
    /// Its place in the order; the lowest comes first.
    pub priority: u32,
    /// It matches what arrives on this interface.
    pub iif: Option<String>,
    /// It matches what sockets bound to this interface send.
    pub oif: Option<String>,
    /// Routes by interfaces of this group do not count.
    pub suppressed_group: Option<u32>,
}

impl Netlink {
    /// All rules.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn rules(&mut self) -> Result<Vec<RoutingRule>, KernelError> {
        let mut rules = Vec::new();
        for family in [INET, INET6] {
            let mut query = [0; HEADER];
            query[0] = family;
            let messages = match self.socket.dump(libc::RTM_GETRULE, &query) {
                Ok(messages) => messages,
                // A kernel without policy routing for this family has no rules.
                Err(failure) if failure.is(&[rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::OPNOTSUPP]) => continue,
                Err(failure) => return Err(KernelError::refused("rules", "list", failure)),
            };
            rules.extend(messages.iter().filter(|message| message.first() == Some(&family)).map(|message| {
                let attributes = Attributes::after(message, HEADER);
                RoutingRule {
                    v6: family == INET6,
                    priority: attributes.u32(ATTR_PRIORITY).unwrap_or_default(),
                    iif: attributes.string(ATTR_IIFNAME),
                    oif: attributes.string(ATTR_OIFNAME),
                    suppressed_group: attributes.u32(ATTR_SUPPRESS_GROUP).filter(|group| *group != NO_GROUP),
                }
            }));
        }
        Ok(rules)
    }
}
