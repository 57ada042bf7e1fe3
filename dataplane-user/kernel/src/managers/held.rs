//! Whether a network manager holds an interface now, as it says in its run-time files.

use std::{fs, path::Path};

use aggctl_common::IfIndex;

/// What remains to be done so that a manager that holds an interface lets go of it: its commands.
type Remedies = Vec<String>;

/// Where NetworkManager keeps a file for each interface (`NM_CONFIG_DEVICE_STATE_DIR`).
const NETWORK_MANAGER: &str = "/run/NetworkManager/devices";
/// Where systemd-networkd does; sd_network_link_get_setup_state(3) reads it.
const NETWORKD: &str = "/run/systemd/netif/links";

/// NetworkManager's remedies; `None` if it does not hold the interface.
pub(crate) fn by_network_manager(index: IfIndex, name: &str) -> Option<Remedies> {
    let state = read(NETWORK_MANAGER, index)?;
    (value(&state, "managed")? == "true").then(|| {
        let now = format!("`nmcli device set {name} managed no`");
        let later = value(&state, "connection-uuid")
            .map(|connection| format!("`nmcli connection modify {connection} connection.autoconnect no`"));
        std::iter::once(now).chain(later).collect()
    })
}

/// The remedies of systemd-networkd; `None` if it does not hold the interface.
pub(crate) fn by_networkd(index: IfIndex) -> Option<Remedies> {
    let state = read(NETWORKD, index)?;
    (value(&state, "ADMIN_STATE")? != "unmanaged").then(|| vec!["`networkctl reload`".to_owned()])
}

fn read(directory: &str, index: IfIndex) -> Option<String> {
    // Without a file, or while it is replaced, it says nothing.
    fs::read_to_string(Path::new(directory).join(index.0.to_string())).ok()
}

/// The value of a key in lines of `KEY=VALUE`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_whole_of_it() {
        let text = "[device]\nmanaged=true\nmanaged-type=none\nconnection-uuid=6bd0\nnm-owned=false\n";
        assert_eq!(value(text, "managed"), Some("true"));
        assert_eq!(value(text, "connection-uuid"), Some("6bd0"));
        assert_eq!(value(text, "connection"), None);
        assert_eq!(value("# ADMIN_STATE=x\nADMIN_STATE=unmanaged\n", "ADMIN_STATE"), Some("unmanaged"));
    }
}
