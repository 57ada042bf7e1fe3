//! Early drop: the XDP program of a port.

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::config::XdpMode;
use rustix::io::Errno;

use super::{
    Dataplane, DataplaneDefect, ProgramRole,
    defects::{is_current, pinned},
    error::DataplaneError,
    hook::{self, AttachPoint, HookPoint, Side, on_xdp},
    pins::Pins,
    program,
};

/// Octets of a program's name that the kernel keeps (`BPF_OBJ_NAME_LEN`, with its final zero).
const NAME: usize = 15;

/// A port that drops early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyPort {
    /// Its interface.
    pub index: IfIndex,
    /// The interface's name.
    pub name: String,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Whether tags are in the frames that it sees: see [`crate::early::sees_tags`].
    pub sees_tags: bool,
}

impl EarlyPort {
    fn place(&self) -> HookPoint {
        HookPoint::new(self.index, Side::Ingress, hook::early(self.mode))
    }
}

/// Attaches the program to a port, if there is anything that it could drop.
pub(super) fn attach(dataplane: &Dataplane, port: PortId, early: &EarlyPort) -> Result<(), DataplaneError> {
    let Some(program) = dataplane.settings.early_program(early.mode, early.sees_tags) else {
        return detach(dataplane, port);
    };
    let (role, place) = (ProgramRole::Xdp(port), early.place());
    let ours = hook::attached_by_link(AttachPoint::new(&dataplane.pins, role, &place))?;
    if let Some(found) = on_xdp(early.index)?.filter(|found| Some(found.program) != ours) {
        let name = program::name(found.program).unwrap_or_default();
        return Err(DataplaneError::ForeignXdp { port: early.name.clone(), id: found.program, name });
    }
    dataplane.attach(role, &place, &program, Some((port, None))).map(drop).map_err(|error| match error {
        DataplaneError::Hook { cause, .. } if early.mode == XdpMode::Native && is_drivers(cause.errno()) => {
            DataplaneError::NoNativeXdp { port: early.name.clone(), cause: cause.error }
        }
        other => other,
    })
}

/// Whether this is a driver's answer, and no one else's.
fn is_drivers(errno: Option<Errno>) -> bool {
    !matches!(errno, Some(Errno::BUSY | Errno::EXIST | Errno::PERM | Errno::ACCESS))
}

/// Takes the program off a port, wherever that is.
pub(super) fn detach(dataplane: &Dataplane, port: PortId) -> Result<(), DataplaneError> {
    // Which mode it is in does not matter.
    let place = HookPoint::new(IfIndex::NONE, Side::Ingress, hook::early(XdpMode::Generic));
    dataplane.detach(ProgramRole::Xdp(port), &place)
}

/// In which mode the program is attached.
pub(super) fn mode(pins: &Pins, port: PortId, index: IfIndex) -> Result<Option<XdpMode>, DataplaneError> {
    let place = HookPoint::new(index, Side::Ingress, hook::early(XdpMode::Generic));
    let Some(ours) = hook::attached_by_link(AttachPoint::new(pins, ProgramRole::Xdp(port), &place))? else {
        return Ok(None);
    };
    Ok(on_xdp(index)?.filter(|found| found.program == ours).and_then(|found| found.mode))
}

/// What is wrong with the program of a port.
pub(super) fn defect(
    dataplane: &Dataplane,
    port: PortId,
    early: &EarlyPort,
) -> Result<Option<DataplaneDefect>, DataplaneError> {
    let (role, place, index) = (ProgramRole::Xdp(port), early.place(), early.index);
    let site = AttachPoint::new(&dataplane.pins, role, &place);
    let wanted = dataplane.settings.early_program(early.mode, early.sees_tags);
    let Some(attached) = place.attached(site)? else {
        return Ok(wanted.map(|_| DataplaneDefect::NotAttached { role, index }));
    };
    let is_named = |wanted: &str| -> Result<bool, DataplaneError> {
        let name = pinned(site)?.and_then(|info| info.name_as_str().map(str::to_owned));
        Ok(name.as_deref() == wanted.get(..NAME.min(wanted.len())))
    };
    let is_right = match wanted {
        Some(wanted) => is_named(&wanted)? && is_current(site, &dataplane.settings, attached)?,
        None => false,
    };
    Ok((!is_right).then_some(DataplaneDefect::Stale { role, index }))
}
