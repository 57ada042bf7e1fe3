//! The options of `attach`.

use aggctl_common::{hash::Policy, spread::DEFAULT_BUCKETS};
use aggctl_engine::{
    config::{
        Addresses, AggregateConfig, Announce, Device, HashConfig, Hook, LinkWatch, MacPolicy, Mode, Partner, Reselect,
        TableKind, Toggle, Wiring,
    },
    vlan::VlanConfig,
};
use clap::Args;

use super::values::{self, PortArgument};
use crate::{controller::Insistence, failure::Failure};

/// Options of `attach`.
#[derive(Args, Debug)]
pub struct AttachArguments {
    /// Name of the aggregate's interface
    name: String,
    /// A port, and its settings; repeat for each
    #[arg(long = "port", value_name = "IF[,priority=N][,sticky][,weight=N]", required = true)]
    ports: Vec<PortArgument>,
    /// How a port is chosen: active-backup, hash, round-robin, random
    #[arg(long, value_parser = values::mode, default_value = "active-backup")]
    mode: Mode,
    /// What mode hash hashes: layer2, layer2+3, layer3+4
    #[arg(long, value_name = "POLICY", value_parser = values::policy, default_value = "layer3+4")]
    hash: Policy,
    /// How many buckets the hash table has, a power of two from 256 to 65536
    #[arg(long, value_name = "N", value_parser = values::buckets, default_value_t = DEFAULT_BUCKETS)]
    buckets: u32,
    /// What the hash is mixed with, so that aggregates in a row do not decide alike; 0: nothing
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// How a hash leads to a port: stable (few flows move), kernel-compat (as the bonding driver does)
    #[arg(long, value_name = "KIND", value_parser = values::table, default_value = "stable")]
    table: TableKind,
    /// How many packets a port gets in turn in mode round-robin; 0: each packet at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    stride: u16,
    /// What the ports are connected to: lag (one group), plain (a switch that knows of none) [default: lag where all ports
    /// carry traffic]
    #[arg(long, value_parser = values::partner)]
    partner: Option<Partner>,
    /// VLANs: access=VID (the host is in this one), trunk=LIST[,native=VID] (these pass)
    #[arg(long, value_name = "RULE", value_parser = values::vlan)]
    vlan: Option<VlanConfig>,
    /// The port that is preferred over all others
    #[arg(long, value_name = "IF", value_parser = values::port_name)]
    primary: Option<String>,
    /// When a better port than the active one takes over: always, better, failure
    #[arg(long, value_parser = values::reselect, default_value = "always")]
    reselect: Reselect,
    /// How many ports must be usable for the aggregate to have carrier
    #[arg(long, value_name = "N", value_parser = values::min_ports, default_value = "1")]
    min_ports: u8,
    /// The watch of every port: link[,up-delay=MS][,down-delay=MS][,poll=MS]
    #[arg(long = "watch", value_name = "WATCH", value_parser = values::link_watch)]
    watches: Vec<LinkWatch>,
    /// How often the neighbours are told of a change: count=N[,interval=MS] [default: count=3,interval=100]
    #[arg(long, value_name = "count=N[,interval=MS]", value_parser = values::announce)]
    announce: Option<Announce>,
    /// Promiscuous mode of the ports: auto (while the aggregate is promiscuous), on, off
    #[arg(long, value_parser = values::toggle, default_value = "auto")]
    promisc: Toggle,
    /// All-multicast mode of the ports: auto (on), on, off
    #[arg(long, value_parser = values::toggle, default_value = "auto")]
    allmulti: Toggle,
    /// Who owns which MAC: same-all
    #[arg(long, value_parser = mac_policy, default_value = "same-all")]
    mac_policy: MacPolicy,
    /// What becomes of the ports' addresses and routes: move, none (the ports must have none)
    #[arg(long, value_parser = addresses, default_value = "move")]
    addresses: Addresses,
    /// How device, ports and programs are connected: shared, direct
    #[arg(long, value_parser = wiring, default_value = "shared")]
    wiring: Wiring,
    /// What the aggregate's own device is: auto (netkit where there is it), netkit, veth
    #[arg(long, value_parser = device, default_value = "auto")]
    device: Device,
    /// The kernel hook that the programs hang on: auto (tcx where there is it), tcx, clsact
    #[arg(long, value_parser = hook, default_value = "auto")]
    hook: Hook,
    /// Undo everything after so many seconds unless `aggctl confirm` is run
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    confirm: Option<u32>,
    /// Take interfaces of any kind as ports (bridges, bonds, tunnels)
    #[arg(long)]
    force: bool,
    /// Refuse, rather than warn, if anything else works on a port: rules, tunnels and sockets that name it, managers
    #[arg(long)]
    strict: bool,
    /// Stay in the foreground, without a guardian (for service managers)
    #[arg(long)]
    foreground: bool,

