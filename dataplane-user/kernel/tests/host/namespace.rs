//! A network namespace of our own, which a file holds.

use std::{ffi::CStr, fs, io::ErrorKind};

use aggctl_kernel::{
    error::KernelError,
    netns::{self, PrivateNamespace},
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::support::{in_namespace, ip, mount_bpffs};

/// Where the file is. The directory itself is never written to.
const DIRECTORY: &str = "/media";

fn with_namespace(test: fn(&PrivateNamespace)) {
    in_namespace(move || {
        mount_bpffs();
        mount("tmpfs", DIRECTORY, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
        test(&PrivateNamespace::at(format!("{DIRECTORY}/netns")));
    });
}

#[test]
fn it_is_made_once_and_let_go_of() {
    with_namespace(|namespace| {
        assert_eq!(namespace.run(|| ()).unwrap_err().kind(), ErrorKind::NotFound);
        namespace.create().unwrap();
        let first = namespace.run(netns::cookie).unwrap().unwrap();
        namespace.create().unwrap();
        assert_eq!(namespace.run(netns::cookie).unwrap().unwrap(), first, "it is the same");
        for _ in 0..2 {
            namespace.delete().unwrap();
            assert!(!namespace.path().exists());
        }
        assert!(matches!(namespace.netlink(), Err(KernelError::Gone(_))));
    });
}

#[test]
fn nobody_who_looks_into_it_stays_there() {
    with_namespace(|namespace| {
        let here = netns::cookie().unwrap();
        ip("link add outside type veth peer name outside2");
        namespace.create().unwrap();
        assert_ne!(namespace.run(netns::cookie).unwrap().unwrap(), here);
        let mut there = namespace.netlink().unwrap();
        let names = there.links().unwrap().into_iter().map(|link| link.name).collect::<Vec<_>>();
        // Where tunnels are built in, or their modules are loaded, each namespace has devices of theirs.
        assert!(names.iter().any(|name| name == "lo") && !names.iter().any(|name| name == "outside"), "{names:?}");
        assert_eq!(netns::cookie().unwrap(), here);
        drop(there);
        let panicked = std::panic::catch_unwind(|| namespace.run(|| panic!("inside")));
        assert!(panicked.is_err());
        assert_eq!(netns::cookie().unwrap(), here);
    });
}

#[test]
fn a_file_that_holds_nothing_is_made_to_hold_one() {
    with_namespace(|namespace| {
        fs::write(namespace.path(), "").unwrap();
        assert_eq!(namespace.run(|| ()).unwrap_err().kind(), ErrorKind::NotFound);
        namespace.create().unwrap();
        unmount(namespace.path(), UnmountFlags::DETACH).unwrap();
        assert_eq!(namespace.run(|| ()).unwrap_err().kind(), ErrorKind::NotFound);
        namespace.create().unwrap();
        namespace.run(|| ()).unwrap();
        namespace.delete().unwrap();
    });
}
