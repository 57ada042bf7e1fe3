//! What the bonding driver says of its devices and of their members (`drivers/net/bonding/bond_netlink.c`).

use aggctl_common::IfIndex;
use aggctl_engine::driver::{DriverKind, DriverMembership, DriverMode, DriverState};

use super::{super::tlv::Builder, attr};
use crate::{
    error::KernelError,
    netlink::{Netlink, tlv::Attributes},
};

/// `IFLA_INFO_KIND` of bonding's devices and `IFLA_INFO_SLAVE_KIND` of their members.
pub(super) const KIND: &str = "bond";
/// `IFLA_BOND_MODE`.
const MODE: u16 = 1;
/// `IFLA_BOND_ACTIVE_SLAVE`.
const ACTIVE: u16 = 2;
/// `IFLA_BOND_AD_INFO`, of the ports that are used together, and `IFLA_BOND_AD_INFO_ACTOR_KEY` in it.
const AD_INFO: u16 = 23;
/// See [`AD_INFO`].
const ACTOR_KEY: u16 = 3;
/// `IFLA_BOND_SLAVE_STATE`: 0 is in use (`BOND_STATE_ACTIVE`), 1 is not.
const MEMBER_STATE: u16 = 1;
/// `IFLA_BOND_SLAVE_MII_STATUS`: 0 is up (`BOND_LINK_UP`), 1 about to go down but still in use (`BOND_LINK_FAIL`).
const MEMBER_LINK: u16 = 2;
/// `IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE`: what we do by it and the partner knows of (IEEE 802.1AX-2020, 6.4.2.3).
const MEMBER_PORT_STATE: u16 = 7;
/// Synchronization, collecting and distributing.
const AGREED: u8 = 0b11_1000;

/// What `IFLA_LINKINFO` says of a bonding device; `None` if it is none.
pub(super) fn driver(info: Attributes<'_>) -> Option<DriverState> {
    let data = of_kind(info, attr::INFO_KIND, attr::INFO_DATA)?;
    let mode = DriverMode::of_bonding(*data.find(MODE)?.first()?);
    let kind = DriverKind::Bonding;
    Some(DriverState { kind, mode, active: data.u32(ACTIVE).filter(|index| *index != 0).map(IfIndex) })
}

/// What `IFLA_LINKINFO` says of a member of a bonding device; `None` if it is none.
pub(super) fn membership(info: Attributes<'_>) -> Option<DriverMembership> {
    let data = of_kind(info, attr::INFO_SLAVE_KIND, attr::INFO_SLAVE_DATA)?;
    let (state, link) = (data.find(MEMBER_STATE)?.first()?, data.find(MEMBER_LINK)?.first()?);
    Some(DriverMembership { link: *link <= 1, in_use: *state == 0 })
}

/// The key of the ports that are used together, which `IFLA_LINKINFO` says of a device that speaks LACP.
pub(super) fn actor_key(info: Attributes<'_>) -> Option<u16> {
    let data = of_kind(info, attr::INFO_KIND, attr::INFO_DATA)?;
    let key = data.find(AD_INFO).map(Attributes::nested)?.find(ACTOR_KEY)?;
    key.try_into().ok().map(u16::from_ne_bytes)
}

/// Whether `IFLA_LINKINFO` says of a member that its partner agreed to its use (LACP).
pub(super) fn has_agreed(info: Attributes<'_>) -> bool {
    let state = of_kind(info, attr::INFO_SLAVE_KIND, attr::INFO_SLAVE_DATA)
        .and_then(|data| data.find(MEMBER_PORT_STATE)?.first().copied());
    state.is_some_and(|state| state & AGREED == AGREED)
}

fn of_kind<'a>(info: Attributes<'a>, kind: u16, data: u16) -> Option<Attributes<'a>> {
    info.string(kind).filter(|kind| kind == KIND)?;
    info.find(data).map(Attributes::nested)
}

impl Netlink {
    /// Makes a port of a bonding device in mode active-backup the active one.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: the driver takes no port that has no link.
    pub(super) fn set_bond_active(&mut self, bond: IfIndex, port: IfIndex) -> Result<(), KernelError> {
        let data = Builder::default().push_u32(ACTIVE, port.0);
        let info = Builder::default().push_str(attr::INFO_KIND, KIND).push_nested(attr::INFO_DATA, &data);
        self.change(bond, "set the driver's active port", |message| message.push_nested(attr::LINKINFO, &info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: (u16, &str), data: (u16, Builder)) -> Vec<u8> {
        Builder::default().push_str(kind.0, kind.1).push_nested(data.0, &data.1).finish()
    }

    #[test]
    fn a_bonding_device_says_its_mode_and_its_active_port() {
        let data = Builder::default().push(MODE, &[1]).push_u32(ACTIVE, 7);
        let octets = info((attr::INFO_KIND, KIND), (attr::INFO_DATA, data));
        let state = driver(Attributes::nested(&octets)).unwrap();
        let (kind, active) = (DriverKind::Bonding, Some(IfIndex(7)));
        assert_eq!(state, DriverState { kind, mode: DriverMode::ActiveBackup, active });
        let data = Builder::default().push(MODE, &[4]);
        let octets = info((attr::INFO_KIND, KIND), (attr::INFO_DATA, data.clone()));
        assert_eq!(driver(Attributes::nested(&octets)).unwrap().active, None);
        let octets = info((attr::INFO_KIND, "bridge"), (attr::INFO_DATA, data));
        assert_eq!(driver(Attributes::nested(&octets)), None);
    }

    #[test]
    fn the_ports_that_lacp_uses_together_have_a_key() {
        let together = Builder::default().push(1, &[1, 0]).push(ACTOR_KEY, &15_u16.to_ne_bytes());
        let octets =
            info((attr::INFO_KIND, KIND), (attr::INFO_DATA, Builder::default().push_nested(AD_INFO, &together)));
        assert_eq!(actor_key(Attributes::nested(&octets)), Some(15));
        let octets = info((attr::INFO_KIND, KIND), (attr::INFO_DATA, Builder::default().push(MODE, &[4])));
        assert_eq!(actor_key(Attributes::nested(&octets)), None);
    }

    #[test]
    fn a_partner_has_agreed_when_both_ends_collect_and_distribute() {
        for (state, agreed) in [(63, true), (61, true), (7, false), (15, false), (79, false)] {
            let data = Builder::default().push(MEMBER_PORT_STATE, &[state]);
            let octets = info((attr::INFO_SLAVE_KIND, KIND), (attr::INFO_SLAVE_DATA, data));
            assert_eq!(has_agreed(Attributes::nested(&octets)), agreed, "{state}");
        }
    }

    #[test]
    fn a_member_is_in_use_or_waits_and_has_a_link_or_not() {
        for (state, link, expected) in [
            (0, 0, (true, true)),
            (1, 0, (true, false)),
            (0, 1, (true, true)),
            (1, 2, (false, false)),
            (1, 3, (false, false)),
        ] {
            let data = Builder::default().push(MEMBER_STATE, &[state]).push(MEMBER_LINK, &[link]);
            let octets = info((attr::INFO_SLAVE_KIND, KIND), (attr::INFO_SLAVE_DATA, data));
            let found = membership(Attributes::nested(&octets)).unwrap();
            assert_eq!((found.link, found.in_use), expected);
        }
    }
}