    // Known words without code yet: they are told apart from typing errors.
    #[arg(long, hide = true)]
    watch_policy: Option<String>,
    #[arg(long, hide = true)]
    xdp: Option<String>,
    #[arg(long, hide = true)]
    config: Option<String>,
}

/// What `attach` is asked to do.
#[derive(Debug)]
pub struct AttachRequest {
    /// The aggregate.
    pub config: AggregateConfig,
    /// Seconds until it is undone unless confirmed.
    pub confirm: Option<u32>,
    /// What is said about the ports.
    pub insistence: Insistence,
    /// Without a guardian.
    pub foreground: bool,
}

impl AttachArguments {
    /// What was typed, understood.
    ///
    /// # Errors
    /// Options that are not built yet, or contradict each other.
    pub fn request(self) -> Result<AttachRequest, Failure> {
        let unbuilt = [
            ("--watch-policy", self.watch_policy, Some("any")),
            ("--xdp", self.xdp, Some("off")),
            ("--config", self.config, None),
        ];
        for (option, value, harmless) in unbuilt {
            if value.is_some() && value.as_deref() != harmless {
                return Err(Failure::not_built(option));
            }
        }
        if self.watches.len() > 1 {
            return Err(Failure::Usage("more than one link watch; give --watch link once".to_owned()));
        }
        let ports = self.ports.iter().map(PortArgument::config).collect();
        let mut config = AggregateConfig::new(self.name, ports);
        config.mode = self.mode;
        config.hash = HashConfig { policy: self.hash, seed: self.seed, buckets: self.buckets, table: self.table };
        config.stride = self.stride;
        config.partner = self.partner;
        config.vlan = self.vlan.unwrap_or_default();
        config.wiring = self.wiring;
        config.device = self.device;
        config.hook = self.hook;
        config.primary = self.primary;
        config.reselect = self.reselect;
        config.min_ports = self.min_ports;
        config.link_watch = self.watches.first().copied().unwrap_or_default();
        config.announce = self.announce.unwrap_or_default();
        config.promisc = self.promisc;
        config.allmulti = self.allmulti;
        config.mac_policy = self.mac_policy;
        config.addresses = self.addresses;
        let insistence = Insistence { force: self.force, strict: self.strict };
        Ok(AttachRequest { config, confirm: self.confirm, insistence, foreground: self.foreground })
    }
}

fn wiring(value: &str) -> Result<Wiring, String> {
    values::choice(value, &[(&["shared"], Wiring::Shared), (&["direct"], Wiring::Direct)], &["auto", "over"], "wiring")
}

fn mac_policy(value: &str) -> Result<MacPolicy, String> {
    let built: &[(&[&str], _)] = &[(&["same-all", "same_all", "none"], MacPolicy::SameAll)];
    values::choice(
        value,
        built,
        &["by-active", "by_active", "active", "only-active", "only_active", "follow"],
        "mac-policy",
    )
}

fn addresses(value: &str) -> Result<Addresses, String> {
    values::choice(value, &[(&["move"], Addresses::Move), (&["none"], Addresses::None)], &[], "addresses")
}

fn device(value: &str) -> Result<Device, String> {
    let built: &[(&[&str], _)] = &[(&["auto"], Device::Auto), (&["netkit"], Device::Netkit), (&["veth"], Device::Veth)];
    values::choice(value, built, &[], "device")
}

fn hook(value: &str) -> Result<Hook, String> {
    let built: &[(&[&str], _)] = &[(&["auto"], Hook::Auto), (&["tcx"], Hook::Tcx), (&["clsact"], Hook::Clsact)];
    values::choice(value, built, &[], "hook")
}
