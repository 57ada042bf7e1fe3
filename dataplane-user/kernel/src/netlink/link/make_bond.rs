//! Bonding devices that we make, and their members.

use aggctl_common::{IfIndex, Mac, hash::Policy};
use aggctl_engine::{
    bond::BondSettings,
    config::{AdSelect, LacpConfig, LacpRate},
    driver::DriverMode,
};
use rustix::io::Errno;

use super::{
    super::{CREATE, EXCL, tlv::Builder},
    GETLINK, HEADER, NEWLINK, attr, bond, header, parse, skip_stats,
};
use crate::{
    error::KernelError,
    netlink::{Netlink, tlv::Attributes},
};

/// `IFLA_BOND_*`.
mod option {
    pub(super) const MODE: u16 = 1;
    pub(super) const MIIMON: u16 = 3;
    pub(super) const XMIT_HASH_POLICY: u16 = 14;
    pub(super) const AD_LACP_RATE: u16 = 21;
    pub(super) const AD_SELECT: u16 = 22;
    pub(super) const AD_ACTOR_SYS_PRIO: u16 = 24;
}

/// `IN6_ADDR_GEN_MODE_NONE`.
const ADDR_GEN_NONE: u8 = 1;
/// The device that the module makes as it is loaded, unless it is told not to (`max_bonds`).
const UNASKED: &str = "bond0";

impl Netlink {
    /// Whether the kernel has the bonding driver, which is loaded if it is a module. Nothing is made to find that out:
    /// it is asked for a device with a multicast MAC, which no interface may have. What the module makes by itself as
    /// it is loaded is removed.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn has_bonding(&mut self) -> Result<bool, KernelError> {
        let former = self.link_named(UNASKED)?;
        let probe = request("aggctl-probe", Mac([1, 0, 0, 0, 0, 0]), 1500, &Builder::default());
        let there = match self.socket.request(NEWLINK, CREATE | EXCL, &probe) {
            Err(failure) => failure.is(&[Errno::ADDRNOTAVAIL]),
            // Not the kernel that we know.
            Ok(()) => match self.link_named("aggctl-probe")? {
                Some(link) => self.delete_link(link.index).map(|()| true)?,
                None => true,
            },
        };
        if former.is_none()
            && let Some(link) = self.link_named(UNASKED)?.filter(|link| link.kind == bond::KIND && !link.admin_up)
        {
            self.delete_link(link.index)?;
        }
        Ok(there)
    }

    /// Makes a bonding device: down, without members and without IPv6 address generation. One that is there and has
    /// this MAC is taken for it.
    ///
    /// # Errors
    ///
    /// [`KernelError::NameTaken`] if the name belongs to something else; else what the kernel refuses.
    pub fn create_bond(&mut self, settings: &BondSettings) -> Result<(), KernelError> {
        let name = settings.name.as_str();
        match self.socket.request(
            NEWLINK,
            CREATE | EXCL,
            &request(name, settings.mac, settings.mtu, &options(settings)),
        ) {
            Err(failure) if failure.is(&[Errno::EXIST]) => {}
            other => other.map_err(|failure| KernelError::refused(name, "create bonding device", failure))?,
        }
        let ours = self.link_named(name)?.filter(|link| link.kind == bond::KIND && link.mac == settings.mac);
        let link = ours.ok_or_else(|| KernelError::NameTaken(name.to_owned()))?;
        match self.set_addr_gen_mode(link.index, ADDR_GEN_NONE) {
            // Without IPv6 there are no addresses to be generated.
            Err(KernelError::Refused { failure, .. }) if failure.is(&[Errno::AFNOSUPPORT, Errno::OPNOTSUPP]) => Ok(()),
            other => other,
        }
    }

    /// Removes a bonding device. Fine if this is none. (It has another MAC when its last member has left it.)
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_bond(&mut self, index: IfIndex) -> Result<(), KernelError> {
        match self.link(index)? {
            Some(link) if link.kind == bond::KIND => self.delete_link(index),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes `port` a member of `device`, or of none that is a member of it. Fine if that is so.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: the driver takes none that is up.
    pub fn set_member(&mut self, port: IfIndex, device: IfIndex, member: bool) -> Result<(), KernelError> {
        let is_member = self.link(port)?.is_some_and(|link| link.master == Some(device));
        if is_member == member {
            return Ok(());
        }
        let (call, master) = if member { ("make a port of the bond", device) } else { ("release", IfIndex::NONE) };
        self.change(port, call, |message| message.push_u32(attr::MASTER, master.0))
    }

    /// The key that the members of a bonding device have which are used together (LACP), if there are any.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn lacp_key(&mut self, device: IfIndex) -> Result<Option<u16>, KernelError> {
        let found = self.get_link(&format!("interface {device}"), &skip_stats(device).finish())?;
        let info = found.as_ref().and_then(|(_, message)| Attributes::after(message, HEADER).find(attr::LINKINFO));
        Ok(info.map(Attributes::nested).and_then(bond::actor_key))
    }

    /// Whether the driver sends and receives by a member of `device`; `agreed`: and its partner agreed to that (LACP).
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn has_member_in_use(&mut self, device: IfIndex, agreed: bool) -> Result<bool, KernelError> {
        let messages = self.dump("interfaces", GETLINK, &skip_stats(IfIndex::NONE).finish())?;
        let in_use = |message: &[u8]| {
            let link = parse(message).filter(|link| link.master == Some(device));
            let info = Attributes::after(message, HEADER).find(attr::LINKINFO).map(Attributes::nested);
            link.and_then(|link| link.membership).is_some_and(|member| member.link && member.in_use)
                && (!agreed || info.is_some_and(bond::has_agreed))
        };
        Ok(messages.iter().any(|message| in_use(message)))
    }
}

