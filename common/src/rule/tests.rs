use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Destination, Ports, seen::PortsWithLiveness};

extern crate std;

const UNICAST: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const BROADCAST: [u8; 6] = [0xff; 6];
const LACP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x02];
/// The source of frames that others sent.
const NEIGHBOUR: [u8; 6] = [0x02, 0, 0, 0, 0, 9];
const STP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];

/// Ports 2 (the most preferred), 0 and 1, all usable; 0 is active.
fn three() -> Ports {
    let mut ports = Ports { usable: 0b111, active: 0, count: 3, ..Ports::EMPTY };
    ports.order[..3].copy_from_slice(&[2, 0, 1]);
    for slot in 0..3 {
        ports.ifindex[slot] = IfIndex(10 + slot as u32);
    }
    ports
}

/// A port as the rule sees it.
struct TestPort<'a, V> {
    slot: PortId,
    rx_policy: RxPolicy,
    ports: &'a V,
    awaited: bool,
}

impl<V: PortsView + Copy> ReceivingPort for TestPort<'_, V> {
    fn slot(&self) -> PortId {
        self.slot
    }

    fn rx_policy(&self) -> RxPolicy {
        self.rx_policy
    }

    fn table(&self) -> impl PortsView {
        *self.ports
    }

    fn is_awaited(&self) -> bool {
        self.awaited
    }
}

fn received(
    ports: &(impl PortsView + Copy),
    slot: u8,
    rx_policy: RxPolicy,
    to: [u8; 6],
    from: [u8; 6],
) -> Result<Received, DropReason> {
    let addresses = MacAddresses { destination: Destination::from_octets(to), source: Destination::from_octets(from) };
    receive(&TestPort { slot: PortId(slot), rx_policy, ports, awaited: false }, &addresses)
}

/// The same for a frame for which a socket bound to the port waits.
fn awaited(ports: &Ports, slot: u8, rx_policy: RxPolicy, to: [u8; 6], from: [u8; 6]) -> Result<Received, DropReason> {
    let addresses = MacAddresses { destination: Destination::from_octets(to), source: Destination::from_octets(from) };
    receive(&TestPort { slot: PortId(slot), rx_policy, ports, awaited: true }, &addresses)
}

/// A link-local frame that goes to the aggregate as well.
const CONTROL: Received = Received::PortAndAggregate { control: true };
/// Any other that does.
const SHARED: Received = Received::PortAndAggregate { control: false };

fn send_by_choice(ports: &Ports) -> Result<IfIndex, DropReason> {
    egress(ports, choose(ports))
}

fn received_by(ports: &Ports, slot: u8, octets: [u8; 6]) -> Result<Received, DropReason> {
    received(ports, slot, RxPolicy::Active, octets, NEIGHBOUR)
}

#[test]
fn the_active_port_carries_the_traffic() {
    assert_eq!(three().choose(), Some(PortId(0)));
    assert_eq!(send_by_choice(&three()), Ok(IfIndex(10)));
}

#[test]
fn an_active_port_that_is_not_usable_falls_back_to_the_most_preferred_one() {
    let mut ports = Ports { usable: 0b110, ..three() };
    assert_eq!(ports.choose(), Some(PortId(2)));
    ports.usable = 0b010;
    assert_eq!(ports.choose(), Some(PortId(1)), "and from there to the next");
}

#[test]
fn without_a_usable_port_frames_are_dropped_both_ways() {
    let ports = Ports { usable: 0, accept: 0b111, ..three() };
    assert_eq!(send_by_choice(&ports), Err(DropReason::NoPort));
    assert_eq!(received_by(&ports, 0, UNICAST), Err(DropReason::NoPort));
}

#[test]
fn a_usable_port_outside_the_order_is_used_only_while_it_is_active() {
    let ports = Ports { usable: 0b1000, ..three() };
    assert_eq!(ports.choose(), None);
    assert_eq!(Ports { active: 3, ..ports }.choose(), Some(PortId(3)));
}

