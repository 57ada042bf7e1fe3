//! What watches of ports find out, apart from the state of the link: whom to ask when, and what to make of answers and
//! counters.
//!
//! [`Prober`] has neither clock nor socket: whoever drives it tells what was received ([`Prober::on_received`]) and
//! counted ([`Prober::counted`]), asks it for what to send ([`Prober::turn`]), and hands its findings
//! ([`Prober::findings`]) to the [`Aggregate`](crate::aggregate::Aggregate), which decides. What has arrived must be
//! told before a turn: nobody is judged by an answer that waits to be read.
//!
//! A watch begins anew whenever the link of its port was lost ([`ProbedPort::epoch`]): it is not well then until it has
//! found the port well. One that begins while its port is at work ([`ProbedPort::trusted`]) is well until it has found
//! otherwise.

mod ask;
mod errors;
mod exchange;
mod traffic;
mod watching;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use aggctl_common::{IfIndex, Mac, PortId};
use traffic::Reception;
use watching::RunningWatch;

use crate::{
    probe::{Asker, ReceivedProbe},
    vlan::VlanConfig,
    watches::WatchConfig,
};

pub use exchange::{Counted, PortFindings, ProbeWish, ProbedPort, ToSend, WatchFinding, WatchReport};

/// The watches of all ports.
#[derive(Debug, Default)]
pub struct Prober {
    vlan: VlanConfig,
    mac: Mac,
    ports: BTreeMap<PortId, Probed>,
    /// When the counters were read last.
    counted: Option<Duration>,
}

/// A port and its watches.
#[derive(Debug)]
struct Probed {
    port: ProbedPort,
    watches: Vec<RunningWatch>,
    /// When it received something last.
    received: Reception,
    /// What was told of it last.
    told: Vec<bool>,
}

impl Prober {
    /// Takes over what shall be watched. What is as it was goes on.
    pub fn set(&mut self, now: Duration, wish: ProbeWish) {
        (self.vlan, self.mac) = (wish.vlan, wish.mac);
        let mut before = std::mem::take(&mut self.ports);
        for port in wish.ports {
            let same = |old: &Probed| (old.port.epoch, old.port.ifindex) == (port.epoch, port.ifindex);
            let mut old = before.remove(&port.id).filter(same);
            let came_up = port.up && old.as_ref().is_none_or(|old| !old.port.up);
            let kept = old.as_mut().map(|old| std::mem::take(&mut old.watches)).unwrap_or_default();
            let mut kept: Vec<_> = kept.into_iter().map(Some).collect();
            let take = |watch: &WatchConfig, kept: &mut Vec<Option<RunningWatch>>| {
                kept.iter_mut().find(|old| old.as_ref().is_some_and(|old| old.watch() == watch)).and_then(Option::take)
            };
            let begun = |watch: &WatchConfig| match take(watch, &mut kept) {
                Some(RunningWatch::Targets(mut asking)) => {
                    if came_up {
                        asking.go_on(now);
                    }
                    RunningWatch::Targets(asking)
                }
                Some(old) => old,
                None => RunningWatch::begin(now, watch, &port),
            };
            let watches: Vec<_> = port.watches.iter().map(begun).collect();
            let mut received = old.as_ref().map(|old| old.received).unwrap_or_default();
            if came_up {
                received.go_on();
            }
            let told = old.map(|old| old.told).filter(|told| told.len() == watches.len()).unwrap_or_default();
            self.ports.insert(port.id, Probed { port, watches, received, told });
        }
    }

    /// Takes in a frame that a port received.
    pub fn on_received(&mut self, now: Duration, port: PortId, received: &ReceivedProbe) {
        let Some(probed) = self.ports.get_mut(&port) else { return };
        // What we sent ourselves proves nothing, from whichever port it comes back.
        let is_own = received.from == self.mac || received.from == probed.port.mac;
        if is_own {
            return;
        }
        let (carries, mac) = (probed.port.carries, probed.port.mac);
        for watching in &mut probed.watches {
            if let RunningWatch::Targets(asking) = watching {
                let asker = asker(asking.watch(), carries, mac, self.mac);
                asking.on_received(now, received, asker.mac, carries, &self.vlan);
            }
        }
    }

    /// Whether the counters of the ports are wanted now.
    #[must_use]
    pub fn wants_counters(&self, now: Duration) -> bool {
        self.counters_due().is_some_and(|at| at <= now)
    }

    /// The ports whose counters are wanted, when they are.
    pub fn counting(&self) -> impl Iterator<Item = (PortId, IfIndex)> {
        self.ports.values().filter(|probed| probed.port.up).map(|probed| (probed.port.id, probed.port.ifindex))
    }

