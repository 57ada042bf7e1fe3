//! What the team driver says of its devices and of their members, and what it is told (linux/if_team.h).

use std::{collections::BTreeMap, io};

use aggctl_common::IfIndex;
use aggctl_engine::driver::{DriverKind, DriverMembership, DriverMode, DriverState};
use rtnetlink::sys::protocols::NETLINK_GENERIC;
use rustix::io::Errno;

use super::{Family, HEADER, header};
use crate::{
    error::CallFailure,
    netlink::{
        socket::Socket,
        tlv::{Attributes, Builder, string_of, u32_of},
    },
};

/// `TEAM_GENL_NAME`: the family.
pub(crate) const FAMILY: &str = "team";
/// `TEAM_GENL_CHANGE_EVENT_MC_GRP_NAME`: who listens is told of changes of options and ports.
pub(crate) const CHANGES: &str = "change_event";

/// Commands (`TEAM_CMD_*`).
mod command {
    pub(super) const OPTIONS_SET: u8 = 1;
    pub(super) const OPTIONS_GET: u8 = 2;
    pub(super) const PORT_LIST_GET: u8 = 3;
}

/// Attributes (`TEAM_ATTR_*`).
mod attr {
    pub(super) const TEAM: u16 = 1;
    pub(super) const OPTIONS: u16 = 2;
    pub(super) const PORTS: u16 = 3;
    /// Each of a list.
    pub(super) const ITEM: u16 = 1;
    pub(super) const OPTION_NAME: u16 = 1;
    pub(super) const OPTION_TYPE: u16 = 3;
    pub(super) const OPTION_DATA: u16 = 4;
    pub(super) const OPTION_PORT: u16 = 6;
    pub(super) const PORT: u16 = 1;
    pub(super) const PORT_LINK: u16 = 3;
}

/// `NLA_U32`, as the type of an option.
const U32: u8 = 3;
/// `NLA_FLAG`, as the type of an option: it is on if there is a value.
const FLAG: u8 = 6;

/// Options (drivers/net/team).
mod option {
    pub(super) const MODE: &str = "mode";
    pub(super) const ACTIVE: &str = "activeport";
    pub(super) const ENABLED: &str = "enabled";
    pub(super) const USER_LINK: &str = "user_linkup";
    pub(super) const USER_LINK_COUNTS: &str = "user_linkup_enabled";
    pub(super) const ALL: [&str; 5] = [MODE, ACTIVE, ENABLED, USER_LINK, USER_LINK_COUNTS];
}

/// What the driver says of a device and of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TeamReport {
    /// Of the device.
    pub(crate) driver: DriverState,
    /// Of each member.
    pub(crate) ports: BTreeMap<IfIndex, DriverMembership>,
}

/// What the driver's options say of a member.
#[derive(Clone, Copy, Debug, Default)]
struct PortOptions {
    enabled: bool,
    user_link: bool,
    user_link_counts: bool,
}

/// By which the driver is asked and told, in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct TeamSocket {
    socket: Socket,
    /// Once the kernel has it.
    family: Option<Family>,
}

