//! Which measurements there are, and how they are shared out among machines.

use super::{
    agent::Job,
    cost::CostJob,
    failover::FailoverJob,
    question::{Contender, Direction, Mode, Protocol, Setup, Size, Traffic, Wiring},
    spread::SpreadJob,
    throughput::ThroughputJob,
};

/// Frames for each figure: so many that an interrupt more or less does not show.
const PACKETS: u32 = 40_000;
/// The same when it must be quick.
const QUICK_PACKETS: u32 = 10_000;
/// How many ports there are, when what is asked is not how that matters.
const PORTS: u8 = 2;
/// How many ports there are, when that is what is asked.
const MANY_PORTS: [u8; 4] = [4, 8, 16, 32];
/// How many flows there are, when that is what is asked. 1 is in [`plain`].
const MANY_FLOWS: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

/// How many ports there are before one leaves, and how many flows.
const LEAVE_PORTS: [u8; 3] = [2, 4, 8];
const LEAVE_FLOWS: u32 = 10_000;
/// How many flows there are where their shares are asked for, and over how many ports.
const EVEN_FLOWS: [u32; 3] = [100, 1_000, 100_000];
const EVEN_PORTS: u8 = 4;
/// Frames in a second while a cable is cut.
const RATES: [u32; 2] = [1_000, 10_000];
/// How many ports a controller looks after.
const CONTROLLER_PORTS: [u8; 2] = [2, 64];

/// The usual setup and traffic.
pub const SMALL_V4: Traffic = Traffic { direction: Direction::Tx, protocol: Protocol::V4, size: Size::Small, flows: 1 };

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// What `--check` compares: each mode and direction, short frames.
    Check,
    /// The same, with fewer frames.
    Quick,
}

/// What one machine does.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// For people.
    pub name: String,
    /// One after the other.
    pub jobs: Vec<Job>,
}

/// All groups.
pub fn groups(extent: Extent, trials: u32) -> Vec<Group> {
    match extent {
        Extent::Quick | Extent::Check => vec![Group {
            name: "all modes, short frames".to_owned(),
            jobs: Mode::ALL.into_iter().flat_map(|mode| both_ways(mode, packets(extent))).collect(),
        }],
        Extent::Full => {
            let kinds = Mode::ALL.map(|mode| Group { name: format!("{mode}: kinds of frames"), jobs: kinds(mode) });
            let scale = [Mode::Hash, Mode::RoundRobin]
                .map(|mode| Group { name: format!("{mode}: number of ports and flows"), jobs: scale(mode) });
            let others = [
                ("flows: which port they take", flows()),
                ("failover", failover(trials)),
                ("throughput of TCP", throughput()),
                ("controller", controller()),
                ("programs", programs()),
            ];
            let others = others.map(|(name, jobs)| Group { name: name.to_owned(), jobs });
            kinds.into_iter().chain(scale).chain(others).collect()
        }
    }
}

const fn packets(extent: Extent) -> u32 {
    match extent {
        Extent::Full | Extent::Check => PACKETS,
        Extent::Quick => QUICK_PACKETS,
    }
}

fn direct(direction: Direction) -> Traffic {
    Traffic { direction, ..SMALL_V4 }
}

fn both_ways(mode: Mode, packets: u32) -> Vec<Job> {
    compared(mode, PORTS, &[direct(Direction::Tx), direct(Direction::Rx)], packets)
}

/// Every kind of frame.
fn kinds(mode: Mode) -> Vec<Job> {
    let mut traffic = Vec::new();
    for direction in [Direction::Tx, Direction::Rx] {
        for protocol in Protocol::ALL {
            traffic.extend(Size::ALL.map(|size| Traffic { direction, protocol, size, flows: 1 }));
        }
    }
    compared(mode, PORTS, &traffic, PACKETS)
}

