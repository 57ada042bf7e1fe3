//! Early drop, as the kernel has it at this moment.

use aggctl_engine::{
    config::{AggregateConfig, Xdp},
    host::Link,
    record::PortRecord,
    settings::Settings,
};
use aggctl_kernel::{dataplane::Dataplane, early::sees_tags};

/// What a port drops early by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyView {
    /// `native`, `generic` or `off`.
    pub mode: &'static str,
    /// Why it is off, where it was asked for.
    pub why: Option<&'static str>,
}

impl EarlyView {
    /// Asks the kernel; `None` if it does not say.
    pub(super) fn of(dataplane: &Dataplane, config: &AggregateConfig, port: &PortRecord, link: &Link) -> Option<Self> {
        let mode = dataplane.early_mode(port.id, link.index).ok()?;
        let why = match (config.xdp, port.xdp) {
            _ if mode.is_some() => None,
            (Xdp::Off, _) => None,
            (Xdp::Auto, None) => Some("its driver runs no programs, or something would be lost by it"),
            (Xdp::Native | Xdp::Generic | Xdp::Auto, Some(wanted)) => {
                let program = Settings::of(config).early_program(wanted, sees_tags(link).ok()?);
                Some(if program.is_none() { "there is nothing that it could drop" } else { "it is not attached" })
            }
            (Xdp::Native | Xdp::Generic, None) => Some("it is not attached"),
        };
        Some(Self { mode: mode.map_or("off", |mode| mode.name()), why })
    }
}
