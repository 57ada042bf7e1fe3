//! Looking again: what came to the ports, or to the aggregate, while a plan was carried out.

use aggctl_common::IfIndex;

use crate::{
    config::Addresses,
    host::{Address, Host, Link, NeighbourEntry, Route},
    names,
    plan::{
        Change, Layer3Step, Step, Subject,
        join::as_on_aggregate,
        layer3::{self, Transfer},
        order::RouteOrder,
        port,
        port::PlannedPort,
    },
    record::{Layer3, PortRecord, Record},
};

/// `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;
/// `NTF_PROXY`.
const PROXY: u8 = 0x08;

/// Steps that move to the aggregate what the ports have again, or still; none if they are as they should be. The
/// picture must show at its old place what came to a port and was flushed since.
#[must_use]
pub fn gather(host: &Host, record: &Record) -> Vec<Step> {
    let Some(aggregate) = aggregate(host, record) else { return Vec::new() };
    if !record.has_own_device() {
        return Vec::new(); // all addresses are where they were
    }
    if record.config.addresses == Addresses::None {
        return Vec::new(); // whoever asked for that looks after addresses himself
    }
    let ports = record.ports.iter().filter_map(|port| Some((port, record.interface_of(host, port)?)));
    ports.flat_map(|(port, link)| move_rest(host, port, link, aggregate)).collect()
}

/// Moves what a port has to the aggregate, in the order of an attach.
fn move_rest(host: &Host, known: &PortRecord, link: &Link, aggregate: &Link) -> Vec<Step> {
    let all = Layer3::of(host, link.index);
    let had = known.addresses.iter().any(|address| layer3::is_given(address, &known.before));
    let what = rest(all.clone(), link, had);
    if what == Layer3::default() {
        return Vec::new();
    }
    let mut port = PlannedPort::known(host, known, link);
    let order = RouteOrder::of(&host.routes);
    let transfer = Transfer {
        order: &order,
        crowded: false,
        what: &what,
        made_for: &all.addresses,
        from: link.index,
        source: port.subject(),
        to: Subject::Aggregate,
    };
    let mut steps = transfer.add_neighbours().collect::<Vec<_>>();
    let is_there = |a: &&Address| layer3::has(host, aggregate.index, a);
    let missing = layer3::in_adding_order(&what.addresses).filter(|a| !is_there(a));
    steps.extend(missing.map(|address| {
        Layer3Step::add_address(&Subject::Aggregate, &as_on_aggregate(address, &link.name, &aggregate.name))
    }));
    steps.extend(transfer.add_routes());
    steps.extend(transfer.move_nexthops());
    port.layer3 = Layer3 { routes: what.routes, neighbours: what.neighbours, ..port.layer3 };
    steps.extend(port.strip(host));
    steps
}

/// Writes down to which port the addresses belong that these steps move.
pub fn note_origins(record: &mut Record, steps: &[Step]) {
    for step in steps {
        if let Step::Layer3(Layer3Step::Address { link: Subject::Port { id, .. }, address, present: Change::OFF }) =
            step
            && let Some(port) = record.ports.iter_mut().find(|port| port.id == *id)
            && !layer3::is_in(&port.addresses, address)
        {
            port.addresses.push(address.clone());
        }
    }
}

/// Of what an interface has: what somebody gave it. What goes by itself, or comes by itself where the addresses are, is
/// left.
fn rest(all: Layer3, link: &Link, advertised: bool) -> Layer3 {
    let Layer3 { addresses, routes, nexthops, neighbours } = all;
    let given = addresses.iter().filter(|a| layer3::is_given(a, link)).cloned().collect::<Vec<_>>();
    let advertised = advertised || !given.is_empty();
    let stays = |r: &Route| {
        let made = !layer3::is_movable(r, &addresses);
        // A prefix route goes with its address.
        if made { layer3::is_made_for(r, &given) } else { advertised || !layer3::is_from_router(r) }
    };
    let lasts = |n: &NeighbourEntry| n.state & PERMANENT != 0 || n.flags & PROXY != 0;
    Layer3 {
        routes: routes.into_iter().filter(stays).collect(),
        neighbours: neighbours.into_iter().filter(lasts).collect(),
        addresses: given,
        nexthops,
    }
}

