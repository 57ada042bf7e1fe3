//! The topologies.
//!
//! ```text
//!   host                     switch                    client
//!  +---------------+       +----------------+       +----------------------------+
//!  | eth0 ---------------- sw0              |       |                            |
//!  |  10.0.0.2/24  |       |     (bridge) uplink ---- eth0  10.0.0.1/24  fd00::1 |
//!  |  fd00::2/64   |       |                |       |   lo  198.51.100.1  fd01::1|
//!  | eth1 ---------------- sw1              |       |                            |
//!  +---------------+       +----------------+       +----------------------------+
//!    default via 10.0.0.1 and fd00::1, on eth0
//! ```

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Case, Namespace, Outcome, Ping,
    card::{self, Card, End},
    shuttle::Shuttle,
    wait_for,
};

/// The host's IPv4 address.
pub const HOST_V4: &str = "10.0.0.2";
/// The host's IPv6 address.
pub const HOST_V6: &str = "fd00::2";
/// The client's IPv4 address.
pub const CLIENT_V4: &str = "10.0.0.1";
/// The client's IPv6 address.
pub const CLIENT_V6: &str = "fd00::1";
/// An IPv4 address of the client that the host reaches by its default route only.
pub const REMOTE_V4: &str = "198.51.100.1";
/// An IPv6 address of the client that the host reaches by its default route only.
pub const REMOTE_V6: &str = "fd01::1";

/// What the host's ports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// veth: the kernel reports the loss of their carrier at once.
    Veth,
    /// tap: the kernel reports the loss of their carrier in batches, as for hardware.
    Tap,
    /// Emulated e1000e cards of a machine.
    E1000e,
    /// Emulated virtio cards of a machine.
    Virtio,
}

impl PortKind {
    /// Whether ports are cards of the machine, which one test has at a time.
    pub fn is_card(self) -> bool {
        matches!(self, Self::E1000e | Self::Virtio)
    }
}

/// What is between a port and the switch.
#[derive(Debug)]
enum Cable {
    Veth,
    Tap(Shuttle),
    Card(Card),
}

/// A host with some ports, the switch that they lead to, and a client behind it.
#[derive(Debug)]
pub struct Lab {
    cables: BTreeMap<String, Cable>,
    /// The case that this is.
    pub case: Case,
    /// Where the aggregate lives.
    pub host: Namespace,
    /// What its ports lead to: bridge `br0` with `sw0` for `eth0`, `sw1` for `eth1`, …, and `uplink` for the client.
    pub switch: Namespace,
    /// Who talks to the host.
    pub client: Namespace,
    /// Kept until all else is gone.
    _turn: Option<card::CardsLock>,
}

impl Lab {
    /// The drawing above, without the host's addresses. New IPv6 addresses are usable at once.
    pub fn bare(case: Case) -> Self {
        let lab = Self {
            _turn: case.link.is_card().then(card::turn),
            cables: BTreeMap::new(),
            case,
            host: Namespace::new("h"),
            switch: Namespace::new("s"),
            client: Namespace::new("c"),
        };
        for namespace in [&lab.host, &lab.client] {
            namespace.set_sysctl("net/ipv6/conf/default/accept_dad", "0");
        }
        lab.switch.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        lab.switch.ip("link add br0 type bridge mcast_snooping 0");
        lab.switch.ip("link set br0 up");
        lab.join_client();
        lab.with_port("eth0").with_port("eth1")
    }

    /// The drawing above.
    pub fn two_ports(case: Case) -> Self {
        let lab = Self::bare(case);
        lab.address_host();
        lab
    }

