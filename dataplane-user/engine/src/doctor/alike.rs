//! What is not the same on all ports, and should be.

use std::collections::BTreeMap;

use super::{AggregateFacts, Facts, Finding, FindingKind, PortFacts, Severity};
use crate::{config::Mode, host::Link};

/// MTU.
pub(super) const MTU: FindingKind = FindingKind {
    id: "mtu-differs",
    severities: &[Severity::Error, Severity::Hint],
    looks_at: "the MTU of each port beside that of the aggregate: a smaller one loses large frames (error), a larger \
               one does no harm (hint)",
    remedy: "`ip link set NAME mtu N`: a controller gives it to all ports",
};
/// Offloads.
pub(super) const OFFLOADS: FindingKind = FindingKind {
    id: "offload-differs",
    severities: &[Severity::Hint],
    looks_at: "features of `ethtool -k` that are on for some ports and off for others: scatter-gather, checksums, TSO, \
               UDP segmentation, GRO, VLAN tags; and the largest super-frame (`gso_max_size`)",
    remedy: "`ethtool -K IF FEATURE on` where the driver can; else CPU load and throughput change with the port",
};
/// Speed.
pub(super) const SPEED: FindingKind = FindingKind {
    id: "speed-differs",
    severities: &[Severity::Hint, Severity::Warning],
    looks_at: "the speed of the ports with a link; a warning where all carry traffic and their weights are the same",
    remedy: "`aggctl port set NAME IF,weight=N` in proportion to the speeds; look at cables and auto-negotiation",
};
/// Half duplex.
pub(super) const HALF_DUPLEX: FindingKind = FindingKind {
    id: "half-duplex",
    severities: &[Severity::Warning],
    looks_at: "whether a port with a link is half duplex",
    remedy: "most often one end negotiates and the other does not: `ethtool -s IF autoneg on`, on both ends",
};

/// Names of ethtool features that mean the same for what a port can do: one that does all, or one for each protocol.
const FEATURES: [(&str, &[&[&str]]); 8] = [
    ("scatter-gather", &[&["tx-scatter-gather"]]),
    ("transmit checksums", &[&["tx-checksum-ip-generic"], &["tx-checksum-ipv4", "tx-checksum-ipv6"]]),
    ("receive checksums", &[&["rx-checksum"]]),
    ("TSO", &[&["tx-tcp-segmentation", "tx-tcp6-segmentation"]]),
    ("UDP segmentation", &[&["tx-udp-segmentation"]]),
    ("GRO", &[&["rx-gro"]]),
    ("VLAN tag insertion", &[&["tx-vlan-hw-insert"]]),
    ("VLAN tag removal", &[&["rx-vlan-hw-parse"]]),
];

/// The names of all features that are looked at.
pub fn features() -> Vec<&'static str> {
    FEATURES.iter().flat_map(|(_, ways)| ways.iter().copied().flatten().copied()).collect()
}

/// MTUs.
pub(super) fn mtu(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let Some(own) = aggregate.link.as_ref().map(|link| link.mtu) else { return Vec::new() };
    let name = &aggregate.name;
    let differing = aggregate.present().filter(|(_, link)| link.mtu != own);
    differing
        .map(|(port, link)| {
            let (severity, harm) = if link.mtu < own {
                (Severity::Error, "larger frames do not pass it")
            } else {
                (Severity::Hint, "it would take larger frames")
            };
            let seen = format!("{} has MTU {}, {name} has {own}: {harm}", port.name, link.mtu);
            let remedy = format!("`ip link set {} mtu {own}`, or give {name} one that all ports take", port.name);
            Finding::new(&MTU, aggregate, seen, remedy).on([&*port.name]).with(severity)
        })
        .collect()
}

/// Offloads.
pub(super) fn offloads(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    // A driver that tells no features tells nothing.
    let ports: Vec<_> = aggregate.present().filter(|(_, link)| !link.features.is_empty()).collect();
    let mut found = Vec::new();
    for (what, ways) in FEATURES {
        let (with, without): (Vec<_>, Vec<_>) = ports.iter().partition(|(_, link)| can(link, ways));
        if with.is_empty() || without.is_empty() {
            continue;
        }
        let seen = format!("{what}: on for {}, off for {}", names(&with), names(&without));
        let switches: Vec<_> = ways.first().into_iter().copied().flatten().copied().collect();
        let remedy = format!("`ethtool -K IF {} on` for {}, if the driver can", switches.join(" on "), names(&without));
        found.push(Finding::new(&OFFLOADS, aggregate, seen, remedy).on(without.iter().map(|(port, _)| &*port.name)));
    }
    let sizes: BTreeMap<u32, Vec<&str>> = by(ports.iter().map(|(port, link)| (link.gso_max_size, &*port.name)));
    if sizes.len() > 1 {
        let seen = format!("the largest super-frame differs: {}", told(&sizes, "octets"));
        let remedy = "`ip link set IF gso_max_size N` with the smallest; the aggregate goes by that anyway".to_owned();
        found.push(Finding::new(&OFFLOADS, aggregate, seen, remedy).on(ports.iter().map(|(port, _)| &*port.name)));
    }
    found
}

