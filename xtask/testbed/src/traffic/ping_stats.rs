//! What became of the pings of a period.

use std::time::{Duration, Instant};

use super::unsent;

/// A ping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) sent: Instant,
    pub(super) refused: bool,
    pub(super) answered: Option<Instant>,
    pub(super) answers: u64,
    /// Whether the kernel had no room to answer it.
    pub(super) unsent: bool,
}

impl Probe {
    pub(super) fn is_answered(&self) -> bool {
        self.answers > 0
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.unsent && !self.is_answered()
    }

    pub(super) fn is_lost(&self) -> bool {
        !self.is_answered() && !self.unsent
    }

    /// When it was answered; when it was sent, if the kernel had no room to answer it and the network no part in that.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        self.answered.or(self.unsent.then_some(self.sent))
    }
}

/// A moment in the life of a [`super::ping::PingStream`].
#[derive(Clone, Copy, Debug)]
pub struct PingMark {
    /// When it was.
    pub at: Instant,
    /// How many pings were sent before.
    pub(super) sent: usize,
    /// What the machine had dropped before.
    pub(super) machine_dropped: u64,
    /// What could not be answered before.
    pub(super) unsent: unsent::UnsentMark,
}

/// What became of the pings of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many were sent, or should have been.
    pub sent: u64,
    /// How many were answered.
    pub received: u64,
    /// How many were not, but for those of `unsent`.
    pub lost: u64,
    /// How many arrived and were not answered because the answering kernel had no room for answers; see [`unsent`].
    pub unsent: u64,
    /// How many answers came more than once.
    pub doubled: u64,
    /// How many of the lost ones the kernel refused to send.
    pub refused: u64,
    /// The longest time without an answer, by when they arrived: also one that began before the period, or lasts.
    pub longest_gap: Duration,
    /// The longest time between two pings sent.
    pub longest_pause: Duration,
    /// The lost ones that were sent one after the other.
    pub holes: Vec<Hole>,
    /// Frames that the machine dropped since it began, of whomever, because a processor could not work them off in
    /// time.
    pub machine_dropped: u64,
}

/// Lost pings that were sent one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// When the first was sent, counted from the first ping of the period.
    pub at: Duration,
    /// How many there are.
    pub lost: u64,
}

impl Stats {
    pub(super) fn of(all: &[Probe], from: PingMark, to: PingMark) -> Self {
        let probes = &all[from.sent..to.sent];
        let count = |such: fn(&Probe) -> bool| probes.iter().filter(|probe| such(probe)).count() as u64;
        Self {
            sent: probes.len() as u64,
            received: count(Probe::is_answered),
            lost: count(Probe::is_lost),
            unsent: count(Probe::is_unsent),
            doubled: probes.iter().map(|probe| probe.answers.saturating_sub(1)).sum(),
            refused: count(|probe| probe.refused && probe.is_lost()),
            longest_gap: longest_gap(&answers(all, from.at, to.at)),
            longest_pause: longest_gap(&probes.iter().map(|probe| probe.sent).collect::<Vec<_>>()),
            holes: holes(probes),
            machine_dropped: 0,
        }
    }
}

/// When answers came from one moment to another, with the last one before them, or the first moment if there was none,
/// and with the second moment.
fn answers(probes: &[Probe], from: Instant, to: Instant) -> Vec<Instant> {
    let mut all: Vec<Instant> = probes.iter().filter_map(Probe::silent_until).collect();
    all.sort_unstable();
    let first = all.iter().copied().rfind(|answer| *answer < from).unwrap_or(from);
    let inside = all.into_iter().filter(|answer| from <= *answer && *answer < to);
    std::iter::once(first).chain(inside).chain([to]).collect()
}

/// The longest time between two moments that follow each other.
fn longest_gap(moments: &[Instant]) -> Duration {
    moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}

/// The lost ones of these, put together where they follow each other.
fn holes(probes: &[Probe]) -> Vec<Hole> {
    let runs = probes.chunk_by(|one, other| one.is_lost() == other.is_lost());
    runs.filter(|run| run[0].is_lost())
        .map(|run| Hole { at: run[0].sent.duration_since(probes[0].sent), lost: run.len() as u64 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pings every 10 ms, answered at these milliseconds or not.
    fn probes(begin: Instant, answered: &[Option<u64>]) -> Vec<Probe> {
        let at = |ms| begin + Duration::from_millis(ms);
        let one = |(sent, answer): (u64, &Option<u64>)| Probe {
            sent: at(sent),
            refused: false,
            answered: answer.map(at),
            answers: u64::from(answer.is_some()),
            unsent: false,
        };
        (0..).step_by(10).zip(answered).map(one).collect()
    }

    /// What became of those that were sent from one moment to another.
    fn stats(probes: &[Probe], begin: Instant, [from, to]: [u64; 2]) -> Stats {
        let [from, to] = [from, to].map(|ms| {
            let at = begin + Duration::from_millis(ms);
            let sent = probes.iter().filter(|probe| probe.sent < at).count();
            PingMark { at, sent, machine_dropped: 0, unsent: unsent::UnsentMark::default() }
        });
        Stats::of(probes, from, to)
    }

    #[test]
    fn what_was_lost_is_counted_with_the_longest_silence() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), Some(11), None, None, Some(41), Some(51)]);
        let stats = stats(&probes, begin, [5, 60]);
        assert_eq!((stats.sent, stats.received, stats.lost), (5, 3, 2));
        assert_eq!((stats.longest_gap, stats.longest_pause), (Duration::from_millis(30), Duration::from_millis(10)));
        assert_eq!(stats.holes, [Hole { at: Duration::from_millis(10), lost: 2 }]);
    }

    #[test]
    fn what_there_was_no_room_to_answer_is_neither_lost_nor_silence() {
        let begin = Instant::now();
        let mut probes = probes(begin, &[Some(1), None, None, None, Some(41)]);
        probes[1].unsent = true;
        probes[2].unsent = true;
        let stats = stats(&probes, begin, [0, 50]);
        assert_eq!((stats.sent, stats.received, stats.lost, stats.unsent), (5, 2, 1, 2));
        assert_eq!(stats.longest_gap, Duration::from_millis(21));
        assert_eq!(stats.holes, [Hole { at: Duration::from_millis(30), lost: 1 }]);
    }

    #[test]
    fn silence_that_lasts_is_counted_until_the_end() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), None, None]);
        let stats = stats(&probes, begin, [0, 100]);
        assert_eq!((stats.sent, stats.lost, stats.longest_gap), (3, 2, Duration::from_millis(99)));
    }

    #[test]
    fn silence_that_began_before_is_counted_from_its_beginning() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), None, None, Some(32)]);
        assert_eq!(stats(&probes, begin, [15, 40]).longest_gap, Duration::from_millis(31));
    }
}