impl TeamSocket {
    /// Opens a socket. Nothing is asked yet.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open(NETLINK_GENERIC)?, family: None })
    }

    /// Asks for a device; `None` if it is none of the driver's, or if we may not ask (that takes `CAP_NET_ADMIN`).
    pub(crate) fn ask(&mut self, team: IfIndex) -> Result<Option<TeamReport>, CallFailure> {
        let Some(options) = self.list(command::OPTIONS_GET, team)? else { return Ok(None) };
        let Some(ports) = self.list(command::PORT_LIST_GET, team)? else { return Ok(None) };
        Ok(report(&options, &ports))
    }

    /// Makes a member the active one, which must be enabled for that: teamd disables the others.
    pub(crate) fn set_active(&mut self, team: IfIndex, port: IfIndex) -> Result<(), CallFailure> {
        let enabled = Builder::default()
            .push_str(attr::OPTION_NAME, option::ENABLED)
            .push(attr::OPTION_TYPE, &[FLAG])
            .push(attr::OPTION_DATA, &[])
            .push_u32(attr::OPTION_PORT, port.0);
        let active = Builder::default()
            .push_str(attr::OPTION_NAME, option::ACTIVE)
            .push(attr::OPTION_TYPE, &[U32])
            .push_u32(attr::OPTION_DATA, port.0);
        let options = Builder::default().push_nested(attr::ITEM, &enabled).push_nested(attr::ITEM, &active);
        let request = Builder::new(&header(command::OPTIONS_SET)).push_u32(attr::TEAM, team.0);
        let family = self.family()?.ok_or(Errno::NOENT)?;
        self.socket.request(family, 0, &request.push_nested(attr::OPTIONS, &options).finish())
    }

    fn list(&mut self, command: u8, team: IfIndex) -> Result<Option<Vec<Vec<u8>>>, CallFailure> {
        let Some(family) = self.family()? else { return Ok(None) };
        let query = Builder::new(&header(command)).push_u32(attr::TEAM, team.0).finish();
        match self.socket.list(family, &query) {
            Ok(messages) => Ok(Some(messages)),
            Err(failure) if failure.is(&[Errno::INVAL, Errno::NODEV, Errno::PERM]) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The kind of the driver's messages.
    fn family(&mut self) -> Result<Option<u16>, CallFailure> {
        if self.family.is_none() {
            self.family = Family::ask(&mut self.socket, FAMILY)?;
        }
        Ok(self.family.as_ref().map(|family| family.id))
    }
}

/// What the driver told of options that we ask for, by device, option and port. A daemon may set the same value a
/// thousand times a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToldOptions(BTreeMap<(IfIndex, String, Option<IfIndex>), Option<Vec<u8>>>);

impl ToldOptions {
    /// The device of which a message tells something new that we ask for: of a port, or of an option that we know. Of
    /// the counters of its balancer, which are options, too, it may tell all the time.
    pub(crate) fn changed(&mut self, message: &[u8]) -> Option<IfIndex> {
        let attributes = Attributes::after(message, HEADER);
        let team = attributes.u32(attr::TEAM).map(IfIndex)?;
        let mut matters = attributes.find(attr::PORTS).is_some();
        for (_, item) in Attributes::nested(attributes.find(attr::OPTIONS).unwrap_or_default()) {
            let item = Attributes::nested(item);
            let Some(name) = item.string(attr::OPTION_NAME).filter(|name| option::ALL.contains(&name.as_str())) else {
                continue;
            };
            let value = item.find(attr::OPTION_DATA).map(<[u8]>::to_vec);
            let port = item.u32(attr::OPTION_PORT).map(IfIndex);
            matters |= self.0.insert((team, name, port), value.clone()) != Some(value);
        }
        matters.then_some(team)
    }

    /// Forgets what was told of devices that are gone.
    pub(crate) fn retain(&mut self, is_there: impl Fn(IfIndex) -> bool) {
        self.0.retain(|(team, ..), _| is_there(*team));
    }
}

fn report(options: &[Vec<u8>], ports: &[Vec<u8>]) -> Option<TeamReport> {
    let (mut mode, mut active) = (None, None);
    let mut known: BTreeMap<IfIndex, PortOptions> = BTreeMap::new();
    for item in items(options, attr::OPTIONS) {
        let (Some(name), value) = (item.find(attr::OPTION_NAME), item.find(attr::OPTION_DATA)) else { continue };
        let port = item.u32(attr::OPTION_PORT).map(IfIndex);
        match (string_of(name).as_str(), port) {
            (option::MODE, None) => mode = value.map(string_of),
            (option::ACTIVE, None) => active = value.and_then(u32_of).filter(|index| *index != 0).map(IfIndex),
            (option::ENABLED, Some(port)) => known.entry(port).or_default().enabled = value.is_some(),
            (option::USER_LINK, Some(port)) => known.entry(port).or_default().user_link = value.is_some(),
            (option::USER_LINK_COUNTS, Some(port)) => {
                known.entry(port).or_default().user_link_counts = value.is_some();
            }
            _ => {}
        }
    }
    let member = |item: Attributes<'_>| {
        let index = IfIndex(item.u32(attr::PORT)?);
        let options = known.get(&index).copied().unwrap_or_default();
        let link = if options.user_link_counts { options.user_link } else { item.find(attr::PORT_LINK).is_some() };
        Some((index, DriverMembership { link, in_use: options.enabled }))
    };
    Some(TeamReport {
        driver: DriverState { kind: DriverKind::Team, mode: DriverMode::of_team(&mode?), active },
        ports: items(ports, attr::PORTS).filter_map(member).collect(),
    })
}

