//! Nothing is lost that others add while addresses and routes are on their way; and the aggregate has the settings of
//! the port whose place it takes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use aggctl_tests::{Case, HostState, Lab, Namespace, cases, command, matrix::SOON, wait};

/// What somebody adds to an interface, one after the other.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Address4,
    Address6,
    Route4,
    Route6,
    Neighbour,
}

const KINDS: [Kind; 5] = [Kind::Address4, Kind::Address6, Kind::Route4, Kind::Route6, Kind::Neighbour];

impl Kind {
    /// The thing of this number; `run` tells apart those who add the same kind.
    fn name(self, run: u8, number: usize) -> String {
        let (high, low, number) = (number / 250, number % 250, number + 1);
        match self {
            Self::Address4 => format!("10.{}.{high}.{}/32", 100 + run, low + 1),
            Self::Address6 => format!("fd42:{run}::{number:x}/128"),
            Self::Route4 => format!("10.{}.{high}.{}", 150 + run, low + 1),
            Self::Route6 => format!("fd43:{run}::{number:x}"),
            Self::Neighbour => format!("10.{}.{high}.{}", 200 + run, low + 1),
        }
    }

    fn add(self, name: &str, to: &str) -> String {
        match self {
            Self::Address4 | Self::Address6 => format!("addr add {name} dev {to}"),
            Self::Route4 | Self::Route6 => format!("route add {name} dev {to}"),
            Self::Neighbour => format!("neigh add {name} lladdr 02:00:00:00:77:77 dev {to} nud permanent"),
        }
    }
}

/// How many things somebody adds at most: on a machine where moving one takes longer than adding one, as many again
/// would come while these are moved.
const MOST: usize = 400;

/// Somebody who adds one thing after the other to an interface until told to stop.
struct Adder {
    stop: Arc<AtomicBool>,
    work: JoinHandle<BTreeSet<String>>,
    kind: Kind,
}

impl Adder {
    fn start(host: &Namespace, kind: Kind, run: u8, to: &str) -> Self {
        let (stop, name, to) = (Arc::new(AtomicBool::new(false)), host.name().to_owned(), to.to_owned());
        let stopped = stop.clone();
        let work = thread::spawn(move || {
            let mut added = BTreeSet::new();
            for number in 0..MOST {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let thing = kind.name(run, number);
                let line = kind.add(&thing, &to);
                let words = line.split_whitespace();
                if command::run(Command::new("ip").args(["-n", &name]).args(words)).succeeded() {
                    added.insert(thing);
                }
            }
            added
        });
        Self { stop, work, kind }
    }

    /// One for each kind.
    fn start_all(host: &Namespace, run: u8, to: &str) -> Vec<Self> {
        KINDS.iter().map(|kind| Self::start(host, *kind, run, to)).collect()
    }

    /// What it added with success.
    fn stop(self) -> (Kind, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        (self.kind, self.work.join().unwrap())
    }
}

/// What an interface has of all kinds.
fn things_on(host: &Namespace, link: &str) -> BTreeSet<String> {
    let text = |line: &str| host.ip(line);
    let second = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let mut all = BTreeSet::new();
    for family in ["-4", "-6"] {
        let addresses = text(&format!("{family} addr show dev {link}"));
        all.extend(addresses.lines().filter(|l| l.trim_start().starts_with("inet")).filter_map(second));
        all.extend(text(&format!("{family} route show dev {link}")).lines().filter_map(first));
    }
    all.extend(text(&format!("neigh show dev {link} nud permanent")).lines().filter_map(first));
    all
}

/// Waits until all that was added is on `link`, and says what is not.
#[track_caller]
fn expect_on(host: &Namespace, link: &str, added: Vec<(Kind, BTreeSet<String>)>) {
    for (kind, things) in added {
        assert!(!things.is_empty(), "nothing of {kind:?} was added in time");
        let missing = || {
            let there = things_on(host, link);
            things.iter().filter(|thing| !there.contains(*thing)).cloned().collect::<Vec<_>>()
        };
        let found = wait::find(SOON, || missing().is_empty().then_some(()));
        assert!(found.is_some(), "{kind:?}: not on {link}, of {}: {:?}", things.len(), missing());
    }
}

