//! Two hosts with guests, each behind an aggregate of four ports, at one switch that knows VLANs.
//!
//! ```text
//!   host 0                        switch                       host 1
//!  +-----------------------+     +------------------+     +-----------------------+
//!  | guest10 ─┐            │     | br0, trunks of   |     |            ┌─ guest10 |
//!  |          ├ agg0 eth0..3 ──── h0p0..3   h1p0..3 ──── eth0..3 agg0 ┤          |
//!  | guest20 ─┘            │     | VLAN 10 and 20   |     |            └─ guest20 |
//!  +-----------------------+     +------------------+     +-----------------------+
//! ```
//!
//! All guests are in one subnet, `10.9.0.0/24`: only the VLANs keep them apart.

use crate::{Case, Namespace, guest::Guest, matrix::SOON, vlan, wait_for};

/// Ports of each host.
const PORTS: usize = 4;
/// The guests' VLANs.
pub const VLANS: [u16; 2] = [10, 20];

/// How the guests' VLANs come to the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    /// A VLAN device on the aggregate and a bridge for each VLAN.
    OnVlanDevices,
    /// One bridge on the aggregate, which knows VLANs.
    OnOneBridge,
}

/// The drawing above.
#[derive(Debug)]
pub struct TwoHosts {
    /// The hosts.
    pub hosts: [ConnectedHost; 2],
    /// The switch.
    pub switch: Namespace,
}

/// One of the hosts.
#[derive(Debug)]
pub struct ConnectedHost {
    /// Where its aggregate is.
    pub namespace: Namespace,
    /// Its guests, in the order of [`VLANS`].
    pub guests: [Guest; 2],
}

impl TwoHosts {
    /// Makes the drawing, with the aggregates attached.
    pub fn new(case: Case, guests: Guests) -> Self {
        let switch = Namespace::new("s");
        switch.ip("link add br0 type bridge mcast_snooping 0 vlan_filtering 1 vlan_default_pvid 0");
        switch.ip("link set br0 up");
        let hosts = [0, 1].map(|number| ConnectedHost::new(case, number, &switch, guests));
        Self { hosts, switch }
    }

    /// Cuts the cable of a host's port, or mends it.
    #[track_caller]
    pub fn plug(&self, host: usize, port: usize, plugged: bool) {
        self.switch.ip(&format!("link set {} {}", switch_end(host, port), if plugged { "up" } else { "down" }));
    }

    /// Whether guests reach each other: `from` and `to` are a host and the place of a VLAN in [`VLANS`].
    pub fn reaches(&self, from: (usize, usize), to: (usize, usize)) -> bool {
        let guest = &self.hosts[from.0].guests[from.1].namespace;
        guest.exec(&format!("ping -q -c 3 -i 0.2 -W 1 {}", address(to.0, to.1))).succeeded()
    }
}

impl ConnectedHost {
    fn new(case: Case, number: usize, switch: &Namespace, wish: Guests) -> Self {
        let namespace = Namespace::new("h");
        let mut ports = String::new();
        for port in 0..PORTS {
            let end = switch_end(number, port);
            switch.ip(&format!("link add {end} type veth peer name eth{port} netns {}", namespace.name()));
            switch.ip(&format!("link set {end} master br0 up"));
            for vlan in VLANS {
                switch.bridge(&format!("vlan add dev {end} vid {vlan}"));
            }
            namespace.ip(&format!("link set eth{port} up"));
            wait_for("a port with carrier", SOON, || namespace.has_carrier(&format!("eth{port}")));
            ports += &format!("--port eth{port} ");
        }
        namespace.aggctl(&format!("attach agg0 {ports} --hook {}", case.hook.name())).ok();
        let guests = [0, 1].map(|place| {
            let guest = Guest::new(&namespace, &format!("g{}", VLANS[place]));
            guest.namespace.ip(&format!("addr add {}/24 dev eth0", address(number, place)));
            guest
        });
        match wish {
            Guests::OnVlanDevices => Self::bridge_per_vlan(&namespace),
            Guests::OnOneBridge => Self::bridge_for_all(&namespace),
        }
        Self { namespace, guests }
    }

    fn bridge_per_vlan(host: &Namespace) {
        for vlan in VLANS {
            let device = vlan::stack(host, "agg0", &[vlan::customer(vlan)]);
            host.ip(&format!("link add br{vlan} type bridge mcast_snooping 0"));
            host.ip(&format!("link set br{vlan} up"));
            for port in [&device, &format!("g{vlan}")] {
                host.ip(&format!("link set {port} master br{vlan}"));
            }
        }
    }

    fn bridge_for_all(host: &Namespace) {
        host.ip("link add br0 type bridge mcast_snooping 0 vlan_filtering 1 vlan_default_pvid 0");
        host.ip("link set br0 up");
        host.ip("link set agg0 master br0");
        for vlan in VLANS {
            host.ip(&format!("link set g{vlan} master br0"));
            host.bridge(&format!("vlan add dev g{vlan} vid {vlan} pvid untagged"));
            host.bridge(&format!("vlan add dev agg0 vid {vlan}"));
        }
    }
}

/// The switch's end of the cable of a host's port.
pub fn switch_end(host: usize, port: usize) -> String {
    format!("h{host}p{port}")
}

/// The address of the guest of a host in the VLAN at a place of [`VLANS`].
pub fn address(host: usize, place: usize) -> String {
    format!("10.9.0.{}", (host + 1) * 100 + usize::from(VLANS[place]))
}
