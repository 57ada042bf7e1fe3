//! What a controller is started for, and whom it tells how it goes.

use aggctl_engine::{config::AggregateConfig, supervise::Beat};
use serde::{Deserialize, Serialize};

/// What a controller is started for.
#[derive(Debug)]
pub enum Start {
    /// Make the aggregate.
    Attach(AttachWish),
    /// Take over the one that is there.
    Adopt,
}

/// What the owner wishes, as the command passes it on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttachWish {
    /// The aggregate.
    pub config: AggregateConfig,
    /// Seconds until it is undone unless confirmed.
    pub confirm: Option<u32>,
    /// What is said about the ports.
    #[serde(default)]
    pub insistence: Insistence,
}

/// How much is made of ports that look wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insistence {
    /// Interfaces of any kind are taken.
    pub force: bool,
    /// Whoever else works on a port is a reason to refuse, not to warn.
    pub strict: bool,
}

/// What started a controller and is told how it goes: a guardian, or a person or service manager.
pub trait Supervisor {
    /// Something the owner should know.
    fn warn(&self, warning: String);
    /// The aggregate is in place and controlled.
    fn ready(&self);
    /// The loop turned, or will not for a while.
    fn beat(&self, beat: Beat);
    /// Whether a guardian started it, rather than a person or a service manager who has it in the foreground.
    fn has_guardian(&self) -> bool;
}
