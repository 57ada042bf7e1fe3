use proptest::prelude::*;

use super::*;

/// A port in slot `id` that is usable and like all others.
fn config(id: u8) -> PortConfig {
    PortConfig::new(format!("eth{id}"))
}

fn port(id: u8, config: &PortConfig) -> Candidate<'_> {
    Candidate {
        id: PortId(id),
        config,
        usable: true,
        failing: false,
        held: false,
        passed_over: false,
        speed_mbps: Some(1000),
        full_duplex: Some(true),
    }
}

const ALWAYS: Rules<'_> = Rules { primary: None, reselect: Reselect::Always };

#[test]
fn among_equals_the_active_port_stays_and_else_the_first_named_is_next() {
    let (one, two) = (config(0), config(1));
    let ports = [port(1, &two), port(0, &one)];
    assert_eq!(choose(&ALWAYS, Some(PortId(0)), &ports), Some(PortId(0)));
    assert_eq!(choose(&ALWAYS, None, &ports), Some(PortId(1)));
}

#[test]
fn primary_comes_before_priority_and_priority_before_order() {
    let named: Vec<_> = (0..).zip([0, 10, 0, 5]).map(|(id, priority)| PortConfig { priority, ..config(id) }).collect();
    let ports: Vec<_> = named.iter().zip(0..).map(|(config, id)| port(id, config)).collect();
    let rules = Rules { primary: Some("eth2"), ..ALWAYS };
    assert_eq!(order(&rules, &ports), [2, 1, 3, 0].map(PortId));
}

#[test]
fn who_takes_over_from_a_usable_port() {
    // reselect, sticky, speeds and duplex of active and preferred port, who is active then
    let (slow, fast, half) = ((Some(100), Some(true)), (Some(1000), Some(true)), (Some(1000), Some(false)));
    let unknown = (None, None);
    let (stays, yields) = (0, 1);
    let table = [
        (Reselect::Always, false, fast, slow, yields),
        (Reselect::Always, true, slow, fast, stays),
        (Reselect::Better, false, slow, fast, yields),
        (Reselect::Better, false, fast, slow, stays),
        (Reselect::Better, false, fast, fast, stays),
        (Reselect::Better, false, half, fast, yields),
        (Reselect::Better, false, fast, half, stays),
        (Reselect::Better, false, unknown, slow, yields),
        (Reselect::Better, false, slow, unknown, stays),
        (Reselect::Better, true, slow, fast, stays),
        (Reselect::Failure, false, slow, fast, stays),
    ];
    for (reselect, sticky, active, preferred, expected) in table {
        let active_config = PortConfig { sticky, ..config(0) };
        let preferred_config = config(1);
        let with = |port, (speed_mbps, full_duplex)| Candidate { speed_mbps, full_duplex, ..port };
        let ports = [with(port(0, &active_config), active), with(port(1, &preferred_config), preferred)];
        let rules = Rules { primary: Some("eth1"), reselect };
        let chosen = choose(&rules, Some(PortId(0)), &ports);
        assert_eq!(chosen, Some(PortId(expected)), "{reselect:?} sticky {sticky} {active:?} {preferred:?}");
        // Nothing holds once the active port has failed.
        let failed = [Candidate { usable: false, ..ports[0] }, ports[1]];
        assert_eq!(choose(&rules, Some(PortId(0)), &failed), Some(PortId(1)));
    }
}

#[test]
fn a_port_that_was_passed_over_or_is_failing_or_held_down_does_not_take_over() {
    let (one, two) = (config(0), PortConfig { priority: 10, ..config(1) });
    let passed_over = Candidate { passed_over: true, ..port(1, &two) };
    let failing = Candidate { failing: true, ..port(1, &two) };
    let held = Candidate { held: true, ..port(1, &two) };
    for other in [passed_over, failing, held] {
        assert_eq!(choose(&ALWAYS, Some(PortId(0)), &[port(0, &one), other]), Some(PortId(0)));
    }
}

#[test]
fn a_failing_port_is_the_last_resort() {
    let (one, two) = (PortConfig { priority: 10, ..config(0) }, config(1));
    let ports = [Candidate { failing: true, ..port(0, &one) }, port(1, &two)];
    assert_eq!(choose(&ALWAYS, None, &ports), Some(PortId(1)));
    assert_eq!(choose(&ALWAYS, None, &ports[..1]), Some(PortId(0)));
}

/// Settings, then: usable, failing, passed over, speed.
type Made = (PortConfig, [bool; 3], Option<u32>);

prop_compose! {
    fn some_ports()(
        made in prop::collection::vec(
            (-2..3_i32, any::<bool>(), any::<[bool; 3]>(), prop::option::of(1..3_u32)),
            1..9,
        )
    ) -> Vec<Made> {
        let settings = |id, priority, sticky| PortConfig { priority, sticky, ..config(id) };
        let ports = (0..).zip(made);
        ports.map(|(id, (priority, sticky, flags, speed))| (settings(id, priority, sticky), flags, speed)).collect()
    }
}

fn candidates(made: &[Made]) -> Vec<Candidate<'_>> {
    let ports = (0..).zip(made);
    ports
        .map(|(id, (config, [usable, failing, passed_over], speed_mbps))| Candidate {
            usable: *usable,
            failing: *usable && *failing,
            passed_over: *passed_over,
            speed_mbps: *speed_mbps,
            ..port(id, config)
        })
        .collect()
}

proptest! {
    #[test]
    fn one_is_chosen_while_any_is_usable_and_it_is_usable(
        ports in some_ports(), active in 0..9_u8, reselect in 0..3_u8
    ) {
        let ports = candidates(&ports);
        let reselect = [Reselect::Always, Reselect::Better, Reselect::Failure][usize::from(reselect)];
        let rules = Rules { primary: Some("eth1"), reselect };
        let chosen = choose(&rules, Some(PortId(active)), &ports);
        prop_assert_eq!(chosen.is_some(), ports.iter().any(|port| port.usable));
        prop_assert!(chosen.is_none_or(|id| ports.iter().any(|port| port.id == id && port.usable)));
        // Once made, the choice stands.
        prop_assert_eq!(choose(&rules, chosen, &ports), chosen);
    }

    #[test]
    fn after_a_failure_the_next_in_order_is_chosen(ports in some_ports(), active in 0..9_u8) {
        let mut ports = candidates(&ports);
        let order = order(&ALWAYS, &ports);
        let Some(failed) = ports.iter_mut().find(|port| port.id == PortId(active)) else { return Ok(()) };
        failed.usable = false;
        let usable = |id: &PortId| ports.iter().any(|port| port.id == *id && port.usable);
        prop_assert_eq!(choose(&ALWAYS, Some(PortId(active)), &ports), order.into_iter().find(usable));
    }
}