    /// The drawing above, and the host checks its IPv6 addresses for duplicates as hosts do.
    pub fn two_ports_with_dad(case: Case) -> Self {
        let lab = Self::bare(case);
        for scope in ["default", "eth0", "eth1"] {
            lab.host.set_sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "1");
        }
        lab.address_host();
        lab
    }

    /// Waits until the host knows that nobody else has its IPv6 addresses.
    #[track_caller]
    pub fn wait_for_dad(&self) {
        wait_for("addresses without duplicates", Duration::from_secs(10), || {
            !self.host.ip("-6 addr show").contains("tentative")
        });
    }

    fn address_host(&self) {
        self.host.ip(&format!("addr add {HOST_V4}/24 brd + dev eth0"));
        self.host.ip(&format!("addr add {HOST_V6}/64 dev eth0"));
        self.host.ip(&format!("route add default via {CLIENT_V4} dev eth0"));
        self.host.ip(&format!("route add default via {CLIENT_V6} dev eth0"));
        // Also without a check for duplicates an address is tentative for a moment.
        self.wait_for_dad();
        wait_for("the host answers", Duration::from_secs(10), || {
            [CLIENT_V4, CLIENT_V6].iter().all(|to| self.host.exec(&format!("ping -c 1 -W 1 {to}")).succeeded())
        });
    }

    fn join_client(&self) {
        self.switch.ip(&format!("link add uplink type veth peer name eth0 netns {}", self.client.name()));
        self.switch.ip("link set uplink master br0 up");
        self.client.ip("link set eth0 up");
        self.client.keep_queues_short("eth0");
        for address in [&format!("{CLIENT_V4}/24"), &format!("{CLIENT_V6}/64")] {
            self.client.ip(&format!("addr add {address} dev eth0"));
        }
        for address in [&format!("{REMOTE_V4}/32"), &format!("{REMOTE_V6}/128")] {
            self.client.ip(&format!("addr add {address} dev lo"));
        }
    }

    /// Gives the host another port, `ethN`, which leads to `swN` of the switch.
    #[must_use]
    pub fn with_port(mut self, port: &str) -> Self {
        let end = switch_end(port);
        let cable = match self.case.link {
            PortKind::Veth => {
                self.switch.ip(&format!("link add {end} type veth peer name {port} netns {}", self.host.name()));
                Cable::Veth
            }
            PortKind::Tap => Cable::Tap(Shuttle::new([(&self.host, port), (&self.switch, &end)])),
            PortKind::E1000e | PortKind::Virtio => {
                let own = if self.case.link == PortKind::E1000e { End::Nic } else { End::Partner };
                Cable::Card(Card::new(self.cables.len(), own, (&self.host, port), (&self.switch, &end)))
            }
        };
        self.switch.ip(&format!("link set {end} master br0 up"));
        self.host.ip(&format!("link set {port} up"));
        self.host.keep_queues_short(port);
        self.cables.insert(port.to_owned(), cable);
        if self.case.link == PortKind::Tap {
            // Until its carrier has changed once, the state of a tap is unknown.
            self.cut(port);
            self.restore(port);
        }
        let carrier = || self.host.link(port)["operstate"] == "UP";
        wait_for("a port with carrier", Duration::from_secs(10), carrier);
        self
    }

    /// Cuts the cable of a port.
    #[track_caller]
    pub fn cut(&self, port: &str) {
        self.plug(port, false);
    }

    /// Mends the cable of a port.
    #[track_caller]
    pub fn restore(&self, port: &str) {
        self.plug(port, true);
    }

    #[track_caller]
    fn plug(&self, port: &str, plugged: bool) {
        match &self.cables[port] {
            Cable::Tap(shuttle) => shuttle.plug(plugged),
            Cable::Card(card) => card.plug_cable(plugged),
            Cable::Veth => {
                let state = if plugged { "up" } else { "down" };
                self.switch.ip(&format!("link set {} {state}", switch_end(port)));
            }
        }
    }

    /// The card that a port is; only where ports are cards.
    #[track_caller]
    pub fn card(&self, port: &str) -> &Card {
        match &self.cables[port] {
            Cable::Card(card) => card,
            other => panic!("{port} is no card: {other:?}"),
        }
    }

    /// Attaches `agg0` with the first two ports over wiring and hook of this case, and further `options`.
    #[track_caller]
    pub fn try_attach(&self, options: &str) -> Outcome {
        self.host.aggctl(&self.attach_line(options))
    }

    /// Attaches `agg0` as [`Lab::try_attach`] does; it must succeed.
    #[track_caller]
    pub fn attach(&self, options: &str) {
        self.try_attach(options).ok();
    }

    /// The arguments of [`Lab::try_attach`].
    pub fn attach_line(&self, options: &str) -> String {
        let (wiring, hook, device) = (self.case.wiring.name(), self.case.hook.name(), self.case.device());
        format!("attach agg0 --port eth0 --port eth1 --wiring {wiring} --hook {hook} --device {device} {options}")
    }

    /// The file of an aggregate of these ports in this case.
    pub fn config_file(&self, ports: &[&str]) -> String {
        let (wiring, hook, device) = (self.case.wiring.name(), self.case.hook.name(), self.case.device());
        format!("ports = {ports:?}\nwiring = \"{wiring}\"\nhook = \"{hook}\"\ndevice = \"{device}\"\n")
    }

    /// The client pings the host's IPv4 address.
    pub fn ping(&self, interval: Duration) -> Ping {
        Ping::start(&self.client, &self.host, HOST_V4, None, interval)
    }

    /// The client pings the host's IPv6 address.
    pub fn ping6(&self, interval: Duration) -> Ping {
        Ping::start(&self.client, &self.host, HOST_V6, None, interval)
    }
}

/// The switch's end of the cable of a port.
pub fn switch_end(port: &str) -> String {
    port.replace("eth", "sw")
}