#[test]
fn a_chosen_port_without_interface_is_no_port() {
    let mut ports = three();
    ports.ifindex[0] = IfIndex::NONE;
    assert_eq!(send_by_choice(&ports), Err(DropReason::NoPort));
}

#[test]
fn a_standby_port_delivers_nothing_but_control_frames() {
    let ports = three();
    for octets in [UNICAST, BROADCAST, [0x33, 0x33, 0, 0, 0, 1]] {
        assert_eq!(received_by(&ports, 0, octets), Ok(Received::Aggregate));
        assert_eq!(received_by(&ports, 1, octets), Err(DropReason::Standby));
    }
    for slot in 0..3 {
        assert_eq!(received_by(&ports, slot, LACP), Ok(Received::Port));
        assert_eq!(received_by(&ports, slot, STP), Ok(if slot == 0 { CONTROL } else { Received::Port }));
    }
}

#[test]
fn control_frames_reach_the_aggregate_from_where_it_takes_groups() {
    let ports = Ports { mac: Destination::from_octets(UNICAST).word(), accept: 0b010, ..three() };
    for slot in 0..3 {
        let on_one = Ok(if slot == 0 { CONTROL } else { Received::Port });
        assert_eq!(received(&ports, slot, RxPolicy::Active, STP, NEIGHBOUR), on_one);
        assert_eq!(received(&ports, slot, RxPolicy::Designated, STP, NEIGHBOUR), on_one);
        assert_eq!(received(&ports, slot, RxPolicy::Any, STP, NEIGHBOUR), Ok(CONTROL));
        assert_eq!(received(&ports, slot, RxPolicy::Designated, STP, UNICAST), Ok(Received::Port), "our own");
        let lost = Ports { usable: 0, ..ports };
        assert_eq!(received(&lost, slot, RxPolicy::Active, STP, NEIGHBOUR), Ok(Received::Port), "no port");
    }
}

#[test]
fn what_a_socket_bound_to_the_port_waits_for_stays_there_too() {
    let ports = three();
    for octets in [UNICAST, BROADCAST, [0x01, 0x1b, 0x19, 0, 0, 0]] {
        assert_eq!(awaited(&ports, 0, RxPolicy::Active, octets, NEIGHBOUR), Ok(SHARED));
        assert_eq!(awaited(&ports, 1, RxPolicy::Active, octets, NEIGHBOUR), Ok(Received::Port), "not dropped");
        assert_eq!(awaited(&ports, 1, RxPolicy::Any, octets, NEIGHBOUR), Ok(SHARED));
    }
    let former = Ports { accept: 0b010, ..ports };
    assert_eq!(awaited(&former, 1, RxPolicy::Active, UNICAST, NEIGHBOUR), Ok(SHARED));
    assert_eq!(awaited(&former, 1, RxPolicy::Active, BROADCAST, NEIGHBOUR), Ok(Received::Port));
    assert_eq!(awaited(&ports, 1, RxPolicy::Designated, UNICAST, NEIGHBOUR), Ok(SHARED));
    assert_eq!(awaited(&ports, 1, RxPolicy::Designated, BROADCAST, NEIGHBOUR), Ok(Received::Port));
    assert_eq!(awaited(&ports, 1, RxPolicy::Any, LACP, NEIGHBOUR), Ok(Received::Port));
    assert_eq!(awaited(&ports, 0, RxPolicy::Active, STP, NEIGHBOUR), Ok(CONTROL));
}

#[test]
fn the_former_active_port_still_delivers_unicast_but_no_group_frames() {
    let ports = Ports { accept: 0b010, ..three() };
    assert_eq!(received_by(&ports, 1, UNICAST), Ok(Received::Aggregate));
    assert_eq!(received_by(&ports, 1, BROADCAST), Err(DropReason::Standby));
    assert!(ports.accepts(PortId(1), false) && !ports.accepts(PortId(1), true));
}

