//! Which measurements there are, and how they are shared out among machines.

use super::{
    job::{CostJob, FailoverJob, Job, SpreadJob, ThroughputJob},
    question::{Cable, Clock, Contender, Direction, Encapsulation, Mode, Setup, Size, Traffic, TransferKind, Wiring},
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
/// How often everything is measured on the wall's clock: the median counts.
const ROUNDS: u32 = 3;
/// How many ports a controller looks after.
const CONTROLLER_PORTS: [u8; 2] = [2, 64];

/// The usual setup and traffic.
pub const SMALL_V4: Traffic =
    Traffic { direction: Direction::Tx, protocol: Encapsulation::V4, size: Size::Small, flows: 1, held: true };

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabExtent {
    /// Everything.
    Full,
    /// What `--check` compares: each mode and direction, short frames.
    Check,
    /// The same, with fewer frames.
    Quick,
}

/// What one machine does.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineJobs {
    /// For people.
    pub name: String,
    /// What measures its time: [`Clock::Wall`] wants a machine with two processors.
    pub clock: Clock,
    /// One after the other.
    pub jobs: Vec<Job>,
}

impl MachineJobs {
    fn new(name: impl Into<String>, jobs: Vec<Job>) -> Self {
        Self { name: name.into(), clock: Clock::Instructions, jobs }
    }
}

/// All groups.
pub fn groups(extent: LabExtent, trials: u32) -> Vec<MachineJobs> {
    match extent {
        LabExtent::Quick | LabExtent::Check => vec![short(packets(extent))],
        LabExtent::Full => {
            let kinds = Mode::ALL.map(|mode| MachineJobs::new(format!("{mode}: kinds of frames"), kinds(mode)));
            let scale = [Mode::Hash, Mode::RoundRobin]
                .map(|mode| MachineJobs::new(format!("{mode}: number of ports and flows"), scale(mode)));
            let others = [
                MachineJobs::new("flows: which port they take", flows()),
                MachineJobs::new("failover on veth", failover(Cable::Veth, trials)),
                MachineJobs::new("failover on tap", failover(Cable::Tap, trials)),
                MachineJobs::new("throughput", throughput(Cable::Veth, Clock::Instructions)),
                MachineJobs::new("controller", controller()),
                MachineJobs::new("programs", programs()),
            ];
            let kinds = std::iter::once(short(PACKETS)).chain(kinds);
            kinds.chain(scale).chain(others).chain(rounds("two processors", ROUNDS, Cable::Veth)).collect()
        }
    }
}

/// Short frames in every mode, held and not.
fn short(packets: u32) -> MachineJobs {
    MachineJobs::new(
        "all modes, short frames",
        Mode::ALL.into_iter().flat_map(|mode| both_ways(mode, packets)).collect(),
    )
}

const fn packets(extent: LabExtent) -> u32 {
    match extent {
        LabExtent::Full | LabExtent::Check => PACKETS,
        LabExtent::Quick => QUICK_PACKETS,
    }
}

fn direct(direction: Direction) -> Traffic {
    Traffic { direction, ..SMALL_V4 }
}

fn both_ways(mode: Mode, packets: u32) -> Vec<Job> {
    let ways = [Direction::Tx, Direction::Rx];
    let traffic = ways.map(|direction| [true, false].map(|held| Traffic { held, ..direct(direction) }));
    compared(mode, PORTS, &traffic.concat(), packets)
}

/// Every kind of frame.
fn kinds(mode: Mode) -> Vec<Job> {
    let mut traffic = Vec::new();
    for direction in [Direction::Tx, Direction::Rx] {
        for protocol in Encapsulation::ALL {
            traffic.extend(Size::ALL.map(|size| Traffic { direction, protocol, size, flows: 1, held: true }));
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

fn failover(cable: Cable, trials: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for contender in Contender::AGGREGATES {
        let setup = Setup { contender, mode: Mode::ActiveBackup, ports: PORTS };
        // As it comes, and for bonding also as often as ours looks.
        let polls = if contender == Contender::Bonding { &[Some(100), Some(10)][..] } else { &[None] };
        let orphaned = matches!(contender, Contender::Aggctl(_)).then_some((None, true));
        for (poll, orphaned) in polls.iter().map(|poll| (*poll, false)).chain(orphaned) {
            jobs.extend(RATES.map(|rate| Job::Failover(FailoverJob { setup, cable, poll, rate, trials, orphaned })));
        }
    }
    jobs
}

fn throughput(cable: Cable, clock: Clock) -> Vec<Job> {
    let bare = (Contender::Bare, 1);
    let all = std::iter::once(bare).chain(Contender::AGGREGATES.map(|contender| (contender, PORTS)));
    let job = |(contender, ports), (transport, offloads)| {
        let setup = Setup { contender, mode: Mode::ActiveBackup, ports };
        Job::Throughput(ThroughputJob { setup, cable, transport, offloads, clock })
    };
    let kinds = [(TransferKind::Tcp, true), (TransferKind::Tcp, false), (TransferKind::Udp, true)];
    all.flat_map(|which| kinds.map(|kind| job(which, kind))).collect()
}

/// What goes through on the wall's clock, again and again.
fn rounds(name: &str, rounds: u32, cable: Cable) -> Vec<MachineJobs> {
    let round = |round| {
        let name = format!("{name}: round {round} of {rounds}");
        MachineJobs { name, clock: Clock::Wall, jobs: throughput(cable, Clock::Wall) }
    };
    (1..=rounds).map(round).collect()
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

/// What can be measured on a clock of this world: what goes through, and cut cables. On the cables that are borrowed,
/// if there are any.
pub fn here(rounds: u32, trials: u32, borrowed: bool) -> Vec<MachineJobs> {
    let cables = if borrowed { &[Cable::Borrowed][..] } else { &[Cable::Veth, Cable::Tap] };
    let mut groups = self::rounds("throughput", rounds, cables[0]);
    for cable in cables {
        groups.push(MachineJobs::new(format!("failover ({cable})"), failover(*cable, trials)));
    }
    groups
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