/// Speeds and duplex.
pub(super) fn links(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let up: Vec<_> = aggregate.present().filter(|(_, link)| link.has_link()).map(|(port, _)| port).collect();
    let mut found = Vec::new();
    let speeds = by(up.iter().filter_map(|port| Some((port.speed_mbps?, &*port.name))));
    if speeds.len() > 1 {
        let seen = format!("the ports have different speeds: {}", told(&speeds, "Mbit/s"));
        let (severity, remedy) = if aggregate.config.mode == Mode::ActiveBackup {
            let remedy =
                "if that is not meant so, look at cables and auto-negotiation; `reselect=better` prefers the faster";
            (Severity::Hint, remedy.to_owned())
        } else if weighted(&up) {
            (Severity::Hint, "their weights differ, too: see that they go with the speeds".to_owned())
        } else {
            let remedy = format!("`aggctl port set {} IF,weight=N` in proportion to the speeds", aggregate.name);
            (Severity::Warning, remedy)
        };
        found.push(Finding::new(&SPEED, aggregate, seen, remedy).on(up.iter().map(|port| &*port.name)).with(severity));
    }
    for port in up.iter().filter(|port| port.full_duplex == Some(false)) {
        let name = &port.name;
        let seen = format!("{name} is half duplex");
        let remedy = format!("`ethtool -s {name} autoneg on`, and the same at its other end");
        found.push(Finding::new(&HALF_DUPLEX, aggregate, seen, remedy).on([name.as_str()]));
    }
    found
}

/// Whether somebody has given these ports different weights.
fn weighted(ports: &[&PortFacts]) -> bool {
    by(ports.iter().map(|port| (port.config.weight, &*port.name))).len() > 1
}

/// Whether an interface can do something in one of these ways.
fn can(link: &Link, ways: &[&[&str]]) -> bool {
    let is_on = |feature: &&str| link.features.get(*feature).is_some_and(|feature| feature.on);
    ways.iter().any(|all| all.iter().all(is_on))
}

fn names(ports: &[&(&PortFacts, &Link)]) -> String {
    ports.iter().map(|(port, _)| &*port.name).collect::<Vec<_>>().join(", ")
}

/// Which ports have each value.
fn by<'a, K: Ord>(values: impl Iterator<Item = (K, &'a str)>) -> BTreeMap<K, Vec<&'a str>> {
    let mut ports = BTreeMap::<K, Vec<&str>>::new();
    values.for_each(|(value, name)| ports.entry(value).or_default().push(name));
    ports
}

/// The values in words.
fn told(values: &BTreeMap<u32, Vec<&str>>, unit: &str) -> String {
    let one = |(value, ports): (&u32, &Vec<&str>)| format!("{} {value} {unit}", ports.join(", "));
    values.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{examine, samples::*},
        *,
    };
    use crate::host::EthtoolFeature;

    fn link(facts: &mut AggregateFacts, port: usize) -> &mut Link {
        facts.ports[port].link.as_mut().unwrap()
    }

    #[test]
    fn a_smaller_mtu_is_worse_than_a_larger_one() {
        for (mtu, severity) in [(1400, Severity::Error), (9000, Severity::Hint)] {
            let mut aggregate = healthy();
            link(&mut aggregate, 1).mtu = mtu;
            let found = examine(&facts(aggregate));
            let [finding] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((finding.id, finding.severity), ("mtu-differs", severity));
            assert!(finding.seen.contains(&mtu.to_string()) && finding.seen.contains("1500"), "{}", finding.seen);
        }
    }

    #[test]
    fn what_one_port_cannot_is_told_with_both_sides() {
        let on = EthtoolFeature { on: true, fixed: false };
        let with = |facts: &mut AggregateFacts, port, names: &[&str]| {
            let features = names.iter().map(|name| ((*name).to_owned(), on));
            link(facts, port).features.extend(features);
        };
        let differ = |facts: &mut AggregateFacts| {
            with(facts, 0, &["rx-gro", "tx-scatter-gather"]);
            with(facts, 1, &["tx-scatter-gather"]);
        };
        assert_eq!(found(differ), ["offload-differs"]);
        let same = |facts: &mut AggregateFacts| {
            with(facts, 0, &["tx-checksum-ip-generic"]);
            with(facts, 1, &["tx-checksum-ipv4", "tx-checksum-ipv6"]);
        };
        assert_eq!(found(same), [""; 0], "checksums in another way");
        let silent = |facts: &mut AggregateFacts| with(facts, 0, &["rx-gro"]);
        assert_eq!(found(silent), [""; 0], "a driver that tells nothing");
        assert!(features().contains(&"rx-gro"));
    }

    #[test]
    fn a_smaller_super_frame_is_an_offload_too() {
        let differ = |facts: &mut AggregateFacts| {
            for port in 0..2 {
                link(facts, port).features.insert("rx-gro".into(), EthtoolFeature { on: true, fixed: false });
            }
            link(facts, 1).gso_max_size = 1000;
        };
        assert_eq!(found(differ), ["offload-differs"]);
    }

    #[test]
    fn speeds_matter_where_all_carry_traffic() {
        let slower = |mode, weight| {
            let mut aggregate = healthy();
            aggregate.config.mode = mode;
            aggregate.ports[1].config.weight = weight;
            aggregate.ports[1].speed_mbps = Some(100);
            let found = examine(&facts(aggregate));
            let [finding] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(finding.id, "speed-differs");
            finding.severity
        };
        assert_eq!(slower(Mode::ActiveBackup, 1), Severity::Hint);
        assert_eq!(slower(Mode::Hash, 1), Severity::Warning);
        assert_eq!(slower(Mode::Hash, 10), Severity::Hint);
        assert_eq!(found(|facts| facts.ports[1].speed_mbps = None), [""; 0], "not known");
    }

    #[test]
    fn half_duplex_is_told_of_ports_with_a_link() {
        assert_eq!(found(|facts| facts.ports[0].full_duplex = Some(false)), ["half-duplex"]);
        let down = |facts: &mut AggregateFacts| {
            facts.ports[0].full_duplex = Some(false);
            link(facts, 0).carrier = false;
        };
        assert_eq!(found(down), ["port-no-carrier"]);
    }
}
