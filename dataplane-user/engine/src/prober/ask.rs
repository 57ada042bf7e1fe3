//! A watch that asks neighbours.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use aggctl_common::{Mac, vlan::VlanId};

use crate::{
    probe::{self, Asker, ProbeProtocol, ReceivedProbe},
    status::TargetStatus,
    vlan::VlanConfig,
    watches::{Counts, WatchConfig, WatchKind},
};

/// A watch of kind `arp` or `ns`.
#[derive(Debug)]
pub(super) struct TargetWatch {
    watch: WatchConfig,
    /// When the next questions are due.
    due: Duration,
    targets: Vec<Target>,
}

/// Somebody who is asked.
#[derive(Debug)]
struct Target {
    address: IpAddr,
    reached: bool,
    /// Whether it was asked and nothing came since.
    waits: bool,
    /// Questions in a row without answer, each with a whole interval for it.
    missed: u8,
    asked: u64,
    answers: u64,
    answered: Option<Duration>,
    mac: Option<Mac>,
}

impl Target {
    fn answer(&mut self, now: Duration, mac: Option<Mac>) {
        (self.reached, self.waits, self.missed) = (true, false, 0);
        self.answers += 1;
        self.answered = Some(now);
        self.mac = mac.or(self.mac);
    }
}

impl TargetWatch {
    pub fn begin(now: Duration, watch: WatchConfig, trusted: bool) -> Self {
        let target = |address: &IpAddr| Target {
            address: *address,
            reached: trusted,
            waits: false,
            missed: 0,
            asked: 0,
            answers: 0,
            answered: None,
            mac: None,
        };
        let targets = watch.targets.iter().map(target).collect();
        let due = now + Duration::from_millis(watch.init_wait_ms.into());
        Self { watch, due, targets }
    }

    pub fn watch(&self) -> &WatchConfig {
        &self.watch
    }

    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.watch.interval_ms.into())
    }

    /// When the next turn is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// The link is up again after a moment that does not count.
    pub fn go_on(&mut self, now: Duration) {
        self.due = self.due.max(now + Duration::from_millis(self.watch.init_wait_ms.into()));
        self.targets.iter_mut().for_each(|target| target.waits = false);
    }

    /// Counts what was missed and asks again, if it is time to.
    pub fn turn(&mut self, now: Duration, asker: Asker, rule: &VlanConfig) -> Vec<Vec<u8>> {
        if self.due > now {
            return Vec::new();
        }
        let (vlan, most) = (self.watch.vlan, self.watch.missed_max);
        let mut frames = Vec::new();
        for target in &mut self.targets {
            if target.waits {
                target.missed = target.missed.saturating_add(1);
                target.reached &= target.missed < most;
            }
            (target.waits, target.asked) = (true, target.asked + 1);
            frames.extend(on_wire(asker, target.address, vlan, rule));
        }
        // On the grid of the first question, however late this turn is; what was not asked was not missed.
        let interval = self.interval().max(Duration::from_millis(1));
        let late = now.saturating_sub(self.due).as_nanos() / interval.as_nanos();
        self.due += interval * u32::try_from(late).unwrap_or(u32::MAX).saturating_add(1);
        frames
    }

    /// Takes in a frame that the port received.
    pub fn on_received(
        &mut self,
        now: Duration,
        received: &ReceivedProbe,
        asker: Mac,
        carries: bool,
        rule: &VlanConfig,
    ) {
        let protocol = if self.watch.kind == WatchKind::Arp { ProbeProtocol::Arp } else { ProbeProtocol::Nd };
        if received.protocol != protocol {
            return;
        }
        match self.watch.validate.on(carries) {
            Counts::Answers => {
                let Some(answer) = received.answer.filter(|answer| answer.asker == asker && answer.mac != asker) else {
                    return;
                };
                let Some(target) = self.targets.iter_mut().find(|target| target.address == answer.target) else {
                    return;
                };
                let asker = Asker { mac: asker, source: Ipv4Addr::UNSPECIFIED };
                let asked = on_wire(asker, target.address, self.watch.vlan, rule);
                if asked.is_some_and(|question| probe::vlan_of(&question) == received.vlan) {
                    target.answer(now, Some(answer.mac));
                }
            }
            Counts::Protocol => self.targets.iter_mut().for_each(|target| target.answer(now, None)),
            Counts::Anything => {}
        }
    }

    /// The port received something, whatever it was.
    pub fn received(&mut self, now: Duration, carries: bool) {
        if self.watch.validate.on(carries) == Counts::Anything {
            self.targets.iter_mut().for_each(|target| target.answer(now, None));
        }
    }

    pub fn is_up(&self) -> bool {
        self.watch.need.of(self.targets.iter().map(|target| target.reached))
    }

    /// Why it says what it says.
    pub fn why(&self) -> String {
        let words = |target: &Target| {
            let Target { address, missed, answers, reached, .. } = target;
            match (reached, missed, answers) {
                (true, 0, 1..) => format!("{address} answers"),
                (true, 0, 0) => format!("{address} did not answer yet"),
                (_, 0, _) => format!("{address} has not answered yet"),
                (true, missed, _) => format!("{address} missed {missed} of {}", self.watch.missed_max),
                (false, missed, _) => format!("{address} does not answer ({missed} missed)"),
            }
        };
        self.targets.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    /// What it saw of each target.
    pub fn targets(&self, unix: impl Fn(Duration) -> u64) -> Vec<TargetStatus> {
        let status = |target: &Target| TargetStatus {
            target: target.address,
            reached: target.reached,
            missed: target.missed,
            missed_max: self.watch.missed_max,
            asked: target.asked,
            answers: target.answers,
            last_answer_ms: target.answered.map(&unix),
            mac: target.mac,
        };
        self.targets.iter().map(status).collect()
    }
}

/// The question as it leaves. `None`: the rule lets no such frame out.
fn on_wire(asker: Asker, target: IpAddr, vlan: Option<VlanId>, rule: &VlanConfig) -> Option<Vec<u8>> {
    rule.on_wire(probe::tagged(probe::question(asker, target)?, vlan))
}
