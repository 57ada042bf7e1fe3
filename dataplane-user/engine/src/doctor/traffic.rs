//! How traffic is spread over the ports, and ports that it does not reach.

use super::{AggregateFacts, Facts, Finding, FindingKind, PortFacts, Severity};
use crate::config::Mode;

/// How many frames must be sent while it is looked, before anything is said of how they are spread.
const ENOUGH_SENT: u64 = 1000;
/// The part of them that one port must carry to be called all, in percent.
const ALL: u64 = 90;
/// The part that the table may give that port, beyond which it is meant so.
const MEANT: f64 = 0.75;
/// How many frames other ports must have received before one that received none is strange.
const ENOUGH_RECEIVED: u64 = 100;

/// One port carries all.
pub(super) const COLLAPSE: FindingKind = FindingKind {
    id: "hash-collapse",
    severities: &[Severity::Warning, Severity::Hint],
    looks_at: "in mode `hash` with two usable ports or more: whether more than 90 % of what the ports send while \
               doctor looks (1 s, 1000 frames at least) leaves by one of them; a hint if the hash has all that it can",
    remedy: "`aggctl set NAME hash=layer3+4`; one large flow stays on one port whatever the hash: `aggctl explain`",
};
/// Nothing comes in.
pub(super) const ONE_WAY: FindingKind = FindingKind {
    id: "one-way",
    severities: &[Severity::Warning],
    looks_at: "a port with a link that has received no frame since it was made, while another has received 100 or more",
    remedy: "look at the receiving fibre and the switch's port; `--watch traffic` takes such a port out of use",
};

/// How what is sent is spread.
pub(super) fn spread(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    if aggregate.config.mode != Mode::Hash {
        return Vec::new();
    }
    let sharing: Vec<_> = aggregate.ports.iter().filter(|port| port.usable).collect();
    let sent = |port: &PortFacts| port.sample.as_ref().map_or(0, |sample| sample.sent);
    let all: u64 = sharing.iter().map(|port| sent(port)).sum();
    let Some(first) = sharing.iter().max_by_key(|port| sent(port)) else { return Vec::new() };
    let meant = first.share.is_some_and(|share| share > MEANT);
    if sharing.len() < 2 || all < ENOUGH_SENT || sent(first) * 100 <= all * ALL || meant {
        return Vec::new();
    }
    let (name, port, count) = (&aggregate.name, &first.name, sent(first));
    let seen = format!(
        "{count} of {all} frames that {name} sent in 1 s left by {port}, one of {} usable ports",
        sharing.len()
    );
    let (severity, remedy) = if aggregate.config.hash.policy.tells_connections_apart() {
        let remedy =
            format!("one large flow stays on one port: `aggctl explain {name}` says which; else try another seed");
        (Severity::Hint, remedy)
    } else {
        (Severity::Warning, format!("hash more of each frame: `aggctl set {name} hash=layer3+4`"))
    };
    vec![Finding::new(&COLLAPSE, aggregate, seen, remedy).on([port.as_str()]).with(severity)]
}

/// Ports by which nothing comes in.
pub(super) fn one_way(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let received = |port: &PortFacts| port.counters.map_or(0, |counters| counters.received);
    let Some(most) = aggregate.ports.iter().max_by_key(|port| received(port)) else { return Vec::new() };
    if received(most) < ENOUGH_RECEIVED {
        return Vec::new();
    }
    let silent = |port: &&PortFacts| {
        let has_link = port.link.as_ref().is_some_and(crate::host::Link::has_link);
        has_link && port.counters.is_some_and(|counters| counters.received == 0)
    };
    let one = |port: &PortFacts| {
        let name = &port.name;
        let sent = port.counters.map_or(0, |counters| counters.sent);
        let seen = format!(
            "{name} has a link and has received no frame since it was made ({sent} sent), {} has received {}",
            most.name,
            received(most)
        );
        let remedy = format!(
            "look at its receiving side and the switch's port; `aggctl set {} watch=link watch=traffic`",
            aggregate.name
        );
        Finding::new(&ONE_WAY, aggregate, seen, remedy).on([name.as_str()])
    };
    aggregate.ports.iter().filter(silent).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FrameCounts, Sample, examine, samples::*},
        *,
    };

    /// In mode hash, the ports send so many frames.
    fn sending(facts: &mut AggregateFacts, sent: [u64; 2]) {
        facts.config.mode = Mode::Hash;
        for (port, sent) in facts.ports.iter_mut().zip(sent) {
            port.share = Some(0.5);
            port.sample = Some(Sample { sent, ..Sample::default() });
        }
    }

    #[test]
    fn a_hash_collapses_where_one_port_sends_nearly_all_of_many() {
        assert_eq!(found(|facts| sending(facts, [1901, 99])), ["hash-collapse"]);
        assert_eq!(found(|facts| sending(facts, [1800, 200])), [""; 0], "nine in ten");
        assert_eq!(found(|facts| sending(facts, [999, 0])), [""; 0], "not enough to say");
        let elsewhere = |facts: &mut AggregateFacts| {
            sending(facts, [2000, 0]);
            facts.config.mode = Mode::RoundRobin;
        };
        assert_eq!(found(elsewhere), [""; 0]);
        let meant = |facts: &mut AggregateFacts| {
            sending(facts, [2000, 0]);
            facts.ports[0].share = Some(0.95);
        };
        assert_eq!(found(meant), [""; 0], "its weight says so");
        let alone = |facts: &mut AggregateFacts| {
            sending(facts, [2000, 0]);
            facts.ports[1].usable = false;
        };
        assert_eq!(found(alone), ["port-unusable"]);
    }

    #[test]
    fn what_a_finer_hash_would_mend_is_a_warning() {
        let severity = |policy: &str| {
            let mut aggregate = healthy();
            sending(&mut aggregate, [2000, 0]);
            aggregate.config.hash.policy = policy.parse().unwrap();
            examine(&facts(aggregate))[0].severity
        };
        assert_eq!(["layer2", "src-ip,dst-ip"].map(severity), [Severity::Warning; 2]);
        assert_eq!(["layer3+4", "src-ip,dport"].map(severity), [Severity::Hint; 2]);
    }

    #[test]
    fn a_port_that_never_received_anything_is_told_beside_others_that_did() {
        let receiving = |received: [u64; 2]| {
            found(|facts| {
                for (port, received) in facts.ports.iter_mut().zip(received) {
                    port.counters = Some(FrameCounts { sent: 5, received });
                }
            })
        };
        assert_eq!(receiving([100, 0]), ["one-way"]);
        assert_eq!(receiving([99, 0]), [""; 0]);
        assert_eq!(receiving([1000, 1]), [""; 0]);
    }
}
