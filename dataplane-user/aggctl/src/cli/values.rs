//! Values with a syntax of their own, and the names that bonding and teamd have for ours.

use std::{fmt::Display, str::FromStr};

use crate::failure::shorten;
use aggctl_common::{hash::Policy, spread::is_table_size};
use aggctl_engine::{
    config::{Announce, LinkWatch, Mode, Partner, PortConfig, Reselect, TableKind, Toggle},
    vlan::{InvalidVlan, VlanConfig},
};

/// A value that says something known but not built.
pub const NOT_BUILT: &str = "is not built yet; see the README for what is";

/// The names of a port's settings, and which setting each is.
const PORT_KEYS: [(&str, &str); 5] = [
    ("priority", "priority"),
    ("prio", "priority"),
    ("sticky", "sticky"),
    ("nosticky", "sticky"),
    ("weight", "weight"),
];

/// `IF[,priority=N][,sticky][,weight=N]`: what was said about a port; what was not said stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortArgument {
    /// The interface.
    pub name: String,
    /// Its priority, if said.
    pub priority: Option<i32>,
    /// Whether it is sticky, if said.
    pub sticky: Option<bool>,
    /// Its weight, if said.
    pub weight: Option<u8>,
}

impl PortArgument {
    /// `config` with what was said changed.
    pub fn applied_to(&self, config: &PortConfig) -> PortConfig {
        PortConfig {
            name: self.name.clone(),
            priority: self.priority.unwrap_or(config.priority),
            sticky: self.sticky.unwrap_or(config.sticky),
            weight: self.weight.unwrap_or(config.weight),
        }
    }

    /// The settings of a new port.
    pub fn config(&self) -> PortConfig {
        self.applied_to(&PortConfig::new(&self.name))
    }
}

impl FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or("a port needs the name of an interface")?;
        let mut port = Self { name: name.to_owned(), priority: None, sticky: None, weight: None };
        let mut seen = Vec::new();
        for part in parts {
            let key = part.split_once('=').map_or(part, |(key, _)| key);
            once(&mut seen, PORT_KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, key)| key))?;
            match part.split_once('=').unwrap_or((part, "")) {
                ("priority" | "prio", value) => port.priority = Some(number("priority", value)?),
                ("sticky", "" | "true" | "yes" | "on") => port.sticky = Some(true),
                ("sticky", "false" | "no" | "off") | ("nosticky", "") => port.sticky = Some(false),
                ("weight", value) => port.weight = Some(weight(value)?),
                (key @ ("queue-id" | "queue_id"), _) => return Err(format!("{key} {NOT_BUILT}")),
                _ => return Err(format!("{} is no setting of a port (priority=N, sticky, weight=N)", quote(part))),
            }
        }
        Ok(port)
    }
}

/// A port's weight: 1 to 255.
fn weight(value: &str) -> Result<u8, String> {
    match number("weight", value)? {
        0 => Err("weight=0 is out of range (1 to 255); to use a port no more, remove it".to_owned()),
        weight => Ok(weight),
    }
}

/// How a port is chosen.
pub fn mode(value: &str) -> Result<Mode, String> {
    let built: &[(&[&str], _)] = &[
        (&["active-backup", "activebackup", "1"], Mode::ActiveBackup),
        (&["hash", "balance-xor", "xor", "loadbalance", "2"], Mode::Hash),
        (&["round-robin", "balance-rr", "roundrobin", "0"], Mode::RoundRobin),
        (&["random"], Mode::Random),
    ];
    let later = ["broadcast", "lacp", "tlb", "alb", "802.3ad", "balance-tlb", "balance-alb", "3", "4", "5", "6"];
    choice(value, built, &later, "mode")
}

/// What is hashed. Names are those of bonding's `xmit_hash_policy`.
pub fn policy(value: &str) -> Result<Policy, String> {
    let built: &[(&[&str], _)] =
        &[(&["layer2"], Policy::Layer2), (&["layer2+3"], Policy::Layer23), (&["layer3+4"], Policy::Layer34)];
    choice(value, built, &["encap2+3", "encap3+4", "vlan+srcmac"], "hash")
}

/// How many buckets a table has.
pub fn buckets(value: &str) -> Result<u32, String> {
    let buckets = number("buckets", value)?;
    if !is_table_size(buckets) {
        return Err(format!("buckets={value} is out of range (a power of two from 256 to 65536)"));
    }
    Ok(buckets)
}

