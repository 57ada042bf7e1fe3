//! Early drop: in which mode a port does it, and the steps about it.

use aggctl_common::PortId;

use crate::{
    config::{Xdp, XdpMode},
    host::Link,
    plan::{Change, ProgramStep, Refusal, Step, Subject, Warning},
    record::{PortRecord, Record},
};

/// In which mode a port drops early, by what is wished and what its interface says; `None`: not at all. One that does
/// so already (`drops`) has a program of ours.
///
/// # Errors
///
/// If its driver runs no programs and that was asked for, or somebody else's program is attached.
pub fn early_mode(wish: Xdp, link: &Link, drops: bool) -> Result<Option<XdpMode>, Refusal> {
    let mode = match wish {
        Xdp::Off => None,
        Xdp::Native if link.xdp.native == Some(false) => {
            return Err(Refusal::NoNativeXdp { port: link.name.clone() });
        }
        Xdp::Native => Some(XdpMode::Native),
        Xdp::Generic => Some(XdpMode::Generic),
        Xdp::Auto => loses_nothing(link).then_some(XdpMode::Native),
    };
    match &link.xdp.program {
        Some(program) if mode.is_some() && !drops => {
            Err(Refusal::PortHasXdp { port: link.name.clone(), id: program.id, program: program.name.clone() })
        }
        _ => Ok(mode),
    }
}

/// Whether the driver of a port runs programs and does all else as before. The other end of a pair sends no large
/// frames any more, and a card does not join any.
fn loses_nothing(link: &Link) -> bool {
    link.xdp.native == Some(true) && link.kind.is_empty() && !link.xdp.joins
}

/// What to know about a port that drops early in this mode.
#[must_use]
pub fn early_warning(mode: Option<XdpMode>, link: &Link) -> Option<Warning> {
    let costs = mode == Some(XdpMode::Native) && link.kind == "veth";
    costs.then(|| Warning::NativeOnVeth { port: link.name.clone() })
}

/// The step that makes a port drop early, in the place of the program that is attached, or not any more; none if the
/// port's interface is gone.
#[must_use]
pub fn early(port: &PortRecord) -> Option<Step> {
    let (id, name, identity) = (port.id, port.config.name.clone(), port.identity.clone());
    let link = Subject::Port { id, index: port.index?, name, identity };
    Some(step(link, port.xdp))
}

/// The same for a port that is planned for.
pub(super) fn step(link: Subject, mode: Option<XdpMode>) -> Step {
    let attached = if mode.is_some() { Change::ON } else { Change::OFF };
    // In which mode a program is taken off does not matter.
    ProgramStep::Xdp { link, mode: mode.unwrap_or(XdpMode::Generic), attached }.into()
}

/// The step that takes the program off a port that drops early.
pub(super) fn off(record: &Record, id: PortId, link: &Subject) -> Option<Step> {
    let port = record.ports.iter().find(|port| port.id == id)?;
    port.xdp.map(|mode| ProgramStep::Xdp { link: link.clone(), mode, attached: Change::OFF }.into())
}
