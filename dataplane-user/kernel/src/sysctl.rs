//! Per-interface sysctls: `/proc/sys/net/{ipv4,ipv6}/{conf,neigh}/LINK/NAME` of the present network namespace.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use aggctl_engine::announce::Ipv6Role;

use crate::error::KernelError;

/// Where the kernel keeps the sysctls of an interface, below `/proc/sys/net`, and what their keys begin with. `mpls` is
/// there with its module.
const PLACES: [(&str, &str); 5] = [
    ("ipv4/conf", "ipv4/"),
    ("ipv6/conf", "ipv6/"),
    ("ipv4/neigh", "ipv4/neigh/"),
    ("ipv6/neigh", "ipv6/neigh/"),
    ("mpls/conf", "mpls/"),
];

/// The bit of a file's mode that lets its owner write it.
const OWNER_WRITES: u32 = 0o200;

/// Those that are not taken along. Read-only ones (`mc_forwarding`) are not either.
const LEFT_OUT: [&str; 9] = [
    // It follows the device.
    "ipv6/mtu",
    // A secret, which must not be written to a file; setting it also changes how addresses are made.
    "ipv6/stable_secret",
    // A setting of the link for us, with an order of its own.
    "ipv6/addr_gen_mode",
    // The same as others, in a coarser unit.
    "ipv4/neigh/base_reachable_time",
    "ipv4/neigh/retrans_time",
    "ipv4/neigh/unres_qlen",
    "ipv6/neigh/base_reachable_time",
    "ipv6/neigh/retrans_time",
    "ipv6/neigh/unres_qlen",
];

/// The sysctls that decisions depend on, of any interface.
const ESSENTIAL: [&str; 2] = ["ipv4/rp_filter", "ipv6/disable_ipv6"];

/// The sysctls of an interface that every picture of it shows. None if the interface has no IP.
///
/// # Errors
///
/// If one that exists cannot be read.
pub fn read_essential(link: &str) -> Result<BTreeMap<String, String>, KernelError> {
    let mut values = BTreeMap::new();
    for key in ESSENTIAL {
        if let Some(value) = read(link, key)? {
            values.insert(key.to_owned(), value);
        }
    }
    Ok(values)
}

/// All sysctls that the kernel lists for an interface and that can be set, but for a few that make no sense on another
/// one.
///
/// # Errors
///
/// If one that exists cannot be read.
pub fn read_all(link: &str) -> Result<BTreeMap<String, String>, KernelError> {
    let mut values = BTreeMap::new();
    for (place, prefix) in PLACES {
        for name in names(place, link)? {
            let key = format!("{prefix}{name}");
            if !LEFT_OUT.contains(&key.as_str())
                && let Some(value) = read(link, &key)?
            {
                values.insert(key, value);
            }
        }
    }
    Ok(values)
}

/// Names of the sysctls of an interface in one place that can be written.
fn names(place: &str, link: &str) -> Result<Vec<String>, KernelError> {
    let failed = |error| KernelError::refused(format!("{link}: {place}"), "list sysctls", error);
    let entries = match fs::read_dir(Path::new("/proc/sys/net").join(place).join(link)) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let writable = entry.metadata().is_ok_and(|meta| meta.permissions().mode() & OWNER_WRITES != 0);
        names.extend(entry.file_name().into_string().ok().filter(|_| writable));
    }
    Ok(names)
}

/// Sets one sysctl of an interface, if it has another value: some have side effects even when nothing changes.
///
/// # Errors
///
/// What the kernel refuses; `ENOENT` if the interface or the sysctl does not exist.
pub fn set(link: &str, key: &str, value: &str) -> Result<(), KernelError> {
    if read(link, key)?.as_deref() == Some(value) {
        return Ok(());
    }
    write(link, key, value)
}

/// One sysctl of an interface; `None` if it does not exist.
///
/// # Errors
///
/// If it exists and cannot be read.
pub fn read(link: &str, key: &str) -> Result<Option<String>, KernelError> {
    match fs::read_to_string(path(link, key)?) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(KernelError::refused(format!("{link}: {key}"), "read sysctl", error)),
    }
}

/// Whether the host forwards IPv6 packets that arrive on an interface, which its announcements must say.
///
/// # Errors
///
/// If the sysctl cannot be read.
pub fn role(link: &str) -> Result<Ipv6Role, KernelError> {
    let forwards = read(link, "ipv6/forwarding")?.is_some_and(|value| value != "0");
    Ok(if forwards { Ipv6Role::Router } else { Ipv6Role::Host })
}

/// Sets one sysctl of an interface.
///
/// # Errors
///
/// What the kernel refuses; `ENOENT` if the interface or the sysctl does not exist.
pub fn write(link: &str, key: &str, value: &str) -> Result<(), KernelError> {
    fs::write(path(link, key)?, value)
        .map_err(|error| KernelError::refused(format!("{link}: {key}={value}"), "write sysctl", error))
}

/// The file of a sysctl. Names of interfaces may hold dots, but neither slashes nor `..` alone.
fn path(link: &str, key: &str) -> Result<PathBuf, KernelError> {
    let malformed = |what| KernelError::Malformed { subject: format!("{link}: {key}"), what };
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('/');
    // The longest prefix that fits: `ipv4/neigh/` is one, too.
    let (place, name) = PLACES
        .iter()
        .filter_map(|(place, prefix)| Some((*place, key.strip_prefix(prefix)?)))
        .min_by_key(|(_, name)| name.len())
        .ok_or_else(|| malformed("sysctl name"))?;
    if !plain(name) {
        return Err(malformed("sysctl name"));
    }
    if !plain(link) {
        return Err(malformed("interface name"));
    }
    Ok(Path::new("/proc/sys/net").join(place).join(link).join(name))
}

/// Whether an error says that there is no such interface or sysctl (any more).
fn absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_of_parts_and_not_of_dots() {
        let made = path("eth0.100", "ipv4/rp_filter").unwrap();
        assert_eq!(made, Path::new("/proc/sys/net/ipv4/conf/eth0.100/rp_filter"));
        let made = path("eth0", "ipv6/neigh/locktime").unwrap();
        assert_eq!(made, Path::new("/proc/sys/net/ipv6/neigh/eth0/locktime"));
        for (link, key) in [
            ("..", "ipv4/rp_filter"),
            ("a/b", "ipv4/rp_filter"),
            ("", "ipv4/rp_filter"),
            ("eth0", "rp_filter"),
            ("eth0", "ipv4/.."),
            ("eth0", "ipv4/a/b"),
            ("eth0", "core/x"),
        ] {
            assert!(matches!(path(link, key), Err(KernelError::Malformed { .. })), "{link} {key}");
        }
    }
}
