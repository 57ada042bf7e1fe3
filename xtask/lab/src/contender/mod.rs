//! Setting up what is compared.

mod bonding;
mod ours;
mod team;

use std::path::Path;

use anyhow::Result;
use rustix::process::Pid;

use self::{ours::Ours, team::TeamContender};
use super::{
    iproute,
    question::{Contender, Setup, Wiring},
    site::{self, AGGREGATE, Site},
};

/// A contender in its place. Dropping it takes it away; the namespaces take the rest.
pub struct Raised<'a> {
    /// The interface that the host uses.
    pub interface: String,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// The kernel needs no help.
    Kernel,
    /// A team lives as long as its daemon.
    Team(#[expect(dead_code, reason = "dropping it ends the daemon")] TeamContender),
    /// Ours, over a team if there is one, which is taken away last.
    Aggctl(Ours<'a>, #[expect(dead_code, reason = "dropping it ends the daemon")] Option<TeamContender>),
}

/// What is not as usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// How often it looks at the carriers of its ports, milliseconds. A team's daemon is told by the kernel.
    pub poll: Option<u32>,
    /// Whether ours chooses as bonding does, flow by flow.
    pub like_bonding: bool,
}

/// What came of setting it up.
pub enum Raising<'a> {
    /// It is there and has a carrier.
    Done(Raised<'a>),
    /// It does not have that: why.
    Refused(String),
}

/// Sets a contender up over all ports of the site.
///
/// # Errors
///
/// When it fails otherwise than by refusing what it does not have.
pub fn raise<'a>(setup: &Setup, extra: &Extra, site: &'a Site, binary: &'a Path) -> Result<Raising<'a>> {
    let kind = match setup.contender {
        Contender::Bare => {
            let interface = site.ports.first().cloned().unwrap_or_default();
            return Ok(Raising::Done(Raised { interface, kind: Kind::Kernel }));
        }
        Contender::Bonding => {
            if let Err(reason) = bonding::raise(setup.mode, extra, site)? {
                return Ok(Raising::Refused(reason));
            }
            Kind::Kernel
        }
        Contender::Team => match TeamContender::start(setup.mode, site)? {
            Ok(teamd) => Kind::Team(teamd),
            Err(reason) => return Ok(Raising::Refused(reason)),
        },
        Contender::Aggctl(wiring) => {
            let driver = match wiring {
                Wiring::Over => bonding::raise(setup.mode, extra, site)?.map(|()| None),
                Wiring::OverTeam => TeamContender::start(setup.mode, site)?.map(Some),
                Wiring::Shared | Wiring::Direct => Ok(None),
            };
            let attached = match driver {
                Ok(teamd) => ours::attach(wiring, setup.mode, extra, site, binary)?.map(|ours| (ours, teamd)),
                Err(reason) => Err(reason),
            };
            match attached {
                Ok((ours, teamd)) => Kind::Aggctl(ours, teamd),
                Err(reason) => return Ok(Raising::Refused(reason)),
            }
        }
    };
    site::wait_for(&format!("the carrier of {}", setup.contender), || iproute::carrier(&site.host, AGGREGATE))?;
    Ok(Raising::Done(Raised { interface: AGGREGATE.to_owned(), kind }))
}

impl Raised<'_> {
    /// The processes of its controller and its guardian, if it is one of ours.
    ///
    /// # Errors
    ///
    /// When ours has none.
    pub fn processes(&self) -> Result<Option<(Pid, Pid)>> {
        match &self.kind {
            Kind::Aggctl(ours, _) => ours.processes().map(Some),
            Kind::Kernel | Kind::Team(_) => Ok(None),
        }
    }

    /// Kills its controller and its guardian, if it is one of ours; what it set up stays.
    ///
    /// # Errors
    ///
    /// When they cannot be ended.
    pub fn orphan(&self) -> Result<()> {
        match &self.kind {
            Kind::Aggctl(ours, _) => ours.orphan(),
            Kind::Kernel | Kind::Team(_) => Ok(()),
        }
    }
}
