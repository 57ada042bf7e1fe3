//! The network namespace that the controller is in, and whether it should leave it.

use aggctl_kernel::{netns, process, state::Store};

use crate::failure::Failure;

/// What our background processes are called, in the first word of their arguments.
const BACKGROUND: [&str; 3] = ["guardian", "controller", "timekeeper"];

/// Where the controller works.
#[derive(Debug)]
pub struct OwnNamespace {
    /// Nobody wishes the namespace to live because of this process: it was named (`ip netns`) when the controller
    /// started, or the controller runs in the background.
    may_go: bool,
}

impl OwnNamespace {
    /// The present network namespace, for a controller in the background or foreground.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn here(in_background: bool) -> Result<Self, Failure> {
        Ok(Self { may_go: !netns::is_first() && (in_background || !netns::names()?.is_empty()) })
    }

    /// Whether only we keep the namespace alive: it has no name, nobody holds it by a mount or an open file, and no
    /// other process is in it but those of aggregates. The kernel's own bonding would not keep it.
    pub fn is_deserted(&self, store: &Store) -> bool {
        // If it cannot be told, stay.
        self.may_go && netns::is_deserted(|pid| is_ours(store, pid)).unwrap_or_default()
    }
}

/// Whether this process is there for an aggregate of this namespace.
fn is_ours(store: &Store, pid: u32) -> bool {
    let in_background = |words: Vec<String>| words.first().is_some_and(|word| BACKGROUND.contains(&word.as_str()));
    pid == std::process::id()
        || process::own_arguments(pid).is_some_and(in_background)
        || Store::names(store.cookie())
            .is_ok_and(|names| names.iter().any(|name| Store::new(store.cookie(), name).holder() == Some(pid)))
}