#[test]
fn a_lag_delivers_all_that_any_port_receives() {
    let ports = Ports { mac: Destination::from_octets(UNICAST).word(), ..three() };
    for slot in 0..3 {
        for octets in [UNICAST, BROADCAST, NEIGHBOUR] {
            assert_eq!(received(&ports, slot, RxPolicy::Any, octets, UNICAST), Ok(Received::Aggregate));
        }
        assert_eq!(received(&ports, slot, RxPolicy::Any, STP, NEIGHBOUR), Ok(CONTROL));
    }
}

#[test]
fn from_a_plain_partner_groups_come_by_the_designated_port_alone() {
    let ports = Ports { mac: Destination::from_octets(UNICAST).word(), ..three() };
    let received_by = |slot, to| received(&ports, slot, RxPolicy::Designated, to, NEIGHBOUR);
    assert_eq!(
        (received_by(0, BROADCAST), received_by(1, BROADCAST)),
        (Ok(Received::Aggregate), Err(DropReason::Duplicate))
    );
    assert_eq!((received_by(0, UNICAST), received_by(1, UNICAST)), (Ok(Received::Aggregate), Ok(Received::Aggregate)));
    let lost = Ports { usable: 0, ..ports };
    assert_eq!(received(&lost, 0, RxPolicy::Designated, BROADCAST, NEIGHBOUR), Err(DropReason::NoPort));
}

#[test]
fn our_own_frames_do_not_come_back() {
    let ports = Ports { mac: Destination::from_octets(UNICAST).word(), ..three() };
    for slot in 0..3 {
        for to in [BROADCAST, NEIGHBOUR] {
            let back = received(&ports, slot, RxPolicy::Designated, to, UNICAST);
            assert_eq!(back, Err(DropReason::Reflected));
        }
    }
}

/// What a broadcast that arrives on each port comes to.
fn broadcast_on(seen: &PortsWithLiveness, rx_policy: RxPolicy) -> [Result<Received, DropReason>; 3] {
    [0, 1, 2].map(|slot| received(seen, slot, rx_policy, BROADCAST, NEIGHBOUR))
}

#[test]
fn a_dead_port_is_passed_over() {
    let ports = three();
    let choose = |alive| choose(&PortsWithLiveness { ports, alive });
    assert_eq!(choose(0b111), Some(PortId(0)));
    assert_eq!(choose(0b110), Some(PortId(2)), "the most preferred one");
    assert_eq!(choose(0b010), Some(PortId(1)));
    assert_eq!(choose(0b101), Some(PortId(0)), "the active one stays");
    assert_eq!(choose(0), Some(PortId(0)), "none is alive: the table alone decides");
}

#[test]
fn only_the_usable_ports_count() {
    let ports = Ports { usable: 0b110, ..three() };
    assert_eq!(
        choose(&PortsWithLiveness { ports, alive: 0b011 }),
        Some(PortId(1)),
        "that a link is back is for the controller"
    );
    assert_eq!(choose(&PortsWithLiveness { ports, alive: 0b001 }), Some(PortId(2)), "no usable one is alive");
    assert_eq!(choose(&PortsWithLiveness { ports: Ports { usable: 0, ..ports }, alive: 0b111 }), None);
}

#[test]
fn the_next_living_port_delivers_and_what_the_dead_one_had_received_before_is_not_lost() {
    let ports = three();
    for rx_policy in [RxPolicy::Active, RxPolicy::Designated] {
        let unwanted = Err(if rx_policy == RxPolicy::Active { DropReason::Standby } else { DropReason::Duplicate });
        let taken = Ok(Received::Aggregate);
        assert_eq!(broadcast_on(&PortsWithLiveness { ports, alive: 0b111 }, rx_policy), [taken, unwanted, unwanted]);
        assert_eq!(broadcast_on(&PortsWithLiveness { ports, alive: 0b110 }, rx_policy), [taken, unwanted, taken]);
        assert_eq!(broadcast_on(&PortsWithLiveness { ports, alive: 0b010 }, rx_policy), [taken, taken, unwanted]);
        assert_eq!(broadcast_on(&PortsWithLiveness { ports, alive: 0 }, rx_policy), [taken, unwanted, unwanted]);
    }
}

