//! Per-interface sysctls: `/proc/sys/net/{ipv4,ipv6}/conf/LINK/KEY` of the present network namespace.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use aggctl_engine::announce::Role;

use crate::error::KernelError;

/// Those that a snapshot takes and an attach may copy. Not `mtu`, which follows the device, nor
/// `conf/LINK/stable_secret`, which is a secret.
const KEYS: [&str; 48] = [
    "ipv4/forwarding",
    "ipv4/rp_filter",
    "ipv4/arp_accept",
    "ipv4/arp_announce",
    "ipv4/arp_filter",
    "ipv4/arp_ignore",
    "ipv4/arp_notify",
    "ipv4/proxy_arp",
    "ipv4/proxy_arp_pvlan",
    "ipv4/accept_local",
    "ipv4/accept_redirects",
    "ipv4/accept_source_route",
    "ipv4/send_redirects",
    "ipv4/secure_redirects",
    "ipv4/src_valid_mark",
    "ipv4/route_localnet",
    "ipv4/shared_media",
    "ipv4/log_martians",
    "ipv4/promote_secondaries",
    "ipv4/disable_policy",
    "ipv4/disable_xfrm",
    "ipv4/medium_id",
    "ipv6/disable_ipv6",
    "ipv6/forwarding",
    "ipv6/accept_ra",
    "ipv6/accept_ra_defrtr",
    "ipv6/accept_ra_pinfo",
    "ipv6/accept_ra_rtr_pref",
    "ipv6/accept_ra_rt_info_min_plen",
    "ipv6/accept_ra_rt_info_max_plen",
    "ipv6/accept_ra_mtu",
    "ipv6/accept_ra_min_hop_limit",
    "ipv6/accept_ra_min_lft",
    "ipv6/accept_ra_from_local",
    "ipv6/ra_defrtr_metric",
    "ipv6/autoconf",
    "ipv6/accept_dad",
    "ipv6/dad_transmits",
    "ipv6/use_tempaddr",
    "ipv6/temp_prefered_lft",
    "ipv6/temp_valid_lft",
    "ipv6/accept_redirects",
    "ipv6/hop_limit",
    "ipv6/proxy_ndp",
    "ipv6/ndisc_notify",
    "ipv6/router_solicitations",
    "ipv6/keep_addr_on_down",
    "ipv6/optimistic_dad",
];

/// The sysctls of an interface that exist, by family and name (`ipv4/rp_filter`). None if the interface has no IP.
///
/// # Errors
///
/// If one that exists cannot be read.
pub fn read_all(link: &str) -> Result<BTreeMap<String, String>, KernelError> {
    let mut values = BTreeMap::new();
    for key in KEYS {
        if let Some(value) = read(link, key)? {
            values.insert(key.to_owned(), value);
        }
    }
    Ok(values)
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
pub fn role(link: &str) -> Result<Role, KernelError> {
    let forwards = read(link, "ipv6/forwarding")?.is_some_and(|value| value != "0");
    Ok(if forwards { Role::Router } else { Role::Host })
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
    let (family, name) = key.split_once('/').ok_or_else(|| malformed("sysctl name"))?;
    if !matches!(family, "ipv4" | "ipv6") || !plain(name) {
        return Err(malformed("sysctl name"));
    }
    if !plain(link) {
        return Err(malformed("interface name"));
    }
    Ok(Path::new("/proc/sys/net").join(family).join("conf").join(link).join(name))
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
