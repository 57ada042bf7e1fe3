//! Addresses, routes, nexthop objects and neighbours: moved to another interface and back, nothing is lost.

use std::time::{Duration, Instant};

use aggctl_engine::{
    config::Device,
    host::{Address, Host, Route},
    plan::{Change, Layer3Step, Setting, Step, Subject},
};
use aggctl_kernel::netlink::Netlink;

use crate::{
    pair::create_pair,
    support::{apply, assert_same, executor, in_namespace, index, ip, picture, port, run, undo},
};

/// `p0` with everything that can be on an interface, and `p2` beside it.
fn furnish() {
    ip("link add p0 type veth peer name q0
        link add p2 type veth peer name q2
        link set p0 addrgenmode none up
        link set q0 addrgenmode none up
        link set p2 addrgenmode none up
        link set q2 addrgenmode none up
        addr add 192.0.2.10/24 brd + dev p0
        addr add 192.0.2.11/24 dev p0 label p0:1
        addr add 10.9.0.1 peer 10.9.0.2/32 dev p0
        addr add 198.51.100.1/24 metric 512 dev p0
        addr add 203.0.113.1/24 noprefixroute scope link dev p0
        addr add 10.20.0.1/24 dev p2
        -6 addr add 2001:db8::1/64 nodad dev p0
        -6 addr add 2001:db8::2/64 dev p0
        -6 addr add 2001:db8:1::1/64 metric 700 nodad dev p0
        -6 addr add 2001:db8:2::1/64 noprefixroute nodad dev p0
        -6 addr add 2001:db8:3::1/64 nodad preferred_lft 0 dev p0
        -6 addr add 2001:db8:4::1 peer 2001:db8:4::2/128 nodad dev p0
        -6 addr add 2001:db8:20::1/64 nodad dev p2
        route add default via 192.0.2.1
        route add 10.1.0.0/16 via 192.0.2.2 src 192.0.2.11 mtu lock 1400 metric 50
        route add 10.2.0.0/16 via 192.0.2.2 table 100
        route add 10.3.0.0/16 nexthop via 192.0.2.2 weight 3 nexthop via 10.20.0.2
        route add 10.4.0.0/16 via 172.16.0.1 dev p0 onlink
        route add 10.5.0.0/16 dev p0 scope link proto static
        -6 route add default via 2001:db8::fe metric 100
        -6 route add 2001:db8:100::/48 via fe80::1 dev p0 mtu 1300 pref high
        -6 route add 2001:db8:101::/48 nexthop via 2001:db8::fd weight 2 nexthop via 2001:db8:20::fd
        -6 route add 2001:db8:102::/48 via 2001:db8::fd table 200
        neigh add 192.0.2.1 lladdr 02:00:00:00:01:01 dev p0
        neigh add 2001:db8::fe lladdr 02:00:00:00:01:02 router dev p0
        neigh add proxy 10.77.0.1 dev p0");
    // Until duplicate address detection has ended.
    let started = Instant::now();
    while run("ip -6 addr show tentative").contains("inet6") {
        assert!(started.elapsed() < Duration::from_secs(30), "duplicate address detection does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Moves everything from `p0` to the aggregate: first all is there, then it is here no more.
fn move_all(host: &Host) -> Vec<Step> {
    let (from, source) = (index("p0"), port("p0"));
    let on_port = |address: &&Address| address.link == from;
    let relabelled = |address: &Address| Address {
        label: address.label.as_ref().map(|label| label.replace("p0", "agg0")),
        ..address.clone()
    };
    // The kernel's own prefix routes come and go with their addresses.
    let routes: Vec<_> = host
        .routes
        .iter()
        .filter(|route| route.links.contains(&from) && route.protocol != 2 && route.nexthop.is_none())
        .collect();
    let (near, far): (Vec<_>, Vec<_>) = routes.into_iter().partition(|route| !route.gateway);
    let mut steps = vec![
        create_pair(Device::Veth),
        Setting::Admin(Change::ON).of(Subject::Peer),
        Setting::Admin(Change::ON).of(Subject::Aggregate),
    ];
    let neighbour = |link: &Subject, present| {
        let (link, here) = (link.clone(), host.neighbours.iter().filter(|neighbour| neighbour.link == from));
        let steps =
            here.map(move |n| Layer3Step::Neighbour { link: link.clone(), neighbour: n.clone(), present }.into());
        steps.collect::<Vec<Step>>()
    };
    let route = |link: &Subject, route: &Route, first, present| {
        let (link, route) = (link.clone(), route.clone());
        Step::from(Layer3Step::Route { link, route, described_on: from, first, present })
    };
    steps.extend(neighbour(&Subject::Aggregate, Change::ON));
    let (v6, v4): (Vec<_>, Vec<_>) = host.addresses.iter().filter(on_port).partition(|address| address.local.is_ipv6());
    // The kernel puts a new IPv6 address first, and a new IPv4 address last.
    let in_order: Vec<_> = v4.iter().chain(v6.iter().rev()).copied().collect();
    steps.extend(in_order.iter().map(|address| Layer3Step::add_address(&Subject::Aggregate, &relabelled(address))));
    steps.extend(near.iter().chain(&far).map(|it| route(&Subject::Aggregate, it, true, Change::ON)));
    let nexthops = host.nexthops.iter().filter(|nexthop| nexthop.link == Some(from)).cloned();
    steps.extend(nexthops.map(|nexthop| {
        let link = Change { from: source.clone(), to: Subject::Aggregate };
        Layer3Step::Nexthop { nexthop, link }.into()
    }));
    steps.extend(far.iter().chain(&near).map(|it| route(&source, it, false, Change::OFF)));
    steps.extend(neighbour(&source, Change::OFF));
    steps.extend(in_order.iter().rev().map(|address| Layer3Step::delete_address(&source, address)));
    steps
}

#[test]
fn everything_moves_and_comes_back() {
    in_namespace(|| {
        furnish();
        let before = picture();
        let shown = show("p0");
        let steps = move_all(&before);
        let mut executor = executor();
        for step in &steps {
            apply(&mut executor, step);
        }
        let there = picture();
        assert!(there.addresses.iter().all(|address| address.link != index("p0")), "{:?}", there.addresses);
        let moved = |host: &Host, link: &str| {
            let lines = run(&format!("ip -o addr show dev {link}")).lines().count();
            (lines, host.routes.iter().filter(|route| route.links.contains(&index(link))).count())
        };
        let expected = before.addresses.iter().filter(|address| address.link == index("p0")).count();
        assert_eq!(moved(&there, "agg0").0, expected);
        for step in steps.iter().rev() {
            undo(&mut executor, step);
        }
        assert_eq!(shown, show("p0"));
        assert_same(&before, &picture());
    });
}

#[test]
fn every_prefix_of_a_move_is_undone() {
    in_namespace(|| {
        furnish();
        let before = picture();
        let steps = move_all(&before);
        let mut executor = executor();
        for length in 0..steps.len() {
            for step in &steps[..length] {
                executor.apply(step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
            }
            // The step that was under way when the process died may have taken effect or not.
            for step in steps[..=length].iter().rev() {
                executor.undo(step).unwrap_or_else(|error| panic!("undone {step:?}: {error}"));
            }
            assert_same(&before, &picture());
        }
    });
}

/// What `ip` shows of an interface's layer 3.
fn show(link: &str) -> String {
    [
        "addr",
        "-6 addr",
        "route",
        "-6 route",
        "route show table 100",
        "-6 route show table 200",
        "neigh",
        "neigh show proxy",
    ]
    .map(|what| if what.contains(' ') && what.contains("show") { what.to_owned() } else { format!("{what} show") })
    .map(|what| run(&format!("ip {what} dev {link}")))
    .into_iter()
    .flat_map(|text| text.lines().filter(|line| !line.contains("valid_lft")).map(str::to_owned).collect::<Vec<_>>())
    .filter(|line| !line.contains("STALE") && !line.contains("REACHABLE") && !line.contains("FAILED"))
    .collect::<Vec<_>>()
    .join("\n")
}

#[test]
fn an_added_address_is_ready_at_once_and_looks_as_before() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link add p2 type veth peer name q2
            link set p0 up
            link set q0 up
            link set p2 up
            link set q2 up
            -6 addr add 2001:db8::1/64 dev p0
            -6 addr add 2001:db8::2/64 nodad dev p0");
        let mut netlink = Netlink::open().unwrap();
        for address in netlink.addresses_of(index("p0")).unwrap() {
            netlink.add_address(index("p2"), &address).unwrap();
        }
        let shown = run("ip -6 -o addr show dev p2 scope global");
        let line = |address: &str| shown.lines().find(|line| line.contains(address)).unwrap().to_owned();
        assert!(!line("2001:db8::1/64").contains("nodad") && !line("2001:db8::1/64").contains("tentative"), "{shown}");
        assert!(line("2001:db8::2/64").contains("nodad"), "{shown}");
    });
}

#[test]
fn lifetimes_are_kept() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            addr add 192.0.2.1/24 valid_lft 5000 preferred_lft 4000 dev p0
            -6 addr add 2001:db8::1/64 valid_lft 5000 preferred_lft 0 nodad dev p0");
        let mut netlink = Netlink::open().unwrap();
        for address in netlink.addresses_of(index("p0")).unwrap() {
            netlink.delete_address(index("p0"), &address).unwrap();
            netlink.add_address(index("q0"), &address).unwrap();
        }
        let addresses = netlink.addresses_of(index("q0")).unwrap();
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            assert!(matches!(address.valid_lifetime, Some(4000..=5000)), "{address:?}");
            let preferred = if address.local.is_ipv4() { Some(1000..=4000) } else { Some(0..=0) };
            assert!(preferred.unwrap().contains(&address.preferred_lifetime.unwrap()), "{address:?}");
        }
    });
}

