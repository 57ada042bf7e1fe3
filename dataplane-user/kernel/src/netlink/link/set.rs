//! Settings of interfaces.

use std::net::Ipv6Addr;

use aggctl_common::{IfIndex, Mac};
use rustix::io::Errno;

use super::{
    super::{INET6, Netlink, tlv::Builder, unless},
    ALLMULTI, NEWLINK, PROMISC, UP, attr, header,
};
use crate::{
    error::{KernelError, SET_MAC},
    transaction::fault,
};

/// `RTM_DELLINK`.
const DELLINK: u16 = libc::RTM_DELLINK;

impl Netlink {
    /// Removes an interface. Fine if it is not there.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_link(&mut self, index: IfIndex) -> Result<(), KernelError> {
        let result = self.socket.request(DELLINK, 0, &header(index, 0, 0));
        unless(result, &[Errno::NODEV]).map_err(|failure| self.refused(index, "delete interface", failure))
    }

    /// Sets an interface administratively up or down.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_admin(&mut self, index: IfIndex, up: bool) -> Result<(), KernelError> {
        self.set_flag(index, UP, up, if up { "set up" } else { "set down" })
    }

    /// Sets or clears the promiscuous flag.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_promisc(&mut self, index: IfIndex, on: bool) -> Result<(), KernelError> {
        self.set_flag(index, PROMISC, on, "set promiscuous mode")
    }

    /// Sets or clears the all-multicast flag.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_allmulti(&mut self, index: IfIndex, on: bool) -> Result<(), KernelError> {
        self.set_flag(index, ALLMULTI, on, "set all-multicast mode")
    }

    fn set_flag(&mut self, index: IfIndex, flag: u32, on: bool, call: &'static str) -> Result<(), KernelError> {
        let message = header(index, if on { flag } else { 0 }, flag);
        self.socket.request(NEWLINK, 0, &message).map_err(|failure| self.refused(index, call, failure))
    }

    /// Sets the MTU, octets.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_mtu(&mut self, index: IfIndex, mtu: u32) -> Result<(), KernelError> {
        self.change(index, "set MTU", |message| message.push_u32(attr::MTU, mtu))
    }

    /// Sets the MAC. Some drivers refuse that while the interface is up: then, and only then, it is taken down for
    /// the moment, which costs it its IPv6 routes and, without `keep_addr_on_down`, its IPv6 addresses.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_mac(&mut self, index: IfIndex, mac: Mac) -> Result<(), KernelError> {
        match self.set_living_mac(index, mac) {
            Err(KernelError::Refused { failure, .. }) if failure.is(&[Errno::BUSY]) => {
                self.set_admin(index, false)?;
                let changed = self.set_living_mac(index, mac);
                self.set_admin(index, true)?;
                changed
            }
            other => other,
        }
    }

    /// Sets the MAC, and leaves the interface up if it is.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EBUSY` if the driver does that only while the interface is down.
    pub fn set_living_mac(&mut self, index: IfIndex, mac: Mac) -> Result<(), KernelError> {
        let Some(link) = self.link(index)?.filter(|link| link.mac != mac) else { return Ok(()) };
        if fault::keeps_mac(&link.name) {
            return Err(KernelError::refused(link.name, SET_MAC, Errno::OPNOTSUPP));
        }
        self.change(index, SET_MAC, |message| message.push(attr::ADDRESS, &mac.0))
    }

    /// Sets how IPv6 addresses are generated (`IN6_ADDR_GEN_MODE_*`).
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EAFNOSUPPORT` if the interface has no IPv6.
    pub fn set_addr_gen_mode(&mut self, index: IfIndex, mode: u8) -> Result<(), KernelError> {
        let inet6 = Builder::default().push(attr::INET6_ADDR_GEN_MODE, &[mode]);
        let spec = Builder::default().push_nested(u16::from(INET6), &inet6);
        self.change(index, "set IPv6 address generation", |message| message.push_nested(attr::AF_SPEC, &spec))
    }

    /// Sets the interface identifier of IPv6 addresses from router advertisements; zero is none.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EINVAL` where the interface does not receive router advertisements.
    pub fn set_token(&mut self, index: IfIndex, token: Ipv6Addr) -> Result<(), KernelError> {
        let inet6 = Builder::default().push(attr::INET6_TOKEN, &token.octets());
        let spec = Builder::default().push_nested(u16::from(INET6), &inet6);
        self.change(index, "set IPv6 token", |message| message.push_nested(attr::AF_SPEC, &spec))
    }

    pub(super) fn change(
        &mut self,
        index: IfIndex,
        call: &'static str,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Result<(), KernelError> {
        let message = with(Builder::new(&header(index, 0, 0))).finish();
        self.socket.request(NEWLINK, 0, &message).map_err(|failure| self.refused(index, call, failure))
    }
}