/// The items of a list that comes in several messages.
fn items(messages: &[Vec<u8>], list: u16) -> impl Iterator<Item = Attributes<'_>> {
    let lists = messages.iter().filter_map(move |message| Attributes::after(message, HEADER).find(list));
    lists.flat_map(|list| Attributes::nested(list).map(|(_, item)| Attributes::nested(item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH0: IfIndex = IfIndex(4);
    const ETH1: IfIndex = IfIndex(5);

    /// An option as the driver tells it: of the device, or of a port.
    fn option(name: &str, port: Option<IfIndex>, value: Option<&[u8]>) -> Builder {
        let port = port.map(|port| port.0.to_ne_bytes());
        Builder::default()
            .push_str(attr::OPTION_NAME, name)
            .push_some(attr::OPTION_DATA, value)
            .push_some(attr::OPTION_PORT, port.as_ref().map(<[u8; 4]>::as_slice))
    }

    fn message(list: u16, items: &[Builder]) -> Vec<u8> {
        let items = items.iter().fold(Builder::default(), |list, item| list.push_nested(attr::ITEM, item));
        Builder::new(&header(command::OPTIONS_GET)).push_u32(attr::TEAM, 9).push_nested(list, &items).finish()
    }

    fn ports(up: &[IfIndex]) -> Vec<Vec<u8>> {
        let flag = |port: IfIndex| up.contains(&port).then_some(&[][..]);
        let port =
            |port: IfIndex| Builder::default().push_u32(attr::PORT, port.0).push_some(attr::PORT_LINK, flag(port));
        vec![message(attr::PORTS, &[port(ETH0), port(ETH1)])]
    }

    #[test]
    fn a_team_says_its_mode_its_active_port_and_what_it_uses() {
        let first = [option(option::MODE, None, Some(b"activebackup\0")), option("other", None, Some(&[1, 0, 0, 0]))];
        let second = [
            option(option::ACTIVE, None, Some(&ETH1.0.to_ne_bytes())),
            option(option::ENABLED, Some(ETH0), None),
            option(option::ENABLED, Some(ETH1), Some(&[])),
        ];
        let options = [message(attr::OPTIONS, &first), message(attr::OPTIONS, &second)];
        let report = report(&options, &ports(&[ETH1])).unwrap();
        let (kind, mode) = (DriverKind::Team, DriverMode::ActiveBackup);
        assert_eq!(report.driver, DriverState { kind, mode, active: Some(ETH1) });
        let (unused, used) =
            (DriverMembership { link: false, in_use: false }, DriverMembership { link: true, in_use: true });
        assert_eq!(report.ports, BTreeMap::from([(ETH0, unused), (ETH1, used)]));
    }

    #[test]
    fn only_what_is_asked_for_is_a_change() {
        let told = |name| {
            let options = [option("other", None, None), option(name, None, None)];
            ToldOptions::default().changed(&message(attr::OPTIONS, &options))
        };
        assert_eq!((told(option::ACTIVE), told("lb_port_stats")), (Some(IfIndex(9)), None));
        assert_eq!(ToldOptions::default().changed(&ports(&[])[0]), Some(IfIndex(9)));
    }

    #[test]
    fn the_same_value_again_is_no_change() {
        let mut told = ToldOptions::default();
        let mut changed = |port, value: Option<&[u8]>| {
            told.changed(&message(attr::OPTIONS, &[option(option::ENABLED, Some(port), value)])).is_some()
        };
        let sequence = [(ETH0, true), (ETH0, true), (ETH1, true), (ETH0, false), (ETH0, false), (ETH0, true)];
        let seen = sequence.map(|(port, on)| changed(port, on.then_some(&[])));
        assert_eq!(seen, [true, false, true, true, false, true]);
        told.retain(|team| team != IfIndex(9));
        assert!(told.changed(&message(attr::OPTIONS, &[option(option::ENABLED, Some(ETH0), Some(&[]))])).is_some());
    }

    #[test]
    fn the_daemons_word_about_a_link_counts_where_it_shall() {
        let options = [message(
            attr::OPTIONS,
            &[
                option(option::MODE, None, Some(b"loadbalance\0")),
                option(option::ACTIVE, None, Some(&[0; 4])),
                option(option::USER_LINK_COUNTS, Some(ETH0), Some(&[])),
                option(option::USER_LINK, Some(ETH0), None),
                option(option::USER_LINK, Some(ETH1), None),
            ],
        )];
        let report = report(&options, &ports(&[ETH0, ETH1])).unwrap();
        assert_eq!((report.driver.mode, report.driver.active), (DriverMode::Hash, None));
        assert_eq!((report.ports[&ETH0].link, report.ports[&ETH1].link), (false, true));
    }
}