#[test]
fn nexthop_objects_move_with_their_routes() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link set p0 addrgenmode none up
            link set q0 addrgenmode none up
            addr add 192.0.2.10/24 dev p0
            -6 addr add 2001:db8::1/64 nodad dev p0
            nexthop add id 3 via 2001:db8::fe dev p0
            -6 route add 2001:db8:9::/48 nhid 3
            nexthop add id 1 via 192.0.2.1 dev p0
            nexthop add id 2 via 192.0.2.2 dev p0
            nexthop add id 10 group 1/2
            route add 10.1.0.0/16 nhid 1
            route add 10.2.0.0/16 nhid 10"
            .replace("1,3/2", "1/2")
            .as_str());
        let before = picture();
        let of = |host: &Host, nexthop: u32| {
            let route = host.routes.iter().find(|route| route.nexthop == Some(nexthop)).unwrap().clone();
            route.links
        };
        assert_eq!(of(&before, 1), vec![index("p0")]);
        assert_eq!(of(&before, 10), vec![index("p0")]);
        assert_eq!(of(&before, 3), vec![index("p0")]);
        let steps = move_all(&before);
        let mut executor = executor();
        for step in &steps {
            apply(&mut executor, step);
        }
        let there = picture();
        assert!(there.nexthops.iter().filter_map(|nexthop| nexthop.link).all(|link| link == index("agg0")));
        assert_eq!(of(&there, 1), vec![index("agg0")]);
        assert_eq!(of(&there, 10), vec![index("agg0")]);
        assert_eq!(of(&there, 3), vec![index("agg0")]);
        for step in steps.iter().rev() {
            undo(&mut executor, step);
        }
        assert_same(&before, &picture());
    });
}

#[test]
fn a_route_is_put_ahead_of_or_behind_its_equals() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link add p2 type veth peer name q2
            link set p0 up
            link set q0 up
            link set p2 up
            link set q2 up
            route add 10.1.0.0/16 dev p0");
        let mut netlink = Netlink::open().unwrap();
        let route = netlink.routes().unwrap().into_iter().find(|route| !route.v6).unwrap();
        let first = || run("ip route show 10.1.0.0/16").lines().next().unwrap().to_owned();
        netlink.add_route(&route, index("p0"), index("p2"), false).unwrap();
        assert!(first().contains("p0"));
        netlink.delete_route(&route, index("p0"), index("p2")).unwrap();
        assert_eq!(run("ip route show 10.1.0.0/16").lines().count(), 1, "the other one stays");
        netlink.add_route(&route, index("p0"), index("p2"), true).unwrap();
        assert!(first().contains("p2"));
    });
}
