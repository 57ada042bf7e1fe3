//! From what was to what shall be.

use serde::{Deserialize, Serialize};

/// A value before and after a step. What is made or removed changes between not being there and being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    /// What was.
    pub from: T,
    /// What shall be.
    pub to: T,
}

impl Change<bool> {
    /// From no to yes: something is made, attached or switched on.
    pub const ON: Self = Self { from: false, to: true };
    /// From yes to no.
    pub const OFF: Self = Self { from: true, to: false };
}

impl<T> Change<T> {
    /// Makes it the change back.
    pub const fn swap(&mut self) {
        std::mem::swap(&mut self.from, &mut self.to);
    }
}

impl<T: PartialEq> Change<T> {
    /// The change between these two; `None` if they are the same.
    pub fn between(from: T, to: T) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}