/// How a hash leads to a port.
pub fn table(value: &str) -> Result<TableKind, String> {
    choice(value, &[(&["stable"], TableKind::Stable), (&["kernel-compat"], TableKind::KernelCompat)], &[], "table")
}

/// What the ports are connected to.
pub fn partner(value: &str) -> Result<Partner, String> {
    choice(value, &[(&["lag"], Partner::Lag), (&["plain"], Partner::Plain)], &[], "partner")
}

/// Which VLANs pass, and how.
pub fn vlan(value: &str) -> Result<VlanConfig, String> {
    value.parse().map_err(|error: InvalidVlan| {
        // It says back what was typed.
        error.to_string().split(' ').map(shorten).collect::<Vec<_>>().join(" ")
    })
}

/// `link[,up-delay=MS][,down-delay=MS][,poll=MS]`, or bonding's `miimon=MS`.
pub fn link_watch(text: &str) -> Result<LinkWatch, String> {
    let (kind, settings) = text.split_once(',').unwrap_or((text, ""));
    let mut watch = LinkWatch::default();
    let mut seen = Vec::new();
    match kind.split_once('=').map_or((kind, None), |(kind, value)| (kind, Some(value))) {
        ("link" | "ethtool" | "miimon", None) => {}
        ("miimon", Some(value)) => {
            watch.poll_ms = poll(value)?;
            seen.push("poll");
        }
        ("arp" | "arp_ping" | "ns" | "nsna_ping", _) => return Err(format!("watch {} {NOT_BUILT}", quote(kind))),
        ("link" | "ethtool", Some(_)) => {
            return Err(format!("{} has a value, and link takes none (link,poll=MS)", quote(kind)));
        }
        _ => return Err(format!("{} is no watch (link; not built yet: arp, ns)", quote(kind))),
    }
    for part in settings.split(',').filter(|_| text.contains(',')) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = match key {
            "up-delay" | "updelay" | "delay_up" => "up-delay",
            "down-delay" | "downdelay" | "delay_down" => "down-delay",
            "poll" | "miimon" => "poll",
            _ => {
                let part = quote(part);
                return Err(format!("{part} is no setting of a link watch (up-delay=MS, down-delay=MS, poll=MS)"));
            }
        };
        once(&mut seen, key)?;
        match key {
            "up-delay" => watch.up_delay_ms = delay(key, value)?,
            "down-delay" => watch.down_delay_ms = delay(key, value)?,
            _ => watch.poll_ms = poll(value)?,
        }
    }
    Ok(watch)
}

/// Notes that a key was given.
fn once(seen: &mut Vec<&'static str>, key: &'static str) -> Result<(), String> {
    if seen.contains(&key) {
        return Err(format!("{key} is given twice"));
    }
    seen.push(key);
    Ok(())
}

/// The name of a port.
pub fn port_name(value: &str) -> Result<String, String> {
    if value.is_empty() { Err("the name of a port is missing".to_owned()) } else { Ok(value.to_owned()) }
}

/// What was typed, between quotation marks and not too long to be read.
pub fn quote(text: &str) -> String {
    shorten(&format!("'{text}'"))
}

/// `count=N[,interval=MS]`.
pub fn announce(text: &str) -> Result<Announce, String> {
    let mut announce = Announce::default();
    let mut seen = Vec::new();
    for part in text.split(',') {
        once(&mut seen, if part.starts_with("count=") { "count" } else { "interval" })?;
        match part.split_once('=') {
            Some(("count", value)) => announce.count = number("count", value)?,
            Some(("interval", value)) => announce.interval_ms = delay("interval", value)?,
            _ => return Err(format!("{} is no setting of announcements (count=N, interval=MS)", quote(part))),
        }
    }
    Ok(announce)
}

/// A delay: 0 to 300,000 ms, as bonding's.
pub fn delay(what: &str, value: &str) -> Result<u32, String> {
    let milliseconds = number(what, value)?;
    if milliseconds > 300_000 {
        return Err(format!("{what}={value} is out of range (0 to 300000 ms)"));
    }
    Ok(milliseconds)
}

