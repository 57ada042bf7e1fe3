//! The files of one aggregate in its bpffs directory. A bpffs allows no dots in names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aggctl_common::{IfIndex, LAYOUT_VERSION, PortId};
use rustix::fs::statfs;

use super::error::DataplaneError;

/// Pin of the table of ports.
pub(super) const PORTS: &str = "ports";
/// Pin of what sockets bound to the ports wait for.
pub(super) const BOUND: &str = "bound";
/// Pin of the stamp of wiring `over`.
pub(super) const STAMP: &str = "stamp";
/// Pin of the drop counters.
pub(super) const DROPS: &str = "drops";

/// Pin of the map that holds the table of buckets, or the rotation.
pub(super) const TABLE: &str = "table";
/// Pin of the map that holds the order of ports of each bucket.
pub(super) const ROWS: &str = "rows";
/// Pin of the counters of turns.
pub(super) const TURN: &str = "turn";

/// Pin of a copy of the record: see [`crate::state`]. What is pinned beside it while it is replaced has a longer name.
pub const RECORD: &str = "record";

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramRole {
    /// Sends what the host gives to the aggregate; is attached to its transmit or egress, or to the peer.
    Tx,
    /// Passes on what the ports received; is attached to a peer that is in a namespace of its own.
    Relay,
    /// Receives on this port.
    Rx(PortId),
    /// Drops on this port what must not be received, before there is a packet.
    Xdp(PortId),
}

impl std::fmt::Display for ProgramRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tx => f.write_str("tx"),
            Self::Relay => f.write_str("relay"),
            Self::Rx(port) => write!(f, "rx{port}"),
            Self::Xdp(port) => write!(f, "xdp{port}"),
        }
    }
}

/// The directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pins(PathBuf);

impl Pins {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    /// A map.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The program that is attached.
    pub(super) fn program(&self, role: ProgramRole) -> PathBuf {
        self.0.join(role.to_string())
    }

    /// The link that holds the program to a tcx, netkit or XDP hook.
    pub(super) fn link(&self, role: ProgramRole) -> PathBuf {
        self.0.join(format!("link-{role}"))
    }

    /// An empty directory that says that the clsact qdisc of an interface is ours. A bpffs has no ordinary files.
    pub(super) fn qdisc_mark(&self, role: ProgramRole, index: IfIndex) -> PathBuf {
        self.0.join(format!("{}{index}", qdisc_marks(role)))
    }

    /// An empty directory that says which layout the maps have.
    pub(super) fn layout_mark(&self) -> PathBuf {
        self.0.join(format!("layout-{LAYOUT_VERSION}"))
    }

    /// An empty directory that says what kind of tables there are, and of what size.
    pub(super) fn tables_mark(&self, [kind, size]: [u32; 2]) -> PathBuf {
        self.0.join(format!("tables-{kind}-{size}"))
    }

    /// An empty directory that says that the sending program asks the kernel for the links of the ports.
    pub(super) fn asks_mark(&self) -> PathBuf {
        self.0.join("asks-kernel")
    }

    /// Removes the marks whose names begin so; fine if there is not even the directory.
    pub(super) fn remove_marks(&self, prefix: &str) -> Result<(), DataplaneError> {
        let failed = |error| DataplaneError::pin(self.dir(), "read", error);
        if !self.dir().is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(self.dir()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                remove_mark(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// What the names of all [`Pins::qdisc_mark`]s of a program begin with.
pub(super) fn qdisc_marks(role: ProgramRole) -> String {
    format!("clsact-{role}-")
}

/// Whether a file system that holds this path, or will hold it once it is made, is a bpffs.
pub(super) fn is_in_bpffs(path: &Path) -> Result<bool, DataplaneError> {
    let Some(there) = path.ancestors().find(|ancestor| ancestor.exists()) else { return Ok(false) };
    is_bpffs(there).map_err(|error| DataplaneError::pin(there, "statfs", error))
}

/// Whether the file system that holds this path, which is there, is a bpffs.
pub(crate) fn is_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.f_type == libc::BPF_FS_MAGIC)
}

/// Makes a directory; fine if it is there.
pub(super) fn make_mark(path: &Path) -> Result<(), DataplaneError> {
    fs::create_dir_all(path).map_err(|error| DataplaneError::pin(path, "mkdir", error))
}

/// Removes an empty directory; fine if it is not there.
pub(super) fn remove_mark(path: &Path) -> Result<(), DataplaneError> {
    absent_is_fine(fs::remove_dir(path)).map_err(|error| DataplaneError::pin(path, "rmdir", error))
}

/// Removes a pin; fine if it is not there.
pub(super) fn unpin(path: &Path) -> Result<(), DataplaneError> {
    absent_is_fine(fs::remove_file(path)).map_err(|error| DataplaneError::pin(path, "unlink", error))
}

/// Moves a pin, over another one if need be.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DataplaneError> {
    fs::rename(from, to).map_err(|error| DataplaneError::pin(to, "rename", error))
}

/// Removes everything below the directory, and it; fine if it is not there.
pub(super) fn remove_all(dir: &Path) -> Result<(), DataplaneError> {
    absent_is_fine(fs::remove_dir_all(dir)).map_err(|error| DataplaneError::pin(dir, "rmdir", error))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
