//! The eBPF object that is part of this binary.

use aggctl_common::PortId;
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

/// Parses the object and gives it the aggregate's maps, which are made and pinned where they are missing. `rx` is what
/// the copies of the receiving program differ in: the slot, and the way to the aggregate.
pub(super) fn load(pins: &Pins, rx: Option<(PortId, Delivery)>) -> Result<Ebpf, DataplaneError> {
    if OBJECT.is_empty() {
        return Err(DataplaneError::NotBuilt);
    }
    let (slot, target, relayed) =
        rx.map_or((0, 0, 0), |(port, Delivery { target, relayed })| (u32::from(port.0), target.0, u32::from(relayed)));
    Ok(EbpfLoader::new()
        .map_pin_path("PORTS", pins.map(pins::PORTS))
        .map_pin_path("DROPS", pins.map(pins::DROPS))
        .override_global("SLOT", &slot, true)
        .override_global("TARGET", &target, true)
        .override_global("RELAYED", &relayed, true)
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
