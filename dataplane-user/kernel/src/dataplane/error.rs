//! What can go wrong with programs and maps.

use std::{error::Error, fmt, io, path::PathBuf};

use aggctl_common::{IfIndex, PortId};
use aya::{EbpfError, maps::MapError, programs::ProgramError};
use rustix::io::Errno;

use crate::error::CallFailure;

/// A failure of the data path's set-up, with the thing that it happened to and the call that failed.
#[derive(Debug, thiserror::Error)]
pub enum DataplaneError {
    /// The programs were not there when this crate was built.
    #[error("this aggctl was built without its eBPF programs: run `cargo xtask build`")]
    NotBuilt,
    /// The embedded object lacks a program or map, so it belongs to another version.
    #[error("the eBPF object has no {0}: run `cargo xtask build`")]
    Missing(String),
    /// The directory for the pins is on another file system.
    #[error("{} is in no bpffs: mount one there (mount -t bpf bpf DIRECTORY)", .0.display())]
    NoBpffs(PathBuf),
    /// The kernel or the loader did not take the object.
    #[error("loading the eBPF object: {}", Chain(&**.0))]
    Load(Box<EbpfError>),
    /// A call on a file below the pin directory failed.
    #[error("{}: {call}: {}", path.display(), Chain(&**cause))]
    Pin {
        /// The file.
        path: PathBuf,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A call on a map failed.
    #[error("map {map}: {call}: {}", Chain(&**cause))]
    Map {
        /// The map's pin.
        map: &'static str,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<MapError>,
    },
    /// A table is not of the size of the map that it is for.
    #[error("map {map}: a table of {found} entries, where {expected} belong")]
    Table {
        /// The map's pin.
        map: &'static str,
        /// How many entries belong there.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// A call on a program failed.
    #[error("program {program}: {call}: {}", Chain(&**cause))]
    Program {
        /// The program's pin.
        program: String,
        /// The call.
        call: &'static str,
        /// Why.
        cause: Box<ProgramError>,
    },
    /// The kernel's verifier, or its limits, refused a program. What the verifier said is in the log (`debug`).
    #[error("program {program}: the kernel does not load it: {cause}")]
    Refused {
        /// The program's pin.
        program: String,
        /// The system's answer.
        cause: io::Error,
    },
    /// The kernel refused a request about an interface's hook.
    #[error("interface {index}: {call}: {cause}")]
    Hook {
        /// The interface.
        index: IfIndex,
        /// The call.
        call: &'static str,
        /// Why.
        cause: CallFailure,
    },
    /// Somebody else's XDP program is attached to a port.
    #[error(
        "{port} has the XDP program {id} ({name}) of somebody else, which is not replaced: take that off ('ip link set \
         {port} xdp off', or its link), or use xdp off"
    )]
    ForeignXdp {
        /// The port.
        port: String,
        /// The kernel's number of the program.
        id: u32,
        /// Its name.
        name: String,
    },
    /// The driver of a port takes no XDP program of ours.
    #[error("{port}: its driver does not take an XDP program: {cause}; use xdp generic, auto or off")]
    NoNativeXdp {
        /// The port.
        port: String,
        /// The kernel's answer.
        cause: io::Error,
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

    pub(super) fn hook(index: IfIndex, call: &'static str, cause: impl Into<CallFailure>) -> Self {
        Self::Hook { index, call, cause: cause.into() }
    }
}

impl From<EbpfError> for DataplaneError {
    fn from(error: EbpfError) -> Self {
        Self::Load(Box::new(error))
    }
}

/// An error and its sources in one line: the libraries below put the system's own words into the source.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            next = error.source();
        }
        f.write_str(&said)
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
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn an_error_says_what_the_system_said_in_one_line() {
        let call = SyscallError { call: "bpf_link_update", io_error: Errno::NOLINK.into() };
        let error = DataplaneError::program("rx3", "update tcx link", call);
        let text = error.to_string();
        assert!(text.starts_with("program rx3: update tcx link: "), "{text}");
        assert!(text.contains("bpf_link_update") && text.contains("Link has been severed"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn the_systems_error_is_found_below_the_libraries() {
        let call = SyscallError { call: "BPF_OBJ_GET", io_error: Errno::NOENT.into() };
        assert!(is_not_found(&MapError::from(call)));
        assert!(!is_not_found(&MapError::ElementNotFound));
    }
}