fn any_table() -> impl Strategy<Value = Ports> {
    let slots: Vec<u8> = (0..MAX_PORTS as u8).collect();
    (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), 0..=80_u32, Just(slots).prop_shuffle()).prop_map(
        |(a, b, accept, active, count, order)| {
            let mut ports = Ports { usable: a & b, accept, active, count, ..Ports::EMPTY };
            ports.order.copy_from_slice(&order);
            for (slot, index) in ports.ifindex.iter_mut().enumerate() {
                *index = IfIndex(100 + slot as u32);
            }
            ports
        },
    )
}

proptest! {
    #[test]
    fn only_a_usable_port_is_chosen_and_the_active_one_first(ports in any_table()) {
        let usable = |port: PortId| ports.usable & port.bit() != 0;
        let active = PortId((ports.active & 63) as u8);
        let expected = if usable(active) {
            Some(active)
        } else {
            let used = (ports.count as usize).min(MAX_PORTS);
            ports.order[..used].iter().map(|slot| PortId(*slot)).find(|port| usable(*port))
        };
        prop_assert_eq!(ports.choose(), expected);
    }

    #[test]
    fn a_port_that_is_not_alive_counts_as_not_usable_while_another_is((ports, alive) in (any_table(), any::<u64>())) {
        let seen = PortsWithLiveness { ports, alive };
        // What is usable and outside the order is only known while it is active.
        let used = (ports.count as usize).min(MAX_PORTS);
        let known = ports.order[..used].iter().fold(1 << (ports.active & 63), |mask, slot| mask | PortId(*slot).bit());
        let living = Ports { usable: ports.usable & alive & known, ..ports };
        prop_assert_eq!(choose(&seen), living.choose().or(ports.choose()));
        prop_assert_eq!(super::alive(&seen) & !ports.usable, 0);
        let in_order = ports.order[..used].iter().filter(|slot| ports.usable & PortId(**slot).bit() != 0);
        let dead = in_order.clone().filter(|slot| alive & PortId(**slot).bit() == 0);
        if dead.clone().count() < ports.usable.count_ones() as usize {
            prop_assert!(dead.clone().all(|slot| super::alive(&seen) & PortId(*slot).bit() == 0));
        } else {
            prop_assert_eq!(super::alive(&seen), ports.usable);
        }
    }

    #[test]
    fn a_group_frame_is_delivered_by_one_port_at_most(ports in any_table()) {
        let delivering: Vec<u8> =
            (0..MAX_PORTS as u8).filter(|slot| ports.accepts(PortId(*slot), true)).collect();
        prop_assert_eq!(delivering, ports.choose().map(|port| port.0).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_table_and_no_octets_make_the_rule_panic(
        ports in any_table(), order in proptest::array::uniform32(any::<u8>()), slot in any::<u8>(),
        octets in any::<[u8; 6]>()
    ) {
        let mut ports = ports;
        ports.order[..32].copy_from_slice(&order);
        let _ = send_by_choice(&ports);
        for rx_policy in [RxPolicy::Active, RxPolicy::Designated, RxPolicy::Any] {
            let _ = received(&ports, slot, rx_policy, octets, octets);
            let _ = awaited(&ports, slot, rx_policy, octets, octets);
        }
    }
}

#[test]
fn what_is_sent_to_the_former_mac_goes_to_the_present_one() {
    let [now, before, other] =
        [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 1, 2]].map(Destination::from_octets);
    let moved = Ports { mac: now.word(), former_mac: before.word(), ..three() };
    assert_eq!([now, before, other].map(|to| readdressed(&moved, &to)), [None, Some(now), None]);
    let never = Ports { former_mac: 0, ..moved };
    assert_eq!([[0; 6], BROADCAST].map(|to| readdressed(&never, &Destination::from_octets(to))), [None, None]);
}
