//! What is wrong with a data path: one that another process left, or one that others worked on while it ran.

use aggctl_common::{IfIndex, PortId, programs::RxPolicy};
use aggctl_engine::{config, settings::Settings};
use aya::programs::ProgramInfo;

use super::{
    PortsTable, ProgramRole, WiredPair,
    attached::on_port,
    bound,
    error::{DataplaneError, is_not_found},
    hook::{AttachPoint, HookPoint},
    maps::{self, MapsCondition},
    pins::{self, Pins},
    stamp, tables, wiring,
};

/// What a data path should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The pair, where the sending program is attached, and the relay.
    pub pair: WiredPair,
    /// The ports, where the receiving programs are attached.
    pub ports: Vec<(PortId, IfIndex)>,
    /// The hook.
    pub hook: config::Hook,
}

impl Expected {
    /// The programs, and where they should be attached.
    fn places(&self) -> impl Iterator<Item = (ProgramRole, HookPoint)> {
        let of_pair = wiring::of(self.pair.wiring).programs(&self.pair, self.hook);
        let ports = if self.pair.wiring.has_pair() { &self.ports[..] } else { &[] };
        let of_ports = ports.iter().map(|(port, index)| (ProgramRole::Rx(*port), on_port(*index, self.hook)));
        of_pair.into_iter().chain(of_ports)
    }

    /// The programs.
    #[must_use]
    pub fn roles(&self) -> Vec<ProgramRole> {
        self.places().map(|(role, _)| role).collect()
    }
}

/// Something that is not as it should be. [`super::Dataplane::create`], a published table and the `attach` calls repair
/// all of them, in this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataplaneDefect {
    /// A map is not pinned.
    #[error("map {0} is missing")]
    MapMissing(&'static str),
    /// A map has a shape or layout that is not this version's.
    #[error("map {0} has another shape")]
    MapDifferent(&'static str),
    /// No program of ours is attached where one should be.
    #[error("program {role} is not attached to interface {index}")]
    NotAttached {
        /// The program.
        role: ProgramRole,
        /// Where it should be attached.
        index: IfIndex,
    },
    /// The program that is attached there is not the pinned one, or uses other maps than the pinned ones.
    #[error("program {role} on interface {index} is an old one")]
    Stale {
        /// The program.
        role: ProgramRole,
        /// Where it is attached.
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
pub(super) fn find(
    pins: &Pins,
    settings: &Settings,
    expected: &Expected,
) -> Result<Vec<DataplaneDefect>, DataplaneError> {
    let mut defects = of_maps(pins, settings, expected)?;
    // Programs without the right maps are wrong as well; that needs no saying.
    if !defects.iter().any(|defect| matches!(defect, DataplaneDefect::MapMissing(_) | DataplaneDefect::MapDifferent(_)))
    {
        let of_table = std::mem::take(&mut defects);
        for (role, place) in expected.places() {
            defects.extend(of_place(pins, settings, role, &place)?);
        }
        defects.extend(of_table);
    }
    Ok(defects)
}

/// What is wrong with the maps; if nothing is, with the interfaces in the table.
pub(super) fn of_maps(
    pins: &Pins,
    settings: &Settings,
    expected: &Expected,
) -> Result<Vec<DataplaneDefect>, DataplaneError> {
    match maps::condition(pins)? {
        MapsCondition::Good if settings.over && !stamp::MAP.is_good(pins)? => {
            return Ok(vec![DataplaneDefect::MapMissing(pins::STAMP)]);
        }
        MapsCondition::Good if !bound::MAP.is_good(pins)? => return Ok(vec![DataplaneDefect::MapMissing(pins::BOUND)]),
        MapsCondition::Good if tables::are_for(pins, settings)? => {}
        MapsCondition::Good => return Ok(vec![DataplaneDefect::MapDifferent(pins::TABLE)]),
        MapsCondition::Missing(map) => return Ok(vec![DataplaneDefect::MapMissing(map)]),
        MapsCondition::Different(map) => return Ok(vec![DataplaneDefect::MapDifferent(map)]),
    }
    let table = PortsTable::open(pins, false)?.load();
    let in_slot = |port: &PortId| table.ifindex.get(port.index()).copied().unwrap_or(IfIndex::NONE);
    let wrong = expected.ports.iter().filter(|(port, index)| in_slot(port) != *index);
    Ok(wrong
        .map(|(port, index)| DataplaneDefect::WrongInterface { port: *port, found: in_slot(port), expected: *index })
        .collect())
}

/// What is wrong with a program.
pub(super) fn of_program(
    pins: &Pins,
    settings: &Settings,
    expected: &Expected,
    role: ProgramRole,
) -> Result<Option<DataplaneDefect>, DataplaneError> {
    match expected.places().find(|(known, _)| *known == role) {
        Some((_, place)) => of_place(pins, settings, role, &place),
        None => Ok(None),
    }
}

/// The programs of others that see frames before this one of ours.
pub(super) fn before(pins: &Pins, expected: &Expected, role: ProgramRole) -> Result<Vec<u32>, DataplaneError> {
    match expected.places().find(|(known, _)| *known == role) {
        Some((_, place)) => place.before(AttachPoint::new(pins, role, &place)),
        None => Ok(Vec::new()),
    }
}

fn of_place(
    pins: &Pins,
    settings: &Settings,
    role: ProgramRole,
    place: &HookPoint,
) -> Result<Option<DataplaneDefect>, DataplaneError> {
    let (site, index) = (AttachPoint::new(pins, role, place), place.index);
    Ok(match place.attached(site)? {
        None => Some(DataplaneDefect::NotAttached { role, index }),
        Some(program) if !is_current(site, settings, program)? => Some(DataplaneDefect::Stale { role, index }),
        Some(_) => None,
    })
}

/// Whether the program that is attached there is the pinned one, and uses the pinned maps if it uses any.
pub(super) fn is_current(site: AttachPoint<'_>, settings: &Settings, attached: u32) -> Result<bool, DataplaneError> {
    let failed = |call| move |error| DataplaneError::program(site.role.to_string(), call, error);
    let Some(info) = pinned(site)? else { return Ok(false) };
    let maps = info.map_ids().map_err(failed("list maps"))?.unwrap_or_default();
    let over = (site.role == ProgramRole::Tx && settings.over).then_some(pins::STAMP);
    let wanted = match site.role {
        ProgramRole::Tx if settings.table().is_some() => &[pins::PORTS, pins::TABLE][..],
        ProgramRole::Tx => &[pins::PORTS],
        ProgramRole::Rx(_) | ProgramRole::Xdp(_) if settings.rx_policy == RxPolicy::Any => &[pins::BOUND],
        ProgramRole::Rx(_) | ProgramRole::Xdp(_) => &[pins::PORTS, pins::BOUND],
        ProgramRole::Relay => &[],
    };
    let wanted =
        wanted.iter().copied().chain(over).map(|map| maps::id(site.pins, map)).collect::<Result<Vec<_>, _>>()?;
    Ok(info.id() == attached && wanted.iter().all(|map| maps.contains(map)))
}

/// What the kernel says of the pinned program, if there is one.
pub(super) fn pinned(site: AttachPoint<'_>) -> Result<Option<ProgramInfo>, DataplaneError> {
    match ProgramInfo::from_pin(site.pins.program(site.role)) {
        Ok(info) => Ok(Some(info)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(DataplaneError::program(site.role.to_string(), "open", error)),
    }
}
