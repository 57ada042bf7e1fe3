//! What is wrong with a data path that another process left.

use aggctl_common::{IfIndex, PortId, programs::Reception};
use aggctl_engine::{config, settings::Settings};
use aya::programs::ProgramInfo;

use super::{
    Ends, Role, Table,
    error::{DataplaneError, is_not_found},
    hook::Site,
    maps::{self, Condition},
    on_port,
    pins::{self, Pins},
    tables, wiring,
};

/// What a data path should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The pair, where the sending program hangs, and the relay.
    pub ends: Ends,
    /// The ports, where the receiving programs hang.
    pub ports: Vec<(PortId, IfIndex)>,
    /// The hook.
    pub hook: config::Hook,
}

/// Something that is not as it should be. [`super::Dataplane::create`], a published table and the `attach` calls repair
/// all of them, in this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// A map is not pinned.
    #[error("map {0} is missing")]
    MapMissing(&'static str),
    /// A map has a shape or layout that is not this version's.
    #[error("map {0} has another shape")]
    MapDifferent(&'static str),
    /// No program of ours hangs where one should.
    #[error("program {role} is not attached to interface {index}")]
    NotAttached {
        /// The program.
        role: Role,
        /// Where it should hang.
        index: IfIndex,
    },
    /// The program that hangs there is not the pinned one, or uses other maps than the pinned ones.
    #[error("program {role} on interface {index} is an old one")]
    Stale {
        /// The program.
        role: Role,
        /// Where it hangs.
        index: IfIndex,
    },
    /// The table has another interface in a slot.
    #[error("slot {port} has interface {found}, not {expected}")]
    WrongInterface {
        /// The slot.
        port: PortId,
        /// What the table says.
        found: IfIndex,
        /// What it should say.
        expected: IfIndex,
    },
}

/// Compares the data path with what it should be.
pub(super) fn find(pins: &Pins, settings: &Settings, expected: &Expected) -> Result<Vec<Defect>, DataplaneError> {
    match maps::condition(pins)? {
        Condition::Good if tables::are_for(pins, settings)? => {}
        Condition::Good => return Ok(vec![Defect::MapDifferent(pins::TABLE)]),
        // Programs without the right maps are wrong as well; that needs no saying.
        Condition::Missing(map) => return Ok(vec![Defect::MapMissing(map)]),
        Condition::Different(map) => return Ok(vec![Defect::MapDifferent(map)]),
    }
    let mut defects = Vec::new();
    let table = Table::open(pins)?.load();
    let of_pair = wiring::of(expected.ends.wiring).programs(&expected.ends, expected.hook);
    let of_ports = expected.ports.iter().map(|(port, index)| (Role::Rx(*port), on_port(*index, expected.hook)));
    for (role, place) in of_pair.into_iter().chain(of_ports) {
        let (site, index) = (Site::new(pins, role, &place), place.index);
        match place.attached(site)? {
            None => defects.push(Defect::NotAttached { role, index }),
            Some(program) if !is_current(site, settings, program)? => defects.push(Defect::Stale { role, index }),
            Some(_) => {}
        }
    }
    for (port, expected) in &expected.ports {
        let found = table.ifindex.get(port.index()).copied().unwrap_or(IfIndex::NONE);
        if found != *expected {
            defects.push(Defect::WrongInterface { port: *port, found, expected: *expected });
        }
    }
    Ok(defects)
}

/// Whether the program that hangs there is the pinned one, and uses the pinned maps if it uses any.
fn is_current(site: Site<'_>, settings: &Settings, attached: u32) -> Result<bool, DataplaneError> {
    let failed = |call| move |error| DataplaneError::program(site.role.to_string(), call, error);
    let info = match ProgramInfo::from_pin(site.pins.program(site.role)) {
        Ok(info) => info,
        Err(error) if is_not_found(&error) => return Ok(false),
        Err(error) => return Err(failed("open")(error)),
    };
    let maps = info.map_ids().map_err(failed("list maps"))?.unwrap_or_default();
    let wanted = match site.role {
        Role::Tx if settings.table().is_some() => &[pins::PORTS, pins::TABLE][..],
        Role::Rx(_) if settings.reception == Reception::Any => &[],
        Role::Tx | Role::Rx(_) => &[pins::PORTS],
        Role::Relay => &[],
    };
    let wanted = wanted.iter().map(|map| maps::id(site.pins, map)).collect::<Result<Vec<_>, _>>()?;
    Ok(info.id() == attached && wanted.iter().all(|map| maps.contains(map)))
}
