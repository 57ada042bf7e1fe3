//! Host, switch and client.

use std::net::Ipv4Addr;

use anyhow::Result;

use aggctl_testbed::{netns::Namespace, traffic::unsent::keep_queues_short};

/// The address of the host that the client talks to.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A host with two ports and a client, on one switch:
///
/// ```text
/// host eth0 ── port0 switch port2 ── eth0 client
/// host eth1 ── port1
/// ```
pub struct Topology {
    /// Has `eth0` with the addresses and a default route, and `eth1` with nothing.
    pub host: Namespace,
    /// A bridge; taking one of its ports down is pulling the cable.
    pub switch: Namespace,
    /// Has an address beside the host's.
    pub client: Namespace,
}

impl Topology {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn new() -> Result<Self> {
        let topology = Self {
            host: Namespace::new("host")?,
            switch: Namespace::new("switch")?,
            client: Namespace::new("client")?,
        };
        let Self { host, switch, client } = &topology;

        switch.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;
        let cables = [(host, "eth0", "port0"), (host, "eth1", "port1"), (client, "eth0", "port2")];
        for (namespace, name, port) in cables {
            switch.ip(&format!("link add {port} type veth peer name {name} netns {}", namespace.name()))?;
            switch.ip(&format!("link set {port} master br0 up"))?;
            namespace.ip(&format!("link set {name} up"))?;
            keep_queues_short(namespace, name)?;
        }
        host.ip(&format!("address add {HOST}/24 dev eth0"))?;
        host.ip("address add 2001:db8::1/64 dev eth0 nodad")?;
        host.ip("route add default via 192.0.2.254")?;
        client.ip("address add 192.0.2.2/24 dev eth0")?;
        client.ip("address add 2001:db8::2/64 dev eth0 nodad")?;
        Ok(topology)
    }

    /// Pulls the cable of `eth0` or `eth1` of the host, or puts it back.
    ///
    /// # Errors
    ///
    /// When there is no such port.
    pub fn cable(&self, host_port: &str, plugged: bool) -> Result<()> {
        let port = host_port.replace("eth", "port");
        self.switch.ip(&format!("link set {port} {}", if plugged { "up" } else { "down" }))?;
        Ok(())
    }
}