fn stop_all(adders: Vec<Adder>) -> Vec<(Kind, BTreeSet<String>)> {
    adders.into_iter().map(Adder::stop).collect()
}

cases!(what_comes_during_attach_and_detach_is_moved_too: VETH_TCX, DIRECT_VETH_TCX, VETH_CLSACT);
fn what_comes_during_attach_and_detach_is_moved_too(case: Case) {
    let lab = Lab::two_ports(case);
    let adders = Adder::start_all(&lab.host, 1, "eth0");
    let outcome = lab.try_attach("");
    let on_eth0 = stop_all(adders);
    outcome.ok();
    expect_on(&lab.host, "agg0", on_eth0.clone());
    let left = things_on(&lab.host, "eth0");
    assert!(left.is_empty(), "left on eth0: {left:?}");

    let adders = Adder::start_all(&lab.host, 2, "agg0");
    let outcome = lab.host.aggctl("detach agg0");
    let on_agg0 = stop_all(adders);
    outcome.ok();
    expect_on(&lab.host, "eth0", on_agg0);
    expect_on(&lab.host, "eth0", on_eth0);
}

cases!(what_comes_to_a_port_during_detach_stays_there: VETH_TCX, DIRECT_VETH_TCX);
fn what_comes_to_a_port_during_detach_stays_there(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let adders = Adder::start_all(&lab.host, 3, "eth1");
    let outcome = lab.host.aggctl("detach agg0");
    let on_eth1 = stop_all(adders);
    outcome.ok();
    expect_on(&lab.host, "eth1", on_eth1);
}

cases!(what_comes_during_an_attach_that_fails_is_kept: VETH_TCX, DIRECT_VETH_TCX);
fn what_comes_during_an_attach_that_fails_is_kept(case: Case) {
    let lab = Lab::two_ports(case);
    // Its last step: by then the addresses have moved.
    let steps = steps_of(&lab);
    let adders = Adder::start_all(&lab.host, 4, "eth0");
    let line = lab.attach_line("");
    let outcome = lab.host.aggctl_with(&[("AGGCTL_FAULT", &format!("{}:fail", steps - 1))], &line);
    let on_eth0 = stop_all(adders);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    expect_on(&lab.host, "eth0", on_eth0);
}

cases!(what_others_give_to_an_aggregate_that_fails_goes_to_its_port: VETH_TCX, DIRECT_VETH_TCX);
fn what_others_give_to_an_aggregate_that_fails_goes_to_its_port(case: Case) {
    let lab = Lab::two_ports(case);
    let steps = steps_of(&lab);
    let adders = Adder::start_all(&lab.host, 5, "agg0");
    let line = lab.attach_line("");
    let outcome = lab.host.aggctl_with(&[("AGGCTL_FAULT", &format!("{}:fail", steps - 1))], &line);
    let on_agg0 = stop_all(adders);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let on_agg0 = on_agg0.into_iter().filter(|(_, things)| !things.is_empty()).collect();
    expect_on(&lab.host, "eth0", on_agg0);
}

/// How many steps an attach of this host has.
fn steps_of(lab: &Lab) -> usize {
    let before = HostState::of(&lab.host);
    lab.attach("");
    let record = format!("/run/aggctl/{}/agg0/record.json", lab.host.cookie());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
    record["journal"].as_array().unwrap().len()
}

