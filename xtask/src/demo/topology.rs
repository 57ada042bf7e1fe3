//! Host, switch and client.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::Value;

use aggctl_testbed::{netns::NetworkNamespace, traffic::unsent::keep_queues_short};

/// The address of the host that the client talks to.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A host with two ports and a client, on one switch:
///
/// ```text
/// host eth0 ── port0 switch port2 ── eth0 client
/// host eth1 ── port1
/// ```
pub struct DemoHosts {
    /// Has `eth0` with the addresses and a default route, and `eth1` with nothing; or a bond of both with them.
    pub host: NetworkNamespace,
    /// A bridge; taking one of its ports down is pulling the cable.
    pub switch: NetworkNamespace,
    /// Has an address beside the host's.
    pub client: NetworkNamespace,
}

impl DemoHosts {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn new() -> Result<Self> {
        let topology = Self::without_addresses()?;
        topology.address("eth0")?;
        Ok(topology)
    }

    /// Makes it with `eth0` and `eth1` in a bonding device, mode active-backup, which has the addresses. `None` if the
    /// kernel has no bonding driver.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn with_bond(bond: &str) -> Result<Option<Self>> {
        let topology = Self::without_addresses()?;
        let host = &topology.host;
        if host.ip(&format!("link add {bond} type bond mode active-backup miimon 100 num_grat_arp 3")).is_err() {
            return Ok(None);
        }
        for port in ["eth0", "eth1"] {
            host.ip(&format!("link set {port} down"))?;
            host.ip(&format!("link set {port} master {bond}"))?;
        }
        host.ip(&format!("link set {bond} up"))?;
        topology.address(bond)?;
        Ok(Some(topology))
    }

    /// The port by which a bonding device of the host sends, in its driver's words.
    ///
    /// # Errors
    ///
    /// When it is not there, or has none.
    pub fn active_of_bond(&self, bond: &str) -> Result<String> {
        let links: Vec<Value> = serde_json::from_str(&self.host.ip(&format!("-json -details link show {bond}"))?)?;
        let active = links.first().and_then(|link| link["linkinfo"]["info_data"]["active_slave"].as_str());
        active.map(str::to_owned).with_context(|| format!("{bond} has no active port"))
    }

    fn without_addresses() -> Result<Self> {
        let topology = Self {
            host: NetworkNamespace::new("host")?,
            switch: NetworkNamespace::new("switch")?,
            client: NetworkNamespace::new("client")?,
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
        client.ip("address add 192.0.2.2/24 dev eth0")?;
        client.ip("address add 2001:db8::2/64 dev eth0 nodad")?;
        Ok(topology)
    }

    fn address(&self, device: &str) -> Result<()> {
        self.host.ip(&format!("address add {HOST}/24 dev {device}"))?;
        self.host.ip(&format!("address add 2001:db8::1/64 dev {device} nodad"))?;
        self.host.ip("route add default via 192.0.2.254")?;
        Ok(())
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
