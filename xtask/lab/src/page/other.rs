//! The tables of what is not a cost for each frame: flows, failovers, connections, the controller.

use super::tables::table;
use crate::{
    figures::Figures,
    job::{FailoverJob, ThroughputJob},
    outcome::{Failover, Moves, Throughput},
    question::{Clock, Contender, Setup, Traffic, TransferKind},
    schedule::SMALL_V4,
};

/// Each with its heading, those that there are figures of.
pub fn write(figures: &Figures) -> String {
    let sections = [
        ("Which flows move when a port leaves", LEAVES, leaves(figures)),
        ("How even the ports are used", EVEN, even(figures)),
        ("The same port as bonding", PARITY, parity(figures)),
        ("A cable is cut", FAILOVER, failovers(figures)),
        ("TCP", TCP, throughputs(figures, TransferKind::Tcp)),
        ("UDP", UDP, throughputs(figures, TransferKind::Udp)),
        ("Two processors", TWO, on_the_wall(figures)),
        ("Our programs", PROGRAMS, profiles(figures)),
        ("The controller", CONTROLLER, loads(figures)),
    ];
    let section = |(heading, text, table): (&str, &str, String)| format!("\n### {heading}\n\n{text}\n\n{table}");
    sections.into_iter().filter(|(.., table)| !table.is_empty()).map(section).collect()
}

const LEAVES: &str = "One port leaves (its cable is cut) and returns. The flows that were on it must move; *others* \
                      are flows that moved though their port was well, *not back* those that take another port in the \
                      end than in the beginning.";
const EVEN: &str =
    "The smallest and the largest share of the flows that a port got, as a part of an even share (1.00), over 4 ports.";
const PARITY: &str = "With `--table kernel-compat`: flows that take the same port as with bonding.";
const FAILOVER: &str = "Active-backup over 2 ports; the cable of the active one is cut at its far end while numbered \
                        datagrams are sent. *Gap* is from the last frame on that port to the first on the other one, \
                        *lost* what never arrived. *No controller*: it and its guardian were killed before; over a \
                        driver that one then chooses. The clock is the machine's: a processor of a thousand million \
                        instructions a second. A cut *veth* cable tells the kernel at once. Real cards need not do \
                        that, and *tap* devices do not: the kernel gathers the news of lost carriers for up to a \
                        second, except for ports of its own drivers (bonding, team).";
const TCP: &str = "One connection over active-backup, in Mbit/s, and as a multiple of bonding's. The clock is the \
                   machine's, so these are bits for every 1000 instructions of its one processor, which does the work \
                   of both ends.";
const UDP: &str = "The smallest datagrams over active-backup, thousands that arrive in a second of the machine's \
                   clock: datagrams for every million instructions of its one processor, which does the work of both \
                   ends.";
const TWO: &str = "The same in a machine with two processors, one for each end, over active-backup. Two processors \
                   have no common count of instructions, so this is the time of this world, in which other work \
                   disturbs: medians of several rounds, as multiples, and only large differences mean something.";
const PROGRAMS: &str = "What our own programs take of a frame's cost over the bare port, by the kernel's account of \
                        programs; the rest is the way that frames go. The account reads a clock, whose cost is taken \
                        off, to about ten instructions. The call that redirects the frame is part of the program.";
const CONTROLLER: &str = "Active-backup. Work is in millions of instructions a second: 10 would be 1 % of a processor \
                          of a thousand million. *Flapping*: all ports lose their carriers and get them back once a \
                          second. *Attach* is in milliseconds of such a processor.";

fn row(values: impl IntoIterator<Item = String>) -> Vec<String> {
    values.into_iter().collect()
}

