//! Early drop: the XDP program of a port.

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::config::XdpMode;
use rustix::io::Errno;

use super::{
    Dataplane, DataplaneDefect, ProgramRole,
    attached::check,
    defects::{is_current, pinned},
    error::DataplaneError,
    hook::{self, AttachPoint, HookPoint, HookSide, on_xdp},
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
        HookPoint::new(self.index, HookSide::Ingress, hook::early(self.mode))
    }
}

impl Dataplane {
    /// Attaches the program that drops early to a port that has the receiving one. If one of ours is attached in the
    /// same mode it is swapped, without a gap; one in the other mode is taken off first. Where there is nothing that it
    /// could drop ([`early_program`](aggctl_engine::settings::Settings::early_program)) none is attached.
    ///
    /// Minimum kernel version: 5.18 (`BPF_F_XDP_HAS_FRAGS`).
    ///
    /// # Errors
    ///
    /// [`DataplaneError::ForeignXdp`] if somebody else's is attached, [`DataplaneError::NoNativeXdp`] if the driver
    /// takes none; if the interface is not there or the kernel refuses.
    pub fn attach_early(&self, port: PortId, early: &EarlyPort) -> Result<(), DataplaneError> {
        check(port)?;
        let Some(program) = self.settings.early_program(early.mode, early.sees_tags) else {
            return self.detach_early(port);
        };
        let (role, place) = (ProgramRole::Xdp(port), early.place());
        let ours = hook::attached_by_link(AttachPoint::new(&self.pins, role, &place))?;
        if let Some(found) = on_xdp(early.index)?.filter(|found| Some(found.program) != ours) {
            let name = program::name(found.program).unwrap_or_default();
            return Err(DataplaneError::ForeignXdp { port: early.name.clone(), id: found.program, name });
        }
        self.attach(role, &place, &program, Some((port, None))).map(drop).map_err(|error| match error {
            DataplaneError::Hook { cause, .. } if early.mode == XdpMode::Native && is_drivers(cause.errno()) => {
                DataplaneError::NoNativeXdp { port: early.name.clone(), cause: cause.error }
            }
            other => other,
        })
    }

    /// Takes the program that drops early off a port, wherever that is; fine if it is not attached.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn detach_early(&self, port: PortId) -> Result<(), DataplaneError> {
        check(port)?;
        // Which mode it is in does not matter.
        let place = HookPoint::new(IfIndex::NONE, HookSide::Ingress, hook::early(XdpMode::Generic));
        self.detach(ProgramRole::Xdp(port), &place)
    }

    /// In which mode the program that drops early is attached to a port, as the kernel has it; `None`: it is not.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn early_mode(&self, port: PortId, index: IfIndex) -> Result<Option<XdpMode>, DataplaneError> {
        let place = HookPoint::new(index, HookSide::Ingress, hook::early(XdpMode::Generic));
        let Some(ours) = hook::attached_by_link(AttachPoint::new(&self.pins, ProgramRole::Xdp(port), &place))? else {
            return Ok(None);
        };
        Ok(on_xdp(index)?.filter(|found| found.program == ours).and_then(|found| found.mode))
    }

    /// What is not as expected of the program that drops early on a port.
    ///
    /// # Errors
    ///
    /// If something cannot be looked at.
    pub fn defect_of_early(&self, port: PortId, early: &EarlyPort) -> Result<Option<DataplaneDefect>, DataplaneError> {
        let (role, place, index) = (ProgramRole::Xdp(port), early.place(), early.index);
        let site = AttachPoint::new(&self.pins, role, &place);
        let wanted = self.settings.early_program(early.mode, early.sees_tags);
        let Some(attached) = place.attached(site)? else {
            return Ok(wanted.map(|_| DataplaneDefect::NotAttached { role, index }));
        };
        let is_named = |wanted: &str| -> Result<bool, DataplaneError> {
            let name = pinned(site)?.and_then(|info| info.name_as_str().map(str::to_owned));
            Ok(name.as_deref() == wanted.get(..NAME.min(wanted.len())))
        };
        let is_right = match wanted {
            Some(wanted) => is_named(&wanted)? && is_current(site, &self.settings, attached)?,
            None => false,
        };
        Ok((!is_right).then_some(DataplaneDefect::Stale { role, index }))
    }
}

/// Whether this is a driver's answer, and no one else's.
fn is_drivers(errno: Option<Errno>) -> bool {
    !matches!(errno, Some(Errno::BUSY | Errno::EXIST | Errno::PERM | Errno::ACCESS))
}
