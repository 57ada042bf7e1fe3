//! Why a plan is not made.

use aggctl_common::MAX_PORTS;

use crate::{bond::NoBond, driver::UnfitDriver, host::MtuLimits, names::InvalidName, options::Invalid};

/// Why nothing was done. Each is one line that says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An option has a value that it cannot have.
    #[error(transparent)]
    Option(#[from] Invalid),
    /// The name cannot be an interface's.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The aggregate's name is in use.
    #[error("the name {name} is taken by {by}; choose another name, or remove what has it")]
    NameTaken {
        /// The name.
        name: String,
        /// What has it.
        by: &'static str,
    },
    /// `over` was asked for, and there is no such device.
    #[error(
        "wiring over needs {name} to be a bonding or team device, and it is neither; name one that is, name ports that \
         one shall be made of (--port), or use --wiring shared"
    )]
    NoDriver {
        /// What was named.
        name: String,
    },
    /// A port was named that is no member of the driver's device.
    #[error(
        "{port} is no port of {name}; in wiring over the driver says what its ports are: 'ip link set {port} master \
         {name}'"
    )]
    NoMember {
        /// The device.
        name: String,
        /// What was named.
        port: String,
    },
    /// The ports of a driver's device are the driver's.
    #[error(
        "the ports of {name} are its driver's, and are followed: use 'ip link set {port} master {name}' or 'ip link \
         set {port} nomaster'"
    )]
    PortsOfDriver {
        /// The device.
        name: String,
        /// What was named.
        port: String,
    },
    /// We cannot choose the port in the place of the driver.
    #[error(transparent)]
    UnfitDriver(#[from] UnfitDriver),
    /// Cards encrypt flows, and the driver sends each of them by the card that has its keys.
    #[error(
        "{feature} is on on {name} and {port}: such a flow must leave by the card that has its keys, which the driver \
         knows; leave {name} to it, or switch that off: 'ethtool -K {name} {feature} off'"
    )]
    KeysOnCards {
        /// The device.
        name: String,
        /// A port that encrypts.
        port: String,
        /// The ethtool feature.
        feature: &'static str,
    },
    /// No bonding device can be made.
    #[error(transparent)]
    NoBond(#[from] NoBond),
    /// The option is not for wiring `over`.
    #[error("{option} is not for wiring over: {instead}")]
    NotOver {
        /// The option.
        option: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// The name of the aggregate's peer is in use.
    #[error(
        "{name} needs the name {peer} for its peer, but that is taken; rename that interface or choose another name \
         for the aggregate"
    )]
    PeerNameTaken {
        /// The aggregate.
        name: String,
        /// The name that is needed.
        peer: String,
    },
    /// No port was named.
    #[error("{name} has no port; name at least one with --port")]
    NoPort {
        /// The aggregate.
        name: String,
    },
    /// More ports than an aggregate can have.
    #[error("{count} ports are too many; an aggregate has at most {MAX_PORTS}")]
    TooManyPorts {
        /// How many there would be.
        count: usize,
    },
    /// A port was named twice.
    #[error("port {port} is named twice; name it once")]
    PortTwice {
        /// The port.
        port: String,
    },
    /// `min_ports` is zero or more than there are ports.
    #[error("min-ports {min_ports} is out of range; with {ports} port(s) it must be from 1 to {ports}")]
    MinPorts {
        /// What was wished.
        min_ports: u8,
        /// How many ports there are.
        ports: usize,
    },
    /// bonding knows of no seed.
    #[error(
        "table kernel-compat chooses the port that the kernel's bonding would: it has no seed; leave the seed out or 0"
    )]
    SeedOfKernel,
    /// A setting is for a port that the aggregate does not have.
    #[error("{port} is no port of {name}; see 'aggctl show {name}'")]
    NotAPort {
        /// The aggregate.
        name: String,
        /// What was named.
        port: String,
    },
    /// There is no such interface.
    #[error("port {port} does not exist in this network namespace; check the name with 'ip link'")]
    PortMissing {
        /// The port.
        port: String,
    },
    /// A loopback interface.
    #[error("port {port} is a loopback interface; choose an Ethernet interface")]
    PortIsLoopback {
        /// The port.
        port: String,
    },
    /// Not Ethernet.
    #[error("port {port} is not Ethernet; choose an Ethernet interface")]
    PortNotEthernet {
        /// The port.
        port: String,
    },
    /// The port is itself an aggregate of ours or its peer.
    #[error("port {port} is itself an aggregate or part of one; choose another port")]
    PortIsAggregate {
        /// The port.
        port: String,
    },
    /// The kind of the interface says that somebody else was meant.
    #[error("port {port} is a {kind}: it {what}; name the interfaces that lead outside instead, or use --force")]
    PortUnusual {
        /// The port.
        port: String,
        /// Its kind.
        kind: String,
        /// What interfaces of this kind are.
        what: &'static str,
    },
    /// Interfaces of this kind cannot be ports.
    #[error("port {port} is a {kind}, which {why}; choose the interface below it")]
    PortImpossible {
        /// The port.
        port: String,
        /// Its kind.
        kind: String,
        /// Why not.
        why: &'static str,
    },
    /// The port belongs to an aggregate of ours.
    #[error(
        "port {port} already belongs to the aggregate {aggregate}; remove it there with 'aggctl port remove \
         {aggregate} {port}' first"
    )]
    PortInAggregate {
        /// The port.
        port: String,
        /// Whose it is.
        aggregate: String,
    },
    /// The port belongs to a bond, team, bridge, VRF, …
    #[error("port {port} already belongs to the {kind} {master}; take it out with 'ip link set {port} nomaster' first")]
    PortHasMaster {
        /// The port.
        port: String,
        /// Kind of its master.
        kind: String,
        /// Name of its master.
        master: String,
    },
    /// A device is stacked on the port.
    #[error(
        "{upper} is stacked on port {port} and would be bypassed; remove {upper} first and make it again on the \
         aggregate"
    )]
    PortHasUpper {
        /// The port.
        port: String,
        /// What is stacked on it.
        upper: String,
    },
    /// Something is attached to the port's ingress and would be bypassed.
    #[error("port {port} has {what} on its ingress, which would be bypassed; remove it first")]
    PortHasHook {
        /// The port.
        port: String,
        /// What it is.
        what: String,
    },
    /// The port does not take the aggregate's MTU.
    #[error(
        "port {port} takes an MTU of {limits} and would get {mtu}, that of {source_name}; give {source_name} another \
         with 'ip link set {source_name} mtu {fits}' first"
    )]
    PortMtu {
        /// The port.
        port: String,
        /// What it takes.
        limits: MtuLimits,
        /// What it would get, octets.
        mtu: u32,
        /// The one that comes closest to that, octets.
        fits: u32,
        /// The interface that has it: the aggregate, or the port whose MTU that would get.
        source_name: String,
    },
    /// Somebody else's XDP program is attached to the port.
    #[error(
        "port {port} has the XDP program {id} ({program}) of somebody else, which is not replaced; take it off with \
         'ip link set {port} xdp off', or use --xdp off"
    )]
    PortHasXdp {
        /// The port.
        port: String,
        /// The kernel's number of the program.
        id: u32,
        /// Its name.
        program: String,
    },
    /// The driver of the port runs no XDP programs.
    #[error("the driver of port {port} runs no XDP programs; use --xdp generic, auto or off")]
    NoNativeXdp {
        /// The port.
        port: String,
    },
    /// `--addresses none`, but the port has some.
    #[error("port {port} has {what}, and addresses none was asked for; remove it, or use --addresses move")]
    PortHasAddresses {
        /// The port.
        port: String,
        /// One of them.
        what: String,
    },
    /// A route leaves by two ports of the aggregate.
    #[error(
        "the multipath route to {route} leaves by more than one port of the aggregate; replace it by a route through \
         one of them first"
    )]
    MultipathOverPorts {
        /// The destination.
        route: String,
    },
    /// Who owns which MAC goes by the active port, and there is none.
    #[error(
        "mac-policy by-active and only-active go by the active port, so they need mode active-backup; leave it at \
         same-all"
    )]
    MacPolicyOfMode,
    /// The kernel has no netkit that serves.
    #[error(
        "this kernel makes no netkit device with a MAC of our choice (Linux 6.7 with CONFIG_NETKIT, 6.11 for the \
         MAC); use --device veth or auto"
    )]
    NoNetkit,
    /// The kernel has no tcx.
    #[error("hook tcx needs Linux 6.6; use --hook clsact or auto")]
    NoTcx,
    /// The host can be reached now and could not be after the change.
    #[error(
        "{port} carries addresses and has a link, but {name} needs min-ports {min_ports} and {links} port(s) have \
         one: the host would be cut off; bring up more links or lower min-ports"
    )]
    WouldStrand {
        /// The aggregate.
        name: String,
        /// The port that carries the addresses.
        port: String,
        /// How many chosen ports have a link.
        links: usize,
        /// How many must have.
        min_ports: u8,
    },
    /// Detaching would move the addresses to a port without a link.
    #[error(
        "{port} would get the addresses of {name}, but it has no link while {name} has; reconnect it, or use --force"
    )]
    TargetNoLink {
        /// The aggregate.
        name: String,
        /// The port.
        port: String,
    },
    /// Devices are stacked on the aggregate, or it is a port of one: they would lose their way out.
    #[error("in use on top of {name}, and cut off without it: {upper}; take them off {name} first, or use --force")]
    AggregateHasUpper {
        /// The aggregate.
        name: String,
        /// Those devices, with their kinds.
        upper: String,
    },
    /// The aggregate's interface is not there.
    #[error("the interface of {name} is gone; undo the aggregate with 'aggctl detach {name}'")]
    AggregateMissing {
        /// The aggregate.
        name: String,
    },
    /// The last port cannot be removed.
    #[error("{port} is the last port of {name}; use 'aggctl detach {name}'")]
    LastPort {
        /// The aggregate.
        name: String,
        /// The port.
        port: String,
    },
    /// Too few ports would be left.
    #[error(
        "without {port}, {name} has fewer ports than min-ports {min_ports}; lower it with 'aggctl set {name} \
         min-ports=…' first"
    )]
    TooFewLeft {
        /// The aggregate.
        name: String,
        /// The port.
        port: String,
        /// How many are needed.
        min_ports: u8,
    },
}
