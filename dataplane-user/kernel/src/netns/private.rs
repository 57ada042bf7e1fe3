//! A network namespace of our own, in which no process is: a bind mount holds it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::fd::AsFd as _,
    panic,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::fstatfs,
    io::Errno,
    mount::{UnmountFlags, mount_bind, unmount},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

use super::THIS_NETNS;
use crate::{error::KernelError, netlink::Netlink};

/// A network namespace that a bind mount holds on this file. It lives as long as that; its interfaces go with it.
/// Nothing is kept open, so that no process of ours lets it live longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNamespace(PathBuf);

impl PrivateNamespace {
    /// The namespace that is, or shall be, held by this file. Touches nothing.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it. One that is there stays as it is.
    ///
    /// # Errors
    ///
    /// If the file's directory is not there, or the kernel refuses.
    pub fn create(&self) -> Result<(), KernelError> {
        let refused = |call| move |error: io::Error| KernelError::refused(self.0.display().to_string(), call, error);
        match self.open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other.map(drop).map_err(refused("open namespace")),
        }
        File::create(&self.0).map_err(refused("create"))?;
        let make = || -> io::Result<()> {
            // SAFETY: only the network namespace is left, which shares no memory and no file descriptor; and only this
            // thread leaves it, which ends right away.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            Ok(mount_bind(THIS_NETNS, &self.0)?)
        };
        apart(make).and_then(|made| made).map_err(refused("make network namespace"))
    }

    /// Lets go of it; fine if it is not there.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn delete(&self) -> Result<(), KernelError> {
        let refused = |call| move |error: io::Error| KernelError::refused(self.0.display().to_string(), call, error);
        match unmount(&self.0, UnmountFlags::DETACH) {
            // Nothing is mounted there, or there is no such file.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(refused("unmount")(errno.into())),
        }
        // That also takes away the copies of the mount that other mount namespaces got when they were made.
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(refused("remove")(error)),
            _ => Ok(()),
        }
    }

    /// Does something in this namespace, on a thread that ends with it: the calling thread never leaves its own.
    ///
    /// # Errors
    ///
    /// If it cannot be entered; `NotFound` if it is gone.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = self.open()?;
        apart(move || -> io::Result<T> {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            drop(namespace);
            Ok(act())
        })?
    }

    /// A netlink socket there, for any thread. The namespace lives as long as that is open.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`] if the namespace is gone; else what the kernel refuses.
    pub fn netlink(&self) -> Result<Netlink, KernelError> {
        self.run(Netlink::open).map_err(|error| self.not_entered(error))?
    }

    /// The open namespace, to be named in a request.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`] if it is gone.
    pub(crate) fn file(&self) -> Result<File, KernelError> {
        self.open().map_err(|error| self.not_entered(error))
    }

    /// The error of [`PrivateNamespace::run`] in this crate's words.
    pub(crate) fn not_entered(&self, error: io::Error) -> KernelError {
        let path = self.0.display().to_string();
        if error.kind() == ErrorKind::NotFound {
            KernelError::Gone(format!("the network namespace {path}"))
        } else {
            KernelError::refused(path, "enter network namespace", error)
        }
    }

    fn open(&self) -> io::Result<File> {
        let file = File::open(&self.0)?;
        // Without the mount it is an ordinary file.
        let held = fstatfs(&file)?.f_type == libc::NSFS_MAGIC;
        if held { Ok(file) } else { Err(ErrorKind::NotFound.into()) }
    }
}

/// Does something on a thread of its own.
pub(super) fn apart<T: Send>(act: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, act)?;
        Ok(thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause)))
    })
}