/// The period of polling: 1 to 60,000 ms.
pub fn poll(value: &str) -> Result<u32, String> {
    let milliseconds: u32 = number("poll", value)?;
    if !(1..=60_000).contains(&milliseconds) {
        return Err(format!("poll={value} is out of range (1 to 60000 ms)"));
    }
    Ok(milliseconds)
}

/// How many ports must be usable.
pub fn min_ports(value: &str) -> Result<u8, String> {
    match number("min-ports", value)? {
        0 => Err("min-ports=0 is out of range (1 to the number of ports)".to_owned()),
        count => Ok(count),
    }
}

/// When a better port takes over.
pub fn reselect(value: &str) -> Result<Reselect, String> {
    match value {
        "always" | "0" => Ok(Reselect::Always),
        "better" | "1" => Ok(Reselect::Better),
        "failure" | "2" => Ok(Reselect::Failure),
        _ => Err(format!("{} is none of always, better, failure", quote(value))),
    }
}

/// `auto`, `on` or `off`.
pub fn toggle(value: &str) -> Result<Toggle, String> {
    match value {
        "auto" => Ok(Toggle::Auto),
        "on" | "yes" | "true" => Ok(Toggle::On),
        "off" | "no" | "false" => Ok(Toggle::Off),
        _ => Err(format!("{} is none of auto, on, off", quote(value))),
    }
}

/// A number in the range of its type.
pub fn number<T: FromStr<Err: Display>>(what: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{what}={} is no number in range ({error})", shorten(value)))
}

/// One of the words that are the built choices of an option, by its own name or an alias.
pub fn choice<T: Copy>(value: &str, built: &[(&[&str], T)], later: &[&str], option: &str) -> Result<T, String> {
    if let Some((_, chosen)) = built.iter().find(|(names, _)| names.contains(&value)) {
        return Ok(*chosen);
    }
    if later.contains(&value) {
        return Err(format!("{option} {value} {NOT_BUILT}"));
    }
    let names: Vec<_> = built.iter().filter_map(|(names, _)| names.first().copied()).collect();
    let planned = if later.is_empty() { String::new() } else { format!("; not built yet: {}", later.join(", ")) };
    Err(format!("{} is no {option} ({}{planned})", quote(value), names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_name_and_settings() {
        let port: PortArgument = "eth0,priority=-3,sticky".parse().unwrap();
        assert_eq!(port.config(), PortConfig { name: "eth0".into(), priority: -3, sticky: true, weight: 1 });
        let change: PortArgument = "eth0,nosticky".parse().unwrap();
        assert_eq!(
            change.applied_to(&port.config()),
            PortConfig { name: "eth0".into(), priority: -3, sticky: false, weight: 1 }
        );
    }

    #[test]
    fn a_port_with_an_unknown_or_unbuilt_setting_is_refused() {
        for (text, part) in [
            ("", "name"),
            ("eth0,speed=1", "no setting"),
            ("eth0,priority=x", "priority=x"),
            ("eth0,priority=3000000000", "in range"),
            ("eth0,queue-id=2", "not built"),
            ("eth0,weight=0", "out of range"),
            ("eth0,weight=256", "in range"),
        ] {
            assert!(text.parse::<PortArgument>().unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn a_link_watch_has_delays_under_all_their_names() {
        let watch = LinkWatch { up_delay_ms: 5, down_delay_ms: 6, poll_ms: 7 };
        assert_eq!(link_watch("link,up-delay=5,down-delay=6,poll=7"), Ok(watch));
        assert_eq!(link_watch("ethtool,delay_up=5,delay_down=6,poll=7"), Ok(watch));
        assert!(link_watch("arp=192.0.2.1").unwrap_err().contains("not built"));
        assert!(link_watch("link,poll=0").unwrap_err().contains("out of range"));
        assert!(link_watch("link,up-delay=300001").unwrap_err().contains("out of range"));
        assert!(link_watch("lunk").unwrap_err().contains("no watch"));
    }

    #[test]
    fn announcements_are_counted() {
        assert_eq!(announce("count=7"), Ok(Announce { count: 7, interval_ms: 100 }));
        assert_eq!(announce("count=0,interval=20"), Ok(Announce { count: 0, interval_ms: 20 }));
        assert!(announce("count=256").is_err());
        assert!(announce("often").is_err());
    }
}