/// Whether the aggregate, which is about to be removed, has anything that a port must get.
#[must_use]
pub fn is_left(host: &Host, record: &Record) -> bool {
    aggregate(host, record).is_some_and(|link| {
        let left = rest(Layer3::of(host, link.index), link, false);
        let prefixes = left.addresses.is_empty() && left.routes.iter().all(|r| !layer3::is_movable(r, &[]));
        !(prefixes && left.nexthops.is_empty() && left.neighbours.is_empty())
    })
}

/// Steps that give a port what others gave to the aggregate, `what`, on an attach that is undone: all that we put there
/// is gone from it. The aggregate's number is `from`.
#[must_use]
pub fn hand_back(host: &Host, record: &Record, from: IfIndex, what: &Layer3) -> Vec<Step> {
    if !record.has_own_device() {
        return Vec::new(); // the device stays, with all that it has
    }
    let home = record.ports.iter().find(|port| port.addresses.iter().any(|a| layer3::is_given(a, &port.before)));
    let ports = home.into_iter().chain(&record.ports);
    let Some((port, link)) = ports.filter_map(|port| Some((port, record.interface_of(host, port)?))).next() else {
        return Vec::new();
    };
    let mut what = given(host, record, from, what);
    let made_for = what.addresses.clone();
    what.addresses.retain(|address| !layer3::has(host, link.index, address));
    for address in &mut what.addresses {
        address.label = address.label.take().map(|label| names::relabel(&label, &record.config.name, &link.name));
    }
    let subject = port::subject(port.id, &port.identity, link);
    let order = RouteOrder::of(&host.routes);
    let transfer = Transfer {
        order: &order,
        crowded: false,
        what: &what,
        made_for: &made_for,
        from,
        source: Subject::Aggregate,
        to: subject.clone(),
    };
    let mut steps = transfer.add_neighbours().collect::<Vec<_>>();
    let give = |a: &Address| Layer3Step::add_address(&subject, a);
    steps.extend(layer3::in_adding_order(&what.addresses).map(give));
    steps.extend(transfer.add_routes());
    steps.extend(transfer.move_nexthops());
    steps
}

/// Of what the aggregate's interface `from` had, what somebody gave it; it may be gone.
#[must_use]
pub fn given(host: &Host, record: &Record, from: IfIndex, what: &Layer3) -> Layer3 {
    let gone = Link { mac: record.mac, ..Link::default() };
    rest(what.clone(), host.links.get(&from).unwrap_or(&gone), false)
}

/// Steps that give to each port again what came to it and is not there any more. `came`: what came to an interface.
#[must_use]
pub fn restore_arrivals(
    host: &Host,
    record: &Record,
    ports: &[PortRecord],
    came: impl Fn(IfIndex) -> Layer3,
) -> Vec<Step> {
    if !record.has_own_device() {
        return Vec::new(); // nothing was flushed for our sake
    }
    let ports = ports.iter().filter_map(|port| Some((port, record.interface_of(host, port)?)));
    ports.flat_map(|(port, link)| restore_on(host, port, link, came(link.index))).collect()
}

fn restore_on(host: &Host, port: &PortRecord, link: &Link, mut came: Layer3) -> Vec<Step> {
    let here = Layer3::of(host, link.index);
    came.addresses.retain(|address| layer3::is_given(address, link) && !layer3::has(host, link.index, address));
    let routes_here = RouteOrder::of(&here.routes);
    came.routes.retain(|route| !routes_here.has(route));
    came.neighbours.retain(|neighbour| !here.neighbours.iter().any(|other| other.address == neighbour.address));
    let made_for = here.addresses.into_iter().chain(came.addresses.iter().cloned()).collect::<Vec<_>>();
    let subject = port::subject(port.id, &port.identity, link);
    let order = RouteOrder::of(&host.routes);
    let transfer = Transfer {
        order: &order,
        crowded: false,
        what: &came,
        made_for: &made_for,
        from: link.index,
        source: subject.clone(),
        // As seen from elsewhere: routes that leave by this port already are what is missing.
        to: subject.clone(),
    };
    let give = |a: &Address| Layer3Step::add_address(&subject, a);
    let mut steps = layer3::in_adding_order(&came.addresses).map(give).collect::<Vec<_>>();
    steps.extend(transfer.add_neighbours());
    steps.extend(transfer.put_routes_back());
    steps
}

/// The aggregate's interface; while its number was not written down yet, by its name.
fn aggregate<'h>(host: &'h Host, record: &Record) -> Option<&'h Link> {
    match record.index {
        IfIndex::NONE => host.link(&record.config.name),
        index => host.links.get(&index),
    }
}
