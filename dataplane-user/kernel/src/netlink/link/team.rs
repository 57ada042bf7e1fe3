//! What the team driver says of its devices and of their members, which no message about an interface has.

use aggctl_common::IfIndex;
use aggctl_engine::{driver::DriverKind, host::Link};
use rustix::io::Errno;

use super::{HEADER, attr};
use crate::{
    error::KernelError,
    netlink::{Netlink, genl::team::TeamReport, tlv::Attributes},
};

/// `IFLA_INFO_KIND` of team's devices and `IFLA_INFO_SLAVE_KIND` of their members.
const KIND: &str = "team";

impl Netlink {
    /// Adds to all interfaces what the driver says of those that are its own.
    pub(super) fn ask_teams(&mut self, links: &mut [Link]) -> Result<(), KernelError> {
        let teams: Vec<_> = links.iter().filter(|link| link.kind == KIND).map(|link| link.index).collect();
        for team in teams {
            if let Some(report) = self.ask_team(team)? {
                links.iter_mut().for_each(|link| add(link, team, &report));
            }
        }
        Ok(())
    }

    /// Adds to an interface what the driver says of it, if it is its own or a member; `message` told of it.
    pub(super) fn ask_team_of(&mut self, link: &mut Link, message: &[u8]) -> Result<(), KernelError> {
        let info = || Attributes::after(message, HEADER).find(attr::LINKINFO).map(Attributes::nested);
        let is_member = || info().and_then(|info| info.string(attr::INFO_SLAVE_KIND)).is_some_and(|kind| kind == KIND);
        let team = if link.kind == KIND { Some(link.index) } else { link.master.filter(|_| is_member()) };
        if let Some(team) = team
            && let Some(report) = self.ask_team(team)?
        {
            add(link, team, &report);
        }
        Ok(())
    }

    /// Makes a port of a driver's device, in the mode in which one carries everything, the active one.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: bonding takes no port that has no link.
    pub fn set_driver_active(&mut self, device: IfIndex, port: IfIndex) -> Result<(), KernelError> {
        let driver = self.link(device)?.and_then(|link| link.driver);
        match driver.map(|driver| driver.kind) {
            Some(DriverKind::Bonding) => self.set_bond_active(device, port),
            Some(DriverKind::Team) => {
                let told = self.teams.set_active(device, port);
                told.map_err(|failure| self.refused(device, "set the driver's active port", failure))
            }
            None => Err(self.refused(device, "set the driver's active port", Errno::NODEV.into())),
        }
    }

    fn ask_team(&mut self, team: IfIndex) -> Result<Option<TeamReport>, KernelError> {
        self.teams
            .ask(team)
            .map_err(|failure| KernelError::refused(format!("interface {team}"), "get what the driver says", failure))
    }
}

/// Adds what the driver of `team` says of an interface.
fn add(link: &mut Link, team: IfIndex, report: &TeamReport) {
    if link.index == team {
        link.driver = Some(report.driver);
    } else if link.master == Some(team) {
        link.membership = report.ports.get(&link.index).copied();
    }
}
