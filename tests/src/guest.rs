//! Guests of the host: namespaces that hang on it by a veth.

use crate::Namespace;

/// A namespace whose `eth0` is the other end of an interface of the host.
#[derive(Debug)]
pub struct Guest {
    /// The guest.
    pub namespace: Namespace,
}

impl Guest {
    /// Makes a guest; `interface` is the host's end.
    pub fn new(host: &Namespace, interface: &str) -> Self {
        let namespace = Namespace::new("g");
        namespace.set_sysctl("net/ipv6/conf/default/accept_dad", "0");
        host.ip(&format!("link add {interface} type veth peer name eth0 netns {}", namespace.name()));
        host.ip(&format!("link set {interface} up"));
        namespace.ip("link set eth0 up");
        Self { namespace }
    }
}