    /// Takes in what the ports have counted. One that is missing did not answer.
    pub fn counted(&mut self, now: Duration, counters: &BTreeMap<PortId, Counted>) {
        self.counted = Some(now);
        for (id, counted) in counters {
            let Some(probed) = self.ports.get_mut(id) else { continue };
            let grew = probed.received.counted(now, counted.received);
            let carries = probed.port.carries;
            for watching in &mut probed.watches {
                match watching {
                    RunningWatch::Targets(asking) if grew => asking.received(now, carries),
                    RunningWatch::Errors(counting) => counting.counted(now, counted.errors),
                    RunningWatch::Targets(_) | RunningWatch::Traffic(_) => {}
                }
            }
        }
        let up = self.ports.values().filter(|probed| probed.port.up);
        let all: Vec<_> = up.map(|probed| (probed.port.id, probed.received)).collect();
        for probed in self.ports.values_mut().filter(|probed| probed.port.up) {
            for watching in &mut probed.watches {
                if let RunningWatch::Traffic(listening) = watching {
                    let others = all.iter().filter(|(id, _)| *id != probed.port.id).map(|(_, received)| *received);
                    listening.judge(now, probed.received, others);
                }
            }
        }
    }

    /// Does what is due, and says what to send. What was received before must have been told.
    pub fn turn(&mut self, now: Duration) -> Vec<ToSend> {
        let mut frames = Vec::new();
        for probed in self.ports.values_mut().filter(|probed| probed.port.up) {
            let ProbedPort { id, carries, mac, .. } = probed.port;
            for watching in &mut probed.watches {
                match watching {
                    RunningWatch::Targets(asking) => {
                        let asker = asker(asking.watch(), carries, mac, self.mac);
                        let questions = asking.turn(now, asker, &self.vlan);
                        frames.extend(questions.into_iter().map(|frame| ToSend { port: id, frame }));
                    }
                    RunningWatch::Errors(counting) => counting.turn(now),
                    RunningWatch::Traffic(_) => {}
                }
            }
        }
        frames
    }

    /// What the watches say of each port of which they say something else than they said last.
    pub fn findings(&mut self) -> Vec<PortFindings> {
        let mut all = Vec::new();
        for probed in self.ports.values_mut() {
            let says: Vec<_> = probed.watches.iter().map(RunningWatch::is_up).collect();
            if says == probed.told {
                continue;
            }
            probed.told = says;
            let finding = |watching: &RunningWatch| WatchFinding {
                watch: watching.watch().clone(),
                up: watching.is_up(),
                why: watching.why(),
            };
            let findings = probed.watches.iter().map(finding).collect();
            all.push(PortFindings { port: probed.port.id, epoch: probed.port.epoch, findings });
        }
        all
    }

    /// When [`Prober::turn`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let up = self.ports.values().filter(|probed| probed.port.up);
        let own = up.flat_map(|probed| &probed.watches).filter_map(|watching| match watching {
            RunningWatch::Targets(asking) => Some(asking.due()),
            RunningWatch::Errors(counting) => counting.due(),
            RunningWatch::Traffic(_) => None,
        });
        own.chain(self.counters_due()).min()
    }

    /// What each watch of each port has seen, for people. `now_ms`: the same moment in milliseconds since the Unix
    /// epoch.
    #[must_use]
    pub fn reports(&self, now: Duration, now_ms: u64) -> BTreeMap<PortId, Vec<WatchReport>> {
        let ago = |at: Duration| u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
        let unix = |at: Duration| now_ms.saturating_sub(ago(at));
        let reports = |watching: &RunningWatch| WatchReport {
            watch: watching.watch().clone(),
            why: watching.why(),
            targets: match watching {
                RunningWatch::Targets(asking) => asking.targets(unix),
                RunningWatch::Traffic(_) | RunningWatch::Errors(_) => Vec::new(),
            },
        };
        self.ports.iter().map(|(id, probed)| (*id, probed.watches.iter().map(reports).collect())).collect()
    }

    fn counters_due(&self) -> Option<Duration> {
        let up = self.ports.values().filter(|probed| probed.port.up);
        let periods = up.flat_map(|probed| {
            let carries = probed.port.carries;
            probed.watches.iter().filter_map(move |watching| watching.period(carries))
        });
        let period = periods.min()?;
        Some(self.counted.map_or(Duration::ZERO, |at| at + period))
    }
}

/// Who a watch of a port asks as. A port that carries traffic may ask for the host if the owner wants it; it uses the
/// aggregate's MAC then, which the neighbours know it by. Another never does: they would send to it.
fn asker(watch: &WatchConfig, carries: bool, own: Mac, aggregate: Mac) -> Asker {
    match watch.source {
        Some(IpAddr::V4(source)) if carries => Asker { mac: aggregate, source },
        _ => Asker { mac: own, source: Ipv4Addr::UNSPECIFIED },
    }
}

#[cfg(test)]
mod tests;
