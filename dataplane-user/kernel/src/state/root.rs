//! The root of all state, shared by all aggregates of all network namespaces: made when the first comes, removed when
//! the last is gone.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{BPF, ROOT, StateError, Store, error::failed, lock::same_file};
use crate::dataplane;

impl Store {
    /// Makes the directories, and mounts the bpffs if it is not there yet.
    ///
    /// # Errors
    /// If a directory cannot be made or the bpffs not be mounted.
    pub fn create(&self) -> Result<(), StateError> {
        let root = lock_root()?;
        let made = mount_bpffs().and_then(|()| make_dir(&self.dir()));
        if made.is_err() {
            tidy_up(&[self.dir(), self.pins()])?;
        }
        drop(root);
        made
    }

    /// Removes all that is kept of the aggregate, and what is not needed any more above it.
    ///
    /// # Errors
    /// If something is there but cannot be removed.
    pub fn remove(&self) -> Result<(), StateError> {
        let _root = lock_root()?;
        let pins = self.pins();
        // Whatever became of its pair, it must not be left behind without a name.
        self.namespace().delete().map_err(StateError::Namespace)?;
        // In this order: a record that is left tells that a detach has begun.
        remove_tree(&pins)?;
        remove_tree(&self.dir())?;
        tidy_up(&[self.dir(), pins])
    }
}

/// Removes what is above the directories of an aggregate, as far as nobody else uses it. The caller holds the lock of
/// the root.
fn tidy_up(dirs: &[PathBuf]) -> Result<(), StateError> {
    // Parents go if they are empty; others may be using them.
    for dir in dirs.iter().filter_map(|dir| dir.parent()) {
        let _ = fs::remove_dir(dir);
    }
    let root = Path::new(ROOT);
    let bpf = root.join(BPF);
    let mut entries = fs::read_dir(root).map_err(failed("list", root))?;
    let others = entries.any(|entry| entry.is_ok_and(|entry| entry.path() != bpf));
    if !others && holds_no_pins(&bpf) {
        // Whoever still has it open keeps it; nothing is lost by leaving it mounted then.
        if unmount(&bpf, UnmountFlags::empty()).is_ok() || !is_bpffs(&bpf) {
            let _ = fs::remove_dir(&bpf);
            let _ = fs::remove_dir(root);
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create", path))
}

/// Keeps others from mounting, unmounting and tidying up meanwhile.
fn lock_root() -> Result<File, StateError> {
    let root = Path::new(ROOT);
    loop {
        make_dir(root)?;
        let file = File::open(root).map_err(failed("open", root))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock", root)(error.into()))?;
        if same_file(&file, root) {
            return Ok(file);
        }
    }
}

/// Whether nobody has pins there: those lie in directories; files are the kernel's own (`maps.debug`, `progs.debug`).
fn holds_no_pins(bpf: &Path) -> bool {
    let mut entries = fs::read_dir(bpf).into_iter().flatten().flatten();
    entries.all(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
}

/// Whether a bpffs is there.
fn is_bpffs(path: &Path) -> bool {
    dataplane::is_bpffs(path).unwrap_or(false)
}

fn mount_bpffs() -> Result<(), StateError> {
    let path = Path::new(ROOT).join(BPF);
    make_dir(&path)?;
    if is_bpffs(&path) {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", &path, "bpf", flags, Some(c"mode=0700"))
        .map_err(|error| StateError::Mount { path, source: error.into() })
}

/// Removes a directory with all that is in it, if it is there. Whoever waits for the lock meanwhile may make that file
/// once more, and finds out afterwards that there is nothing to be locked.
fn remove_tree(path: &Path) -> Result<(), StateError> {
    /// More often than there are others who may do so, by far.
    const ATTEMPTS: u32 = 1000;

    for _ in 1..ATTEMPTS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => std::thread::yield_now(),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", path)(error)),
            _ => return Ok(()),
        }
    }
    fs::remove_dir_all(path).map_err(failed("remove", path))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_directory_goes_although_somebody_looks_for_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("agg0");
        for _ in 0..200 {
            make_dir(&dir).unwrap();
            std::thread::scope(|scope| {
                let seeker = scope.spawn(|| {
                    for _ in 0..20 {
                        let _ = OpenOptions::new().create(true).append(true).open(dir.join("lock"));
                    }
                });
                while !dir.join("lock").exists() && !seeker.is_finished() {}
                remove_tree(&dir).unwrap();
            });
            assert!(!dir.exists());
        }
    }
}
