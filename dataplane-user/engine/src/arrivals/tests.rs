use super::*;
use crate::samples;

const ETH0: IfIndex = IfIndex(2);
const AGG0: IfIndex = IfIndex(9);

fn address(local: &str, link: IfIndex) -> ChangedItem {
    ChangedItem::Address(samples::address(link, local, 24))
}

fn route(destination: &str, protocol: u8, link: IfIndex) -> ChangedItem {
    ChangedItem::Route(samples::route(link, Some(destination), 24, protocol))
}

fn neighbour(state: u16) -> ChangedItem {
    ChangedItem::Neighbour(NeighbourEntry {
        link: ETH0,
        address: "10.0.0.9".parse().unwrap(),
        mac: None,
        state,
        flags: 0,
    })
}

fn added(what: &ChangedItem, by: ChangeAuthor) -> ChangeEvent {
    ChangeEvent::Added { what: what.clone(), instead: false, by }
}

fn removed(what: &ChangedItem, by: ChangeAuthor) -> ChangeEvent {
    ChangeEvent::Removed { what: what.clone(), by }
}

fn count(arrivals: &Arrivals) -> (usize, usize, usize) {
    let Layer3 { addresses, routes, neighbours, .. } = arrivals.of(ETH0);
    (addresses.len(), routes.len(), neighbours.len())
}

#[test]
fn what_the_kernel_flushed_is_still_wanted_and_what_its_owner_removed_is_not() {
    let (v4, v6) = (address("10.0.0.1", ETH0), address("fd00::1", ETH0));
    let via = route("10.9.0.0", 3, ETH0);
    for by in [ChangeAuthor::Us, ChangeAuthor::Kernel, ChangeAuthor::Others] {
        let mut arrivals = Arrivals::default();
        [&v4, &via].into_iter().for_each(|what| arrivals.tell(added(what, ChangeAuthor::Others), false));
        [&v4, &via].into_iter().for_each(|what| arrivals.tell(removed(what, by), false));
        let still = usize::from(by != ChangeAuthor::Others);
        assert_eq!(count(&arrivals), (still, still, 0), "{by:?}");
    }
    // Who removes an IPv6 address is never told: only when can tell.
    for (flushing, down, still) in [(false, false, 0), (true, false, 1), (false, true, 1)] {
        let mut arrivals = Arrivals::default();
        arrivals.tell(added(&v6, ChangeAuthor::Kernel), false);
        arrivals.tell(ChangeEvent::Link { index: ETH0, up: !down }, false);
        arrivals.tell(removed(&v6, ChangeAuthor::Kernel), flushing);
        assert_eq!(count(&arrivals).0, still, "flushing: {flushing}, down: {down}");
    }
}

#[test]
fn what_a_step_of_ours_moved_is_not_wanted_where_it_was() {
    let (planned, late) = (address("10.0.0.1", ETH0), address("10.0.0.2", ETH0));
    let mut arrivals = Arrivals::default();
    arrivals.tell(added(&planned, ChangeAuthor::Others), false);
    arrivals.tell(added(&late, ChangeAuthor::Others), false);
    arrivals.will_move(&planned);
    // The second one is secondary to the first, and goes with it.
    [&planned, &late].into_iter().for_each(|what| arrivals.tell(removed(what, ChangeAuthor::Us), true));
    let mut host = Host::default();
    arrivals.complete(&mut host);
    assert_eq!(host.addresses.iter().map(|a| a.local.to_string()).collect::<Vec<_>>(), ["10.0.0.2"]);
    arrivals.forget(&arrivals.clone(), ETH0);
    assert_eq!(count(&arrivals), (0, 0, 0));
}

#[test]
fn what_comes_by_itself_does_not_count() {
    let mut arrivals = Arrivals::default();
    arrivals.tell(added(&route("10.0.0.0", RTPROT_KERNEL, ETH0), ChangeAuthor::Kernel), false);
    arrivals.tell(added(&route("10.8.0.0", 3, ETH0), ChangeAuthor::Us), false);
    arrivals.tell(added(&neighbour(0x02), ChangeAuthor::Kernel), false);
    assert!(arrivals.is_empty_on(&[ETH0]));
    arrivals.tell(added(&neighbour(PERMANENT), ChangeAuthor::Others), false);
    assert_eq!(count(&arrivals), (0, 0, 1));
    // An owner's removal of a neighbour begins with its failure.
    arrivals.tell(added(&neighbour(0x20), ChangeAuthor::Others), false);
    assert_eq!(count(&arrivals), (0, 0, 0));
}

#[test]
fn a_route_that_takes_the_place_of_another_leaves_one() {
    let mut arrivals = Arrivals::default();
    let ChangedItem::Route(first) = route("10.9.0.0", 3, ETH0) else { unreachable!() };
    let second = Route { kind: 6, ..first.clone() };
    arrivals.tell(added(&ChangedItem::Route(first), ChangeAuthor::Others), false);
    arrivals.tell(
        ChangeEvent::Added { what: ChangedItem::Route(second.clone()), instead: true, by: ChangeAuthor::Others },
        false,
    );
    assert_eq!(arrivals.of(ETH0).routes, [second]);
}

#[test]
fn a_former_look_is_brought_up_to_date() {
    let [old, gone, new] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|local| address(local, AGG0));
    let mut before = Items::default();
    [&old, &gone].into_iter().for_each(|what| before.put(what.clone()));
    let mut seen = before.all();
    let mut arrivals = Arrivals::default();
    arrivals.tell(removed(&gone, ChangeAuthor::Others), false);
    arrivals.tell(added(&new, ChangeAuthor::Others), false);
    // The device goes, and its addresses with it.
    arrivals.tell(ChangeEvent::Link { index: AGG0, up: false }, false);
    [&old, &new].into_iter().for_each(|what| arrivals.tell(removed(what, ChangeAuthor::Kernel), false));
    arrivals.bring_up_to_date(AGG0, &mut seen);
    assert_eq!(seen.addresses.iter().map(|a| a.local.to_string()).collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn things_are_kept_in_the_order_in_which_they_came() {
    let [first, second, third] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|local| address(local, ETH0));
    let mut items = Items::default();
    [&first, &second, &third, &first].into_iter().for_each(|what| items.put(what.clone()));
    let locals = items.of(ETH0).addresses.iter().map(|a| a.local.to_string()).collect::<Vec<_>>();
    assert_eq!(locals, ["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
}
