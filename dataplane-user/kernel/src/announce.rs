//! Announcing the addresses of an interface, through it or through another.

use aggctl_common::IfIndex;
use aggctl_engine::announce::frames_as;

use crate::{
    error::KernelError,
    netlink::Netlink,
    packet::{PacketSender, SendError},
    sysctl,
};

/// Tells the neighbours, once for each address that interface `of` has at this moment, that it is reached through
/// `through`.
///
/// # Errors
///
/// [`KernelError::Gone`] if `of` is not there, else what the kernel refuses. An interface that is down, or whose queue is
/// full, is no error: nobody can hear it, and whoever comes later asks.
pub fn send(netlink: &mut Netlink, sender: &PacketSender, of: IfIndex, through: IfIndex) -> Result<(), KernelError> {
    let Some(link) = netlink.link(of)? else { return Err(KernelError::Gone(format!("interface {of}"))) };
    let addresses = netlink.addresses_of(of)?;
    for frame in frames_as(sysctl::role(&link.name)?, link.mac, &addresses) {
        match sender.send(through, &frame) {
            Ok(()) | Err(SendError::Down(_) | SendError::Full(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
