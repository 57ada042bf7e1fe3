//! What can go wrong with the state directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use aggctl_engine::record::RECORD_VERSION;

use crate::{dataplane::DataplaneError, error::KernelError};

/// What went wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory could not be used.
    #[error("cannot {call} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No bpffs to pin in.
    #[error(
        "cannot mount a bpffs at {path}: {source}; mount one there by hand (mount -t bpf bpf {path})",
        path = path.display()
    )]
    Mount {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// No copy of a record can be read.
    #[error(
        "the record of {name} is lost: {source}, nor is there another copy; `aggctl detach {name} --force` takes off \
         what is found of it"
    )]
    Lost {
        /// The aggregate.
        name: String,
        /// Why.
        source: Box<Self>,
    },
    /// A record of a newer version of aggctl.
    #[error(
        "{path} was written by a newer version of aggctl (layout {found}, this one knows up to {RECORD_VERSION}); \
         nothing was changed, use that version",
        path = path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// A record of a version of aggctl that is not known any more.
    #[error(
        "{path} was written by another version of aggctl (layout {found}, this one knows {RECORD_VERSION})",
        path = path.display()
    )]
    Version {
        /// Which.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// The copy of a record in the kernel.
    #[error(transparent)]
    Kept(#[from] DataplaneError),
    /// The aggregate's own network namespace could not be let go of.
    #[error(transparent)]
    Namespace(KernelError),
    /// Somebody else works on the aggregate.
    #[error("another process (pid {pid}) holds the lock of {name}")]
    Locked {
        /// The aggregate.
        name: String,
        /// The holder, 0 if it did not say.
        pid: u32,
    },
    /// Somebody else adds or removes ports.
    #[error("ports of another aggregate of this network namespace are being added or removed; try again")]
    PortsLocked,
}

pub(super) fn failed(call: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::File { call, path, source }
}
