//! Names of interfaces and labels of IPv4 addresses.

/// What cannot be the name of an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no valid interface name: {why}; choose another name")]
pub struct InvalidName {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The most octets of an interface's name, or of a label (IFNAMSIZ without the final zero).
const LIMIT: usize = 15;
/// What the name of the peer ends with, where it fits.
const SUFFIX: &str = "-peer";

/// Whether the kernel would take `name` for an interface, and it means nothing else in /proc/sys/net.
///
/// # Errors
///
/// If a port or an aggregate cannot have it.
pub fn check(name: &str) -> Result<(), InvalidName> {
    check_possible(name)?;
    let why = if name.starts_with('-') {
        "it begins with a '-', as options do"
    } else if matches!(name, "all" | "default") {
        "it means all interfaces in sysctls"
    } else if name.contains('%') {
        "it has a '%', which the kernel replaces by a number"
    } else {
        return Ok(());
    };
    Err(InvalidName { name: name.to_owned(), why })
}

/// Whether an interface can have this name at all, so that it may be looked for.
///
/// # Errors
///
/// If none can.
pub fn check_possible(name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > LIMIT {
        "it is longer than 15 bytes"
    } else if matches!(name, "." | "..") {
        "it names a directory"
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it has white space or control characters"
    } else if name.contains(['/', ':']) {
        "it has a '/' or ':'"
    } else {
        return Ok(());
    };
    Err(InvalidName { name: name.to_owned(), why })
}

/// The name of the peer of the aggregate `name`: `NAME-peer` where that fits, else the beginning of the name and
/// a hash of the whole. The same name gives the same answer.
#[must_use]
pub fn peer_name(name: &str) -> String {
    if name.len() + SUFFIX.len() <= LIMIT {
        return format!("{name}{SUFFIX}");
    }
    format!("{}-{:06x}", cut(name, LIMIT - 7), fnv1a(name) & 0x00ff_ffff)
}

/// The label that an address labelled `label` on `from` has on `to`: the name at its beginning is replaced.
pub(crate) fn relabel(label: &str, from: &str, to: &str) -> String {
    match label.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => cut(&format!("{to}{rest}"), LIMIT).to_owned(),
        _ => to.to_owned(),
    }
}

/// The longest beginning of `text` of at most `limit` octets.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// FNV-1a, 32 bits: short, and the same on every machine.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in
            ["", ".", "..", "a/b", "/", "a b", " ", "a\tb", "a\nb", "a\u{a0}b", "\u{7}", "a:b", "sixteen-bytes-lo"]
        {
            assert!(check_possible(name).is_err(), "{name:?}");
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["-x", "--force", "-", "agg%d", "%", "all", "default"] {
            assert!(check(name).is_err(), "{name:?}");
            assert!(check_possible(name).is_ok(), "{name:?}: by others");
        }
        for name in ["agg0", "a", "a.b", "...", "fifteen-bytes-l", "a-", "a@b", "ünïcödé", "0"] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn the_peer_name_fits_and_differs() {
        assert_eq!(peer_name("agg0"), "agg0-peer");
        let (one, two) = (peer_name("aggregate-east1"), peer_name("aggregate-east2"));
        assert!(one.len() <= LIMIT && two.len() <= LIMIT);
        assert_ne!(one, two);
        assert_eq!(one, peer_name("aggregate-east1"));
    }

    #[test]
    fn labels_follow_the_interface() {
        assert_eq!(relabel("eth0", "eth0", "agg0"), "agg0");
        assert_eq!(relabel("eth0:1", "eth0", "agg0"), "agg0:1");
        assert_eq!(relabel("eth01", "eth0", "agg0"), "agg0");
        assert_eq!(relabel("eth0:backup", "eth0", "aggregate"), "aggregate:backu");
    }
}
