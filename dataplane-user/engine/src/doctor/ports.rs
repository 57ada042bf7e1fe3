//! Ports that carry nothing, and why.

use super::{AggregateFacts, Facts, Finding, FindingKind, PortFacts, Severity};

/// How often a link may fail since attach before that is told.
const FAILURES: u64 = 10;

/// Not enough ports.
pub(super) const TOO_FEW: FindingKind = FindingKind {
    id: "too-few-ports",
    severities: &[Severity::Error],
    looks_at: "how many ports are usable, beside `min-ports`: with fewer the aggregate has no carrier",
    remedy: "see the findings about its ports",
};
/// One port.
pub(super) const ALONE: FindingKind = FindingKind {
    id: "port-alone",
    severities: &[Severity::Hint],
    looks_at: "whether the aggregate has more than one port",
    remedy: "`aggctl port add NAME IF`",
};
/// A port is gone.
pub(super) const GONE: FindingKind = FindingKind {
    id: "port-gone",
    severities: &[Severity::Warning],
    looks_at: "whether the interface of each port is there",
    remedy: "plug it in: it is found again by its permanent MAC or its name; or `aggctl port remove NAME IF`",
};
/// A port is down.
pub(super) const ADMIN_DOWN: FindingKind = FindingKind {
    id: "port-down",
    severities: &[Severity::Warning],
    looks_at: "whether each port is administratively up",
    remedy: "`ip link set IF up`",
};
/// A port has no carrier.
pub(super) const NO_CARRIER: FindingKind = FindingKind {
    id: "port-no-carrier",
    severities: &[Severity::Warning],
    looks_at: "whether each port that is up has carrier",
    remedy: "look at cable, transceiver and the switch's port: `ethtool IF`, `ethtool -m IF`",
};
/// Somebody disabled a port.
pub(super) const DISABLED: FindingKind = FindingKind {
    id: "port-disabled",
    severities: &[Severity::Hint],
    looks_at: "whether a port was disabled by hand (`enabled=off`), and is still",
    remedy: "`aggctl port set NAME IF,enabled=on`, once the work on it is done",
};
/// The primary is no port.
pub(super) const NO_PRIMARY: FindingKind = FindingKind {
    id: "primary-absent",
    severities: &[Severity::Hint],
    looks_at: "whether the primary is one of the ports: it may join later, or its name be mistyped",
    remedy: "`aggctl port add NAME IF`, or `aggctl set NAME primary=` with one of its ports",
};
/// A port has a link and is not usable.
pub(super) const UNUSABLE: FindingKind = FindingKind {
    id: "port-unusable",
    severities: &[Severity::Warning],
    looks_at: "whether each port with a link is usable: a watch may not find it well, or a delay run",
    remedy: "see what its watches say: `aggctl show NAME`",
};
/// A link that comes and goes.
pub(super) const FLAPS: FindingKind = FindingKind {
    id: "port-flaps",
    severities: &[Severity::Hint],
    looks_at: "how often the link of each port went down since attach: 10 times or more",
    remedy: "look at cable and transceiver; `--watch link,up-delay=MS` keeps a link out of use until it has lasted",
};

/// Whether there are enough.
pub(super) fn enough(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let name = &aggregate.name;
    let usable = aggregate.ports.iter().filter(|port| port.usable).count();
    let least = usize::from(aggregate.config.min_ports);
    if usable < least {
        let all = aggregate.ports.len();
        let seen =
            format!("{usable} of {all} ports usable, at least {least} needed (min-ports): {name} has no carrier");
        let remedy = format!("see its ports: `aggctl show {name}`");
        return vec![Finding::new(&TOO_FEW, aggregate, seen, remedy)];
    }
    if let [port] = aggregate.ports.as_slice() {
        let seen = format!("{} is its only port: there is none to take over", port.name);
        return vec![Finding::new(&ALONE, aggregate, seen, format!("`aggctl port add {name} IF`")).on([&*port.name])];
    }
    Vec::new()
}