fn head(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// A table, or nothing if it has no rows.
fn filled(words: &[&str], rows: Vec<Vec<String>>, text: usize) -> String {
    if rows.is_empty() { String::new() } else { table(head(words), rows, text) }
}

fn leaves(figures: &Figures) -> String {
    let rows = figures.spreads.iter().filter_map(|spread| {
        let Moves { own, others, not_back } = spread.moves?;
        let Setup { contender, ports, .. } = spread.job.setup;
        let part = |count: u64| format!("{:.1} %", share(count, spread.job.flows.into()) * 100.0);
        Some(row([contender.to_string(), ports.to_string(), part(own), part(others), part(not_back)]))
    });
    filled(&["", "ports", "on that port", "others", "not back"], rows.collect(), 1)
}

fn even(figures: &Figures) -> String {
    let all = figures.spreads.iter().filter(|spread| spread.moves.is_none() && spread.same_as_bonding.is_none());
    let rows = all.filter_map(|spread| {
        let part = |count: &u64| format!("{:.2}", share(*count, spread.job.flows.into()) * count_of(&spread.shares));
        let (least, most) = (spread.shares.iter().min()?, spread.shares.iter().max()?);
        Some(row([spread.job.setup.contender.to_string(), spread.job.flows.to_string(), part(least), part(most)]))
    });
    filled(&["", "flows", "smallest", "largest"], rows.collect(), 1)
}

fn parity(figures: &Figures) -> String {
    let rows = figures.spreads.iter().filter_map(|spread| {
        let same = spread.same_as_bonding?;
        Some(row([spread.job.setup.contender.to_string(), spread.job.flows.to_string(), same.to_string()]))
    });
    filled(&["", "flows", "same port"], rows.collect(), 1)
}

/// What cut cables cost.
pub fn failovers(figures: &Figures) -> String {
    let rows = figures.failovers.iter().map(|failover| {
        let FailoverJob { setup, cable, poll, rate, trials, orphaned } = failover.job;
        let name = match (setup.contender, poll) {
            (contender, _) if orphaned => format!("{contender}, no controller"),
            (Contender::Bonding, Some(poll)) => format!("bonding, miimon {poll}"),
            (contender, Some(poll)) => format!("{contender}, poll {poll}"),
            (contender, None) => contender.to_string(),
        };
        let [gap, late] = [50, 99].map(|part| format!("{:.1}", percentile(&failover.gap_ms, part)));
        let [lost, worst] = [50, 99].map(|part| format!("{:.0}", percentile(&lost(failover), part)));
        row([name, cable.to_string(), rate.to_string(), trials.to_string(), gap, late, lost, worst])
    });
    let words = ["", "cable", "frames/s", "trials", "gap, median ms", "99 %", "lost, median", "99 %"];
    filled(&words, rows.collect(), 2)
}

fn lost(failover: &Failover) -> Vec<f64> {
    failover.lost.iter().map(|lost| f64::from(*lost)).collect()
}

/// What went through on the clock that counts instructions.
fn throughputs(figures: &Figures, transport: TransferKind) -> String {
    let all = figures.throughputs.iter();
    let rows = all.filter(|one| one.job.clock == Clock::Instructions && one.job.transport == transport).map(|one| {
        let words = [one.job.setup.contender.to_string(), on(one.job.offloads), one.direction.to_string()];
        row(words.into_iter().chain([format!("{:.0}", one.rate), times(figures, one, Contender::Bonding)]))
    });
    let unit = match transport {
        TransferKind::Tcp => "Mbit/s",
        TransferKind::Udp => "thousands/s",
    };
    filled(&["", "offloads", "", unit, "times bonding"], rows.collect(), 3)
}

/// What went through on the clock on the wall.
pub fn on_the_wall(figures: &Figures) -> String {
    let rows = figures.throughputs.iter().filter(|one| one.job.clock == Clock::Wall).map(|one| {
        let ThroughputJob { setup, transport, offloads, .. } = one.job;
        let words = [setup.contender.to_string(), transport.to_string(), on(offloads), one.direction.to_string()];
        row(words.into_iter().chain([Contender::Bare, Contender::Bonding].map(|other| times(figures, one, other))))
    });
    filled(&["", "", "offloads", "", "times bare port", "times bonding"], rows.collect(), 4)
}

fn on(yes: bool) -> String {
    if yes { "on" } else { "off" }.to_owned()
}

/// As a multiple of what went through with another contender.
fn times(figures: &Figures, one: &Throughput, other: Contender) -> String {
    let same = |job: &ThroughputJob| ThroughputJob { setup: job.setup, ..one.job } == *job;
    let mut all = figures.throughputs.iter().filter(|one| one.job.setup.contender == other && same(&one.job));
    let rate = all.find(|other| other.direction == one.direction).map(|other| other.rate);
    rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.2}", one.rate / rate))
}

fn profiles(figures: &Figures) -> String {
    let rows = figures.profiles.iter().filter_map(|profile| {
        let own = profile.inside - profile.account / 2.0;
        let all = figures.over_bare(&profile.setup, &Traffic { direction: profile.direction, ..SMALL_V4 })?;
        let Setup { contender, mode, .. } = profile.setup;
        let share = format!("{:.0} %", own / all * 100.0);
        let words = [contender.to_string(), mode.to_string(), profile.direction.to_string()];
        Some(row(words.into_iter().chain([
            format!("{:.1}", profile.runs),
            format!("{own:.0}"),
            format!("{all:.0}"),
            share,
        ])))
    });
    filled(&["", "mode", "", "runs", "programs", "all", "share"], rows.collect(), 3)
}

fn loads(figures: &Figures) -> String {
    let rows = figures.loads.iter().map(|load| {
        let [controller, guardian] = load.resident_kib.map(|kib| format!("{kib}"));
        let Setup { contender, ports, .. } = load.setup;
        row([
            contender.to_string(),
            ports.to_string(),
            format!("{:.0}", load.attach_ms),
            controller,
            guardian,
            format!("{:.1}", load.idle),
            format!("{:.1}", load.flapping),
        ])
    });
    let words = ["", "ports", "attach, ms", "memory, KiB", "guardian, KiB", "work, idle", "work, flapping"];
    filled(&words, rows.collect(), 1)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of flows are small")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn count_of(shares: &[u64]) -> f64 {
    u32::try_from(shares.len()).map_or(f64::NAN, f64::from)
}

/// The value below or at which so many percent of the values are.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn the_last_of_fifty_is_the_99th_percentile_and_the_25th_is_the_median() {
        let values: Vec<f64> = (1..=50).map(f64::from).collect();
        assert_eq!([50, 99].map(|percent| percentile(&values, percent)), [25.0, 50.0]);
    }
}
