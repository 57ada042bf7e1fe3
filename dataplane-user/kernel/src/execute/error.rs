//! Why a step was not carried out.

use rustix::io::Errno;

use crate::{dataplane::DataplaneError, error::KernelError};

/// A failure of a step: of the network configuration that it changes, or of the programs and maps.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The kernel refused, or what the step is about is gone.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The programs or maps.
    #[error(transparent)]
    Dataplane(#[from] DataplaneError),
}

impl ExecuteError {
    /// Whether an interface kept its MAC.
    #[must_use]
    pub fn refuses_mac(&self) -> bool {
        matches!(self, Self::Kernel(error) if error.refuses_mac())
    }

    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel(error) => error.errno(),
            Self::Dataplane(_) => None,
        }
    }
}