/// Growing numbers of ports, and of flows.
fn scale(mode: Mode) -> Vec<Job> {
    let flows: Vec<Traffic> = MANY_FLOWS.into_iter().map(|flows| Traffic { flows, ..SMALL_V4 }).collect();
    let mut jobs = compared(mode, PORTS, &flows, PACKETS);
    for ports in MANY_PORTS {
        let traffic = [Traffic { flows: 1_000, ..SMALL_V4 }, direct(Direction::Rx)];
        jobs.extend(compared(mode, ports, &traffic, PACKETS));
    }
    jobs
}

/// Which ports flows take, how even that is, what moves, and whether it can be as bonding's.
fn flows() -> Vec<Job> {
    let setup = |contender, ports| Setup { contender, mode: Mode::Hash, ports };
    let mut jobs = Vec::new();
    for contender in Contender::AGGREGATES {
        for ports in LEAVE_PORTS {
            jobs.push(SpreadJob { setup: setup(contender, ports), flows: LEAVE_FLOWS, leave: true, parity: false });
        }
        for flows in EVEN_FLOWS {
            jobs.push(SpreadJob { setup: setup(contender, EVEN_PORTS), flows, leave: false, parity: false });
        }
        if matches!(contender, Contender::Aggctl(_)) {
            jobs.push(SpreadJob {
                setup: setup(contender, EVEN_PORTS),
                flows: LEAVE_FLOWS,
                leave: false,
                parity: true,
            });
        }
    }
    jobs.into_iter().map(Job::Spread).collect()
}

fn failover(trials: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for contender in Contender::AGGREGATES {
        let setup = Setup { contender, mode: Mode::ActiveBackup, ports: PORTS };
        // As it comes, and for bonding also as often as ours looks.
        let polls = if contender == Contender::Bonding { &[Some(100), Some(10)][..] } else { &[None] };
        for poll in polls.iter().copied() {
            jobs.extend(RATES.map(|rate| Job::Failover(FailoverJob { setup, poll, rate, trials })));
        }
    }
    jobs
}

fn throughput() -> Vec<Job> {
    let bare = (Contender::Bare, 1);
    let all = std::iter::once(bare).chain(Contender::AGGREGATES.map(|contender| (contender, PORTS)));
    let job = |(contender, ports), offloads| {
        Job::Throughput(ThroughputJob { setup: Setup { contender, mode: Mode::ActiveBackup, ports }, offloads })
    };
    all.flat_map(|which| [true, false].map(|offloads| job(which, offloads))).collect()
}

fn controller() -> Vec<Job> {
    let job =
        |wiring, ports| Job::Load(Setup { contender: Contender::Aggctl(wiring), mode: Mode::ActiveBackup, ports });
    Wiring::ALL.into_iter().flat_map(|wiring| CONTROLLER_PORTS.map(|ports| job(wiring, ports))).collect()
}

fn programs() -> Vec<Job> {
    let setup = |wiring, mode| Setup { contender: Contender::Aggctl(wiring), mode, ports: PORTS };
    Mode::ALL.into_iter().flat_map(|mode| Wiring::ALL.map(|wiring| Job::Profile(setup(wiring, mode)))).collect()
}

/// What can be measured on a clock of this world: connections again and again, and cut cables.
pub fn here(rounds: u32, trials: u32) -> Vec<Group> {
    let round = |round| Group { name: format!("throughput of TCP, round {round} of {rounds}"), jobs: throughput() };
    let failover = Group { name: "failover".to_owned(), jobs: failover(trials) };
    (1..=rounds).map(round).chain(std::iter::once(failover)).collect()
}

/// The same for all contenders, with the bare port first and last: the two must agree.
fn compared(mode: Mode, ports: u8, traffic: &[Traffic], packets: u32) -> Vec<Job> {
    let bare = (Contender::Bare, 1);
    let contenders = Contender::AGGREGATES.map(|contender| (contender, ports));
    let order = std::iter::once(bare).chain(contenders).chain(std::iter::once(bare));
    let job = |(contender, ports)| {
        let setup = Setup { contender, mode, ports };
        Job::Cost(CostJob { setup, traffic: traffic.to_vec(), packets })
    };
    order.map(job).collect()
}
