//! The network namespace that the controller is in, and whether it should let go of it.

use aggctl_kernel::netns;

use crate::failure::Failure;

/// Where the controller works.
#[derive(Debug)]
pub struct Place {
    /// Whether the namespace had a name (below /run/netns) when the controller started.
    named: bool,
}

impl Place {
    /// The present network namespace.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn here() -> Result<Self, Failure> {
        Ok(Self { named: !netns::names()?.is_empty() })
    }

    /// Whether the namespace was deleted (`ip netns del`) and nobody else is in it. A controller keeps its namespace
    /// alive; the kernel's own bonding would not.
    pub fn is_deserted(&self) -> bool {
        // If it cannot be told, stay.
        self.named
            && netns::names().is_ok_and(|names| names.is_empty())
            && netns::has_others(&own_family()).is_ok_and(|others| !others)
    }
}

/// This process and its guardian.
fn own_family() -> [u32; 2] {
    let guardian = rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    [std::process::id(), guardian.unwrap_or_default()]
}