/// Whether the primary is a port.
pub(super) fn primary(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let Some(primary) = aggregate.config.absent_primary() else { return Vec::new() };
    let seen = format!("its primary {primary} is none of its ports");
    let remedy = format!("`aggctl port add {} {primary}`, or choose another primary", aggregate.name);
    vec![Finding::new(&NO_PRIMARY, aggregate, seen, remedy)]
}

/// What is to be said of each port.
pub(super) fn each(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let one = |port: &PortFacts| state(aggregate, port).into_iter().chain(flaps(aggregate, port)).collect::<Vec<_>>();
    aggregate.ports.iter().flat_map(one).collect()
}

fn state(aggregate: &AggregateFacts, port: &PortFacts) -> Option<Finding> {
    let (name, aggregate_name) = (&port.name, &aggregate.name);
    let (kind, seen, remedy) = match &port.link {
        None => (
            &GONE,
            format!("there is no interface {name}"),
            format!("plug it in, and it is found again; or `aggctl port remove {aggregate_name} {name}`"),
        ),
        Some(link) if !link.admin_up => {
            (&ADMIN_DOWN, format!("{name} is administratively down"), format!("`ip link set {name} up`"))
        }
        Some(link) if !link.carrier => (
            &NO_CARRIER,
            format!("{name} is up and has no carrier"),
            format!("look at its cable, its transceiver and the other end: `ethtool {name}`"),
        ),
        Some(_) if !port.config.enabled => (
            &DISABLED,
            format!("{name} was disabled by hand (enabled=off)"),
            format!("`aggctl port set {aggregate_name} {name},enabled=on`, once the work on it is done"),
        ),
        Some(_) if !port.usable => (
            &UNUSABLE,
            format!("{name} has a link and is not usable: {}", port.why),
            format!("see what its watches say: `aggctl show {aggregate_name}`"),
        ),
        Some(_) => return None,
    };
    Some(Finding::new(kind, aggregate, seen, remedy).on([name.as_str()]))
}

fn flaps(aggregate: &AggregateFacts, port: &PortFacts) -> Option<Finding> {
    let (name, failures) = (&port.name, port.link_failures);
    (failures >= FAILURES).then(|| {
        let seen = format!("the link of {name} went down {failures} times since attach");
        let remedy =
            format!("look at its cable and transceiver; meanwhile `aggctl set {} up-delay=2s`", aggregate.name);
        Finding::new(&FLAPS, aggregate, seen, remedy).on([name.as_str()])
    })
}

#[cfg(test)]
mod tests {
    use super::{super::samples::found, *};

    #[test]
    fn each_way_to_carry_nothing_has_its_word() {
        let port = |change: fn(&mut PortFacts)| {
            found(|facts| {
                facts.ports[1].usable = false;
                change(&mut facts.ports[1]);
            })
        };
        assert_eq!(port(|port| port.link = None), ["port-gone"]);
        assert_eq!(port(|port| port.link.as_mut().unwrap().admin_up = false), ["port-down"]);
        assert_eq!(port(|port| port.link.as_mut().unwrap().carrier = false), ["port-no-carrier"]);
        assert_eq!(port(|port| port.config.enabled = false), ["port-disabled"]);
        assert_eq!(port(|_| ()), ["port-unusable"]);
        assert_eq!(port(|port| (port.usable, port.link_failures) = (true, 10)), ["port-flaps"]);
        assert_eq!(port(|port| (port.usable, port.link_failures) = (true, 9)), [""; 0]);
    }

    #[test]
    fn a_primary_that_is_no_port_is_told() {
        assert_eq!(found(|facts| facts.config.primary = Some("eth7".into())), ["primary-absent"]);
        assert_eq!(found(|facts| facts.config.primary = Some("eth1".into())), [""; 0]);
    }

    #[test]
    fn too_few_are_an_error_of_the_aggregate() {
        assert_eq!(found(|facts| facts.config.min_ports = 3), ["too-few-ports"]);
        let dead = |facts: &mut AggregateFacts| facts.ports.iter_mut().for_each(|port| port.usable = false);
        assert_eq!(found(dead), ["too-few-ports", "port-unusable", "port-unusable"]);
        assert_eq!(found(|facts| facts.ports.truncate(1)), ["port-alone"]);
    }
}
