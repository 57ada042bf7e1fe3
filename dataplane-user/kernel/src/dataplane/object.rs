//! The eBPF object that is part of this binary.

use aggctl_common::{IfIndex, PortId, vlan};
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{ProgramError, SchedClassifier},
};

use super::{
    error::DataplaneError,
    pins::{self, Pins, Role},
};

/// The object; empty if it was not built.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/aggctl.bpf.o"));

/// Parses the object and gives it the aggregate's maps, which are made and pinned where they are missing. `rx` is what
/// the copies of the receiving program differ in: the slot, and the hidden end.
pub(super) fn load(pins: &Pins, rx: Option<(PortId, IfIndex)>, vlan: &vlan::Globals) -> Result<Ebpf, DataplaneError> {
    if OBJECT.is_empty() {
        return Err(DataplaneError::NotBuilt);
    }
    let (slot, hidden) = rx.map_or((0, 0), |(port, hidden)| (u32::from(port.0), hidden.0));
    let mut loader = EbpfLoader::new();
    loader
        .map_pin_path("PORTS", pins.map(pins::PORTS))
        .map_pin_path("DROPS", pins.map(pins::DROPS))
        .override_global("SLOT", &slot, true)
        .override_global("HIDDEN", &hidden, true);
    vlan_globals(&mut loader, vlan);
    Ok(loader.load(OBJECT)?)
}

/// Gives the programs their VLAN rule.
fn vlan_globals<'a>(loader: &mut EbpfLoader<'a>, globals: &'a vlan::Globals) {
    loader
        .override_global("VLAN_MODE", &globals.mode, true)
        .override_global("VLAN_VID", &globals.vid, true)
        .override_global("VLAN_LIST", &globals.list[..], true);
}

/// The program for a role, loaded into the kernel.
pub(super) fn program(object: &mut Ebpf, role: Role) -> Result<&mut SchedClassifier, DataplaneError> {
    let name = match role {
        Role::Tx => "tx",
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
