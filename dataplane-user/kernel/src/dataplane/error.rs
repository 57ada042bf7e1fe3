//! What can go wrong with programs and maps.

use std::{error::Error, fmt, io, path::PathBuf};

use aggctl_common::{IfIndex, PortId};
use aya::{EbpfError, maps::MapError, pin::PinError, programs::ProgramError};
use rustix::io::Errno;

use crate::error::Failure;

/// A failure of the data path's set-up, with the thing that it happened to and the call that failed.
#[derive(Debug, thiserror::Error)]
pub enum DataplaneError {
    /// The programs were not there when this crate was built.
    #[error("this aggctl was built without its eBPF programs: run `cargo xtask build`")]
    NotBuilt,
    /// The embedded object lacks a program or map, so it belongs to another version.
    #[error("the eBPF object has no {0}: run `cargo xtask build`")]
    Missing(&'static str),
    /// The kernel or the loader did not take the object.
    #[error("loading the eBPF object: {}", Chain(.0))]
    Load(Box<EbpfError>),
    /// A call on a file below the pin directory failed.
    #[error("{}: {call}: {}", path.display(), Chain(cause))]
    Pin {
        /// The file.
        path: PathBuf,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A call on a map failed.
    #[error("map {map}: {call}: {}", Chain(cause))]
    Map {
        /// The map's pin.
        map: &'static str,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<MapError>,
    },
    /// A call on a program failed.
    #[error("program {program}: {call}: {}", Chain(cause))]
    Program {
        /// The program's pin.
        program: String,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<ProgramError>,
    },
    /// The kernel refused a request about an interface's hook.
    #[error("interface {index}: {call}: {cause}")]
    Hook {
        /// The interface.
        index: IfIndex,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Failure,
    },
    /// An interface is not there.
    #[error("there is no interface {0} in this network namespace")]
    NoInterface(IfIndex),
    /// A slot that no aggregate has.
    #[error("slot {0} is beyond the last one")]
    NoSlot(PortId),
}

impl DataplaneError {
    pub(super) fn pin(path: impl Into<PathBuf>, call: &'static str, cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Pin { path: path.into(), call, cause: Box::new(cause) }
    }

    pub(super) fn map(map: &'static str, call: &'static str, cause: impl Into<MapError>) -> Self {
        Self::Map { map, call, cause: Box::new(cause.into()) }
    }

    pub(super) fn program(program: impl Into<String>, call: &'static str, cause: impl Into<ProgramError>) -> Self {
        Self::Program { program: program.into(), call, cause: Box::new(cause.into()) }
    }

    pub(super) fn hook(index: IfIndex, call: &'static str, cause: impl Into<Failure>) -> Self {
        Self::Hook { index, call, cause: cause.into() }
    }
}

impl From<EbpfError> for DataplaneError {
    fn from(error: EbpfError) -> Self {
        Self::Load(Box::new(error))
    }
}

/// An error and its sources in one line: the libraries below put the system's own words into the source.
struct Chain<'a, E: ?Sized>(&'a E);

impl<E: fmt::Display + Sourced + ?Sized> fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut next = self.0.cause();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            next = error.source();
        }
        f.write_str(said.trim_end())
    }
}

/// What has a source; `Box<dyn Error>` is no `Error` itself.
trait Sourced {
    fn cause(&self) -> Option<&(dyn Error + 'static)>;
}

impl<E: Error> Sourced for Box<E> {
    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}

impl Sourced for Box<dyn Error + Send + Sync> {
    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}

/// Whether the system said "no such file", however deep down.
pub(super) fn is_not_found(error: &(dyn Error + 'static)) -> bool {
    system_error(error).is_some_and(|errno| errno == Errno::NOENT)
}

/// The system's error number at the bottom of an error, where there is one.
pub(super) fn system_error(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Errno::from_io_error(io);
        }
        // aya's transparent variants skip themselves in `source()`, so what they wrap is looked into by hand.
        next = match error.downcast_ref::<PinError>() {
            Some(PinError::SyscallError(call)) => Some(&call.io_error),
            _ => error.source(),
        };
    }
    None
}