cases!(what_came_just_before_the_device_was_deleted_goes_to_its_port: VETH_TCX, DIRECT_VETH_TCX, VETH_CLSACT);
fn what_came_just_before_the_device_was_deleted_goes_to_its_port(case: Case) {
    let lab = Lab::two_ports(case);
    let before = things_on(&lab.host, "eth0");
    lab.attach("");
    lab.host.ip("addr add 10.9.0.1/24 dev agg0");
    let gone = "addr del 10.9.0.1/24 dev agg0";
    let lines = [
        "addr add 10.77.0.1/24 dev agg0",
        "addr add fd77::1/64 dev agg0",
        "route add 10.78.0.0/16 via 10.77.0.9 dev agg0",
        "route add fd78::/64 via fd77::9 dev agg0",
        gone,
        "link del agg0",
    ];
    let file = std::env::temp_dir().join(format!("{}-batch", lab.host.name()));
    std::fs::write(&file, lines.join("\n")).unwrap();
    lab.host.ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    let came = ["10.77.0.1/24", "10.77.0.0/24", "fd77::1/64", "fd77::/64", "10.78.0.0/16", "fd78::/64"];
    let wanted: BTreeSet<_> = came.into_iter().map(str::to_owned).chain(before).collect();
    let found = wait::find(SOON, || (things_on(&lab.host, "eth0") == wanted).then_some(()));
    assert!(found.is_some(), "is: {:?}\nwanted: {wanted:?}", things_on(&lab.host, "eth0"));
}

/// Where the kernel keeps the sysctls of an interface.
const PLACES: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];
/// What is not copied (docs/attach-detach.md), and the coarser names of what is.
const NOT_COPIED: [&str; 6] =
    ["mc_forwarding", "mtu", "stable_secret", "base_reachable_time", "retrans_time", "unres_qlen"];

/// All sysctls of an interface that are copied.
fn settings_of(host: &Namespace, link: &str) -> BTreeMap<String, String> {
    let read = || {
        let mut all = BTreeMap::new();
        for place in PLACES {
            for entry in std::fs::read_dir(format!("/proc/sys/net/{place}/{link}")).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if !NOT_COPIED.contains(&name.as_str()) {
                    all.insert(format!("{place}/{name}"), std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        all
    };
    host.enter(read)
}

/// Gives a setting of an interface another value, if the kernel takes one.
fn change(host: &Namespace, link: &str, setting: &str, value: &str) -> bool {
    let (place, name) = setting.rsplit_once('/').unwrap();
    let path = format!("/proc/sys/net/{place}/{link}/{name}");
    let Ok(number) = value.trim().parse::<i64>() else { return false };
    // Not below zero: of some the kernel makes "-0".
    let others = [number + 1, number + 100, (number - 1).max(0)].map(|other| other.to_string());
    host.enter(|| {
        others.iter().any(|other| {
            std::fs::write(&path, other).is_ok()
                && std::fs::read_to_string(&path).is_ok_and(|now| now.trim() != value.trim())
        })
    })
}

cases!(the_aggregate_has_all_settings_of_its_first_port: VETH_TCX, DIRECT_VETH_TCX, VETH_CLSACT);
fn the_aggregate_has_all_settings_of_its_first_port(case: Case) {
    let lab = Lab::two_ports(case);
    // With these the host would lose its addresses, or make others.
    let keep = ["disable_ipv6", "addr_gen_mode", "forwarding", "accept_dad", "keep_addr_on_down"];
    let mut changed = 0;
    for (setting, value) in settings_of(&lab.host, "eth0") {
        if !keep.iter().any(|name| setting.ends_with(name)) {
            changed += usize::from(change(&lab.host, "eth0", &setting, &value));
        }
    }
    assert!(changed > 80, "the kernel took only {changed} other values");
    let wanted = settings_of(&lab.host, "eth0");
    let before = HostState::of(&lab.host);
    lab.attach("");
    let has = settings_of(&lab.host, "agg0");
    let differ = wanted.iter().filter(|(key, value)| has.get(*key).is_some_and(|other| other != *value));
    let differ: Vec<_> = differ.map(|(key, value)| (key, value.trim(), has[key].trim())).collect();
    assert!(differ.is_empty(), "setting, eth0, agg0: {differ:?}");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(the_token_is_carried: VETH_TCX, DIRECT_VETH_TCX);
fn the_token_is_carried(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.ip("token set ::77 dev eth0");
    lab.attach("");
    assert!(lab.host.ip("token get dev agg0").contains("::77"), "{}", lab.host.ip("token"));
    lab.host.aggctl("detach agg0").ok();
    assert!(lab.host.ip("token get dev eth0").contains("::77"), "{}", lab.host.ip("token"));
}