/// The message that asks for a device.
fn request(name: &str, mac: Mac, mtu: u32, options: &Builder) -> Vec<u8> {
    let info = Builder::default().push_str(attr::INFO_KIND, bond::KIND).push_nested(attr::INFO_DATA, options);
    Builder::new(&header(IfIndex::NONE, 0, 0))
        .push_str(attr::IFNAME, name)
        .push(attr::ADDRESS, &mac.0)
        .push_u32(attr::MTU, mtu)
        .push_nested(attr::LINKINFO, &info)
        .finish()
}

/// What is particular to it.
fn options(settings: &BondSettings) -> Builder {
    let policy: u8 = match settings.policy {
        Policy::Layer2 => 0,
        Policy::Layer34 => 1,
        Policy::Layer23 => 2,
    };
    let options = Builder::default()
        .push(option::MODE, &[number(settings.mode)])
        .push_u32(option::MIIMON, settings.poll_ms)
        .push(option::XMIT_HASH_POLICY, &[policy]);
    if settings.mode == DriverMode::Lacp { lacp(options, &settings.lacp) } else { options }
}

fn lacp(options: Builder, lacp: &LacpConfig) -> Builder {
    let rate: u8 = match lacp.rate {
        LacpRate::Slow => 0,
        LacpRate::Fast => 1,
    };
    let select: u8 = match lacp.select {
        AdSelect::Stable => 0,
        AdSelect::Bandwidth => 1,
        AdSelect::Count => 2,
    };
    options
        .push(option::AD_LACP_RATE, &[rate])
        .push(option::AD_SELECT, &[select])
        .push(option::AD_ACTOR_SYS_PRIO, &lacp.system_priority.to_ne_bytes())
}

/// bonding's number of a mode (`BOND_MODE_*` in linux/if_bonding.h) that we make devices of.
const fn number(mode: DriverMode) -> u8 {
    match mode {
        DriverMode::RoundRobin => 0,
        DriverMode::ActiveBackup => 1,
        DriverMode::Lacp => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_for_with_the_mode_that_it_then_says() {
        for mode in [DriverMode::RoundRobin, DriverMode::ActiveBackup, DriverMode::Hash, DriverMode::Lacp] {
            let settings = BondSettings {
                name: "agg0".into(),
                mode,
                mac: Mac([2, 0, 0, 0, 0, 1]),
                mtu: 1500,
                poll_ms: 10,
                policy: Policy::Layer23,
                lacp: LacpConfig { on: true, rate: LacpRate::Fast, system_priority: 7, select: AdSelect::Count },
            };
            let message = request("agg0", settings.mac, settings.mtu, &options(&settings));
            let link = parse(&message).unwrap();
            assert_eq!((link.name.as_str(), link.mac, link.mtu), ("agg0", settings.mac, 1500));
            assert_eq!(link.driver.unwrap().mode, mode);
            let info = Attributes::nested(Attributes::after(&message, HEADER).find(attr::LINKINFO).unwrap());
            let data = Attributes::nested(info.find(attr::INFO_DATA).unwrap());
            assert_eq!(data.find(option::XMIT_HASH_POLICY), Some(&[2][..]));
            let lacp = [option::AD_LACP_RATE, option::AD_SELECT].map(|kind| data.find(kind).map(|value| value[0]));
            let speaks = mode == DriverMode::Lacp;
            assert_eq!(lacp, [speaks.then_some(1), speaks.then_some(2)]);
        }
    }
}
