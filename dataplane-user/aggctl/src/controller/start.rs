//! What a controller is started for, and whom it tells how it goes.

use aggctl_engine::supervise::Beat;

use crate::operation::AttachWish;

/// What a controller is started for.
#[derive(Debug)]
pub enum Start {
    /// Make the aggregate.
    Attach(Box<AttachWish>),
    /// Take over the one that is there.
    Adopt,
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
