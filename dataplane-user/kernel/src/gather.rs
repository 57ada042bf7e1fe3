//! Looking again, until nothing is left to move: what others added while a plan was carried out.

use aggctl_common::IfIndex;
use aggctl_engine::{
    arrivals::Arrivals,
    host::Host,
    plan::{self, Layer3Step, LinkStep, ProgramStep, Step},
    record::{JournalEntry, Layer3, Phase, PortRecord, Record},
};
use tracing::{debug, warn};

use crate::{
    error::KernelError,
    execute::Executor,
    left::Leftovers,
    snapshot::glance,
    state::Store,
    transaction::{self, TransactionError},
};

/// How often is looked again at most, as long as each time less has come than the time before: somebody who adds faster
/// than it can be moved, or never stops, is waited for by nobody.
pub const ROUNDS: usize = 4;

/// What came of looking again.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What could not be moved, in words.
    pub left: Vec<String>,
    /// Whether nothing more came at last.
    pub complete: bool,
}

/// Moves to the aggregate what came to its ports since the executor began to listen, and what is still there. The steps
/// are journalled like those of the attach.
///
/// # Errors
///
/// If the host cannot be looked at; on an attach also if the journal cannot be written.
pub fn to_aggregate(
    store: &Store,
    record: &mut Record,
    executor: &mut Executor,
    rounds: usize,
) -> Result<Gathered, TransactionError> {
    // An aggregate that runs depends on nothing that can be written.
    let runs = record.phase == Phase::Attached;
    let carry_out = if runs { transaction::resume } else { transaction::run };
    let write = |record: &mut Record| match store.save(record) {
        Err(error) if runs => {
            warn!(%error, "cannot write down what is moved");
            Ok(())
        }
        other => other.map(|_| ()),
    };
    let mut failed = Vec::new();
    let mut left = Vec::new();
    let mut fewest = usize::MAX;
    for _ in 0..rounds {
        let (mut host, arrivals) = executor.look()?;
        failed.iter().for_each(|step| leave_out(&mut host, step));
        let steps = plan::gather(&host, record);
        if steps.is_empty() {
            return Ok(Gathered { left, complete: true });
        }
        debug!(steps = steps.len(), "more came to the ports");
        if steps.len() >= fewest {
            break;
        }
        fewest = steps.len();
        let count = record.journal.len();
        plan::note_origins(record, &steps);
        record.journal.extend(steps.into_iter().map(JournalEntry::planned));
        write(record)?;
        match carry_out(store, record, executor) {
            Ok(()) => {
                record.ports.iter().filter_map(|port| port.index).for_each(|link| executor.forget(&arrivals, link));
            }
            Err(TransactionError::Step(error)) => {
                // Without what failed, in the next round.
                let begun = record.journal.iter().position(|entry| !entry.begun).unwrap_or(record.journal.len());
                record.journal.truncate(begun);
                write(record)?;
                if let Some(entry) = record.journal.get(begun.max(count + 1) - 1) {
                    failed.push(entry.step.clone());
                }
                left.push(format!("what came meanwhile stays where it is: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Gathered { left, complete: false })
}

/// Takes out of a picture what a step that failed was about.
fn leave_out(host: &mut Host, step: &Step) {
    let Step::Layer3(step) = step else { return };
    match step {
        Layer3Step::Address { address, .. } => {
            host.addresses.retain(|other| (other.local, other.prefix_len) != (address.local, address.prefix_len));
        }
        Layer3Step::Route { route, .. } => host.routes.retain(|other| other != route),
        Layer3Step::Neighbour { neighbour, .. } => {
            host.neighbours.retain(|other| other.address != neighbour.address);
        }
        Layer3Step::Nexthop { nexthop, .. } => host.nexthops.retain(|other| other.id != nexthop.id),
    }
}

/// Carries out the steps of a detach up to the removal of the aggregate, looks again until the aggregate has nothing
/// that a port should get, removes it, and gives to the ports what came to it at the last moment. Never stops at an
/// error.
pub fn to_ports(record: &mut Record, steps: &[Step], executor: &mut Executor, left: &mut Leftovers) {
    let (moves, removal) = steps.split_at(removal_of(steps));
    left.carry_out(moves, executor);
    let is_device = |step: &Step| matches!(step, Step::Link(LinkStep::Pair { .. } | LinkStep::Bond { .. }));
    let exists = removal.iter().any(is_device);
    let mut fewest = usize::MAX;
    for _ in 0..ROUNDS {
        match more_to_move(record, executor) {
            // What is not moved now is given to the ports when the device is gone.
            Ok(Some((more, arrivals))) if exists && more.len() < fewest => {
                executor.forget(&arrivals, record.index);
                left.carry_out(&more, executor);
                fewest = more.len();
            }
            Ok(_) => break,
            Err(error) => {
                left.note_error(&error);
                break;
            }
        }
    }
    left.carry_out(removal, executor);
    if exists && let Err(error) = last_moment(record, executor, left) {
        left.note_error(&error);
    }
    restore(record, &record.ports, executor, left);
}

/// The steps that are needed because something came to the aggregate, and all that came; `None` if nothing did.
fn more_to_move(record: &Record, executor: &mut Executor) -> Result<Option<(Vec<Step>, Arrivals)>, KernelError> {
    let (host, arrivals) = executor.look()?;
    if !plan::is_left(&host, record) {
        return Ok(None);
    }
    let steps = moves(&host, record);
    debug!(steps = steps.len(), "more came to the aggregate");
    Ok(Some((steps, arrivals)))
}

/// Gives to the ports what came to the aggregate after the last look, and went with it.
fn last_moment(record: &mut Record, executor: &mut Executor, left: &mut Leftovers) -> Result<(), KernelError> {
    let (_, arrivals) = executor.look()?;
    let host = glance(&mut executor.netlink)?;
    record.last_seen = plan::given(&host, record, record.index, &arrivals.of(record.index));
    if record.last_seen != Layer3::default() {
        left.carry_out(&moves(&host, record), executor);
    }
    Ok(())
}

/// The steps of a detach that move something: all before the removal of the aggregate.
fn moves(host: &Host, record: &Record) -> Vec<Step> {
    // Only a detach that may be refused can fail.
    let mut steps = plan::detach(host, record, true).unwrap_or_default();
    steps.truncate(removal_of(&steps));
    steps
}

/// Where in the steps of a detach the removal of the aggregate begins: with its programs, if they go just before it.
fn removal_of(steps: &[Step]) -> usize {
    let is_removal = |step: &Step| {
        matches!(
            step,
            Step::Program(ProgramStep::Maps { .. })
                | Step::Link(LinkStep::Pair { .. } | LinkStep::Bond { .. } | LinkStep::Namespace { .. })
        )
    };
    let is_program = |step: &&Step| matches!(step, Step::Program(ProgramStep::Tx { .. } | ProgramStep::Relay { .. }));
    let removal = steps.iter().position(is_removal).unwrap_or(steps.len());
    removal - steps[..removal].iter().rev().take_while(is_program).count()
}

/// What others gave to the aggregate during an attach that is being undone, on its way to a port.
#[derive(Debug)]
pub struct Return {
    aggregate: IfIndex,
    done: Vec<Step>,
}

impl Return {
    /// For the aggregate that is there now; nothing is to be done if none is.
    pub fn of(executor: &mut Executor) -> Self {
        let aggregate = executor.pair().map_or(IfIndex::NONE, |(aggregate, _)| aggregate);
        Self { aggregate, done: Vec::new() }
    }

    /// Gives to a port what the aggregate, of which all that is ours was taken, still has or had.
    pub fn hand_back(&mut self, record: &Record, executor: &mut Executor, left: &mut Leftovers) {
        if self.aggregate == IfIndex::NONE {
            return;
        }
        for _ in 0..ROUNDS {
            let mut steps = match executor.look() {
                Ok((host, _)) => {
                    let what = Layer3::of(&host, self.aggregate);
                    plan::hand_back(&host, record, self.aggregate, &what)
                }
                Err(error) => return left.note_error(&error),
            };
            steps.retain(|step| !self.done.contains(step));
            if steps.is_empty() {
                return;
            }
            left.carry_out(&steps, executor);
            self.done.extend(steps);
        }
    }
}

/// Gives to ports again what came to them and was flushed.
pub fn restore(record: &Record, ports: &[PortRecord], executor: &mut Executor, left: &mut Leftovers) {
    executor.receive_events(false);
    let arrivals = executor.arrivals();
    match glance(&mut executor.netlink) {
        Ok(host) => {
            left.carry_out(&plan::restore_arrivals(&host, record, ports, |link| arrivals.of(link)), executor);
        }
        Err(error) => left.note_error(&error),
    }
}
