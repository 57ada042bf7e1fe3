//! The eBPF object that is part of this binary.

use aggctl_common::PortId;
use aggctl_engine::settings::Settings;
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{ProgramError, SchedClassifier},
};

use super::{
    error::DataplaneError,
    pins::{self, Pins, Role},
    wiring::Delivery,
};

/// The object; empty if it was not built.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/aggctl.bpf.o"));

/// Parses the object for these settings and gives it the aggregate's maps, which are made and pinned where they are missing
/// (the tables must be there). `rx` is what the copies of the receiving program differ in: the slot, and the way to the
/// aggregate.
pub(super) fn load(pins: &Pins, settings: &Settings, rx: Option<(PortId, Delivery)>) -> Result<Ebpf, DataplaneError> {
    if OBJECT.is_empty() {
        return Err(DataplaneError::NotBuilt);
    }
    let (slot, target, relayed) =
        rx.map_or((0, 0, 0), |(port, Delivery { target, relayed })| (u32::from(port.0), target.0, u32::from(relayed)));
    let vlan = settings.vlan.globals();
    Ok(EbpfLoader::new()
        .map_pin_path("PORTS", pins.map(pins::PORTS))
        .map_pin_path("DROPS", pins.map(pins::DROPS))
        .map_pin_path("TURN", pins.map(pins::TURN))
        .map_pin_path("TABLE", pins.map(pins::TABLE))
        .map_pin_path("ROWS", pins.map(pins::ROWS))
        .override_global("SLOT", &slot, true)
        .override_global("TARGET", &target, true)
        .override_global("RELAYED", &relayed, true)
        .override_global("SELECTION", &settings.selection.number(), true)
        .override_global("POLICY", &(settings.policy as u32), true)
        .override_global("SEED", &settings.seed, true)
        .override_global("SHIFT", &settings.shift(), true)
        .override_global("STRIDE", &settings.stride, true)
        .override_global("RECEPTION", &settings.reception.number(), true)
        .override_global("VLAN_MODE", &vlan.mode, true)
        .override_global("VLAN_VID", &vlan.vid, true)
        .override_global("VLAN_LIST", &vlan.list[..], true)
        .load(OBJECT)?)
}

/// The program for a role, loaded into the kernel.
pub(super) fn program(object: &mut Ebpf, role: Role) -> Result<&mut SchedClassifier, DataplaneError> {
    let name = match role {
        Role::Tx => "tx",
        Role::Relay => "relay",
        Role::Rx(_) => "rx",
    };
    let program = object.program_mut(name).ok_or(DataplaneError::Missing(name))?;
    let program: &mut SchedClassifier =
        program.try_into().map_err(|error| DataplaneError::program(role.to_string(), "type", error))?;
    match program.load() {
        Ok(()) => Ok(program),
        Err(ProgramError::LoadError { io_error, verifier_log }) => {
            tracing::debug!(program = %role, %verifier_log, "not loaded");
            Err(DataplaneError::Refused { program: role.to_string(), cause: io_error })
        }
        Err(error) => Err(DataplaneError::program(role.to_string(), "load", error)),
    }
}
