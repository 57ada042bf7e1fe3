//! The loop: what wakes it, in which order, and what is done then.

use std::{
    future::ready,
    time::{Duration, Instant},
};

use aggctl_engine::{Event, config::AggregateConfig, prober::PortFindings, supervise::BEAT};
use aggctl_kernel::watch::EventBatch;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use super::{
    Controller, LoopControl, bound, clock::sleep_until, mirror::Layer3Look, over::StampTimer, ports::PortChangeInput,
};
use crate::{api::PendingRequest, failure::Failure, operation};

/// What wakes the loop.
enum Input {
    Links(EventBatch),
    Request(PendingRequest),
    PortChange(Result<PortChangeInput, Failure>),
    Layer3(Result<Layer3Look, Failure>),
    Downstream(Result<Vec<Vec<u8>>, Failure>),
    Watched(PortFindings),
    Stamp,
    Poll,
    Listeners,
    Deadline,
    Outgoing,
    Housekeeping,
    Verify,
    Beat,
    LookForPorts,
    Leave,
}

impl Controller {
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        let mut poll = poll_timer(&self.record.config);
        let mut stamps = StampTimer::of(&self.record.config);
        let mut listeners = bound::timer();
        let mut housekeeping = tokio::time::interval(Duration::from_secs(1));
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.next_deadline();
            // What is due at a time goes first; its next time counts from its end, so that it cannot take every turn.
            // Of the rest one that is ready is picked at random, and each takes a short time.
            let input = tokio::select! {
                biased;
                () = stamps.tick() => Input::Stamp,
                _ = poll.tick() => Input::Poll,
                _ = listeners.tick() => Input::Listeners,
                () = sleep_until(deadline) => Input::Deadline,
                _ = housekeeping.tick() => Input::Housekeeping,
                _ = beat.tick() => Input::Beat,
                input = self.whatever_comes() => input?,
            };
            let flow = match input {
                Input::Links(batch) => self.on_link_events(&batch)?,
                Input::Request(asked) => {
                    // Drivers may be slow.
                    self.heartbeat.long();
                    let period = self.record.config.link_watch.poll_ms;
                    let flow = self.on_request(asked);
                    stamps = StampTimer::of(&self.record.config);
                    if self.record.config.link_watch.poll_ms != period {
                        poll = poll_timer(&self.record.config);
                    }
                    flow
                }
                Input::PortChange(picture) => {
                    self.on_picture(picture);
                    LoopControl::Go
                }
                Input::Layer3(seen) => {
                    if self.mirror.take_in(seen, &mut self.record) {
                        self.write_record();
                    }
                    LoopControl::Go
                }
                Input::Downstream(frames) => {
                    self.on_downstream(frames);
                    LoopControl::Go
                }
                Input::Watched(findings) => {
                    self.on_findings(findings);
                    LoopControl::Go
                }
                Input::Stamp => {
                    self.stamp();
                    LoopControl::Go
                }
                Input::Poll => {
                    self.poll();
                    poll.reset();
                    LoopControl::Go
                }
                Input::Listeners => {
                    self.listening.look(&self.record);
                    listeners.reset();
                    LoopControl::Go
                }
                Input::Deadline => self.on_deadline()?,
                Input::Outgoing => {
                    self.send_outgoing();
                    LoopControl::Go
                }
                Input::LookForPorts => self.look_for_ports()?,
                Input::Verify => {
                    self.verify_next();
                    LoopControl::Go
                }
                Input::Housekeeping => {
                    // All processes of the host, it may be.
                    self.heartbeat.long();
                    let flow = self.keep_house()?;
                    housekeeping.reset();
                    flow
                }
                Input::Beat => {
                    self.heartbeat.turn();
                    LoopControl::Go
                }
                Input::Leave => self.leave(),
            };
            if flow == LoopControl::End {
                info!("leaving");
                return Ok(());
            }
        }
    }

    /// The next input that has no time of its own. May be given up and called again without losing one.
    async fn whatever_comes(&mut self) -> Result<Input, Failure> {
        let (outgoing, returning) = (self.outgoing.due(), self.returning.due());
        Ok(tokio::select! {
            batch = self.watcher.next() => Input::Links(batch?),
            Some(asked) = self.server.next() => Input::Request(asked),
            picture = self.port_changes.picture() => Input::PortChange(picture),
            seen = self.mirror.seen() => Input::Layer3(seen),
            frames = self.downstream.seen() => Input::Downstream(frames),
            findings = self.watching.findings() => Input::Watched(findings),
            () = sleep_until(outgoing) => Input::Outgoing,
            () = sleep_until(returning) => Input::LookForPorts,
            () = ready(()), if self.verifier.is_looking() => Input::Verify,
            () = self.signals.next() => Input::Leave,
        })
    }

    /// The engine's deadline, the one for a confirmation, one for a port that is leaving, or for a question that waits.
    fn next_deadline(&self) -> Option<Instant> {
        let confirm = self
            .record
            .confirm_by
            .map(|at| Instant::now() + Duration::from_nanos(at.saturating_sub(operation::boot_time())));
        let engine = self.engine.deadline().map(|at| self.clock + at.saturating_sub(self.began));
        let leaving = self.leaving.iter().map(|leaving| leaving.at);
        [confirm, engine, self.links.due(), self.members_due()].into_iter().flatten().chain(leaving).min()
    }

    fn on_deadline(&mut self) -> Result<LoopControl, Failure> {
        self.feed(Event::Tick);
        self.remove_leaving();
        if self.links.due().is_some_and(|at| at <= Instant::now()) {
            self.survey();
        }
        if self.members_due().is_some_and(|at| at <= Instant::now()) {
            self.follow_members();
        }
        match self.record.confirm_by {
            Some(at) if at <= operation::boot_time() => {
                warn!("nobody confirmed the attach: undoing it");
                self.detach()?;
                Ok(LoopControl::End)
            }
            _ => Ok(LoopControl::Go),
        }
    }

    fn keep_house(&mut self) -> Result<LoopControl, Failure> {
        if self.place.is_deserted(&self.store) {
            // Let it go, and the aggregate with it; interfaces that return to the host do so as they were.
            info!("nobody else has this network namespace any more");
            self.detach()?;
            return Ok(LoopControl::End);
        }
        if self.keep_dir() == LoopControl::End {
            return Ok(LoopControl::End);
        }
        self.query_all();
        self.table.find_devices();
        self.suspect_members();
        self.take_back_named();
        self.begin_to_verify();
        self.take_late();
        if self.record.config.wiring.has_pair() {
            self.look_for_foreign();
        }
        if self.record.has_own_device() {
            self.mirror.begin(&self.record);
        }
        self.keep_disk();
        Ok(LoopControl::Go)
    }

    /// Leaves the dataplane to whoever comes next.
    pub(super) fn leave(&mut self) -> LoopControl {
        // What came to the ports and was flushed nobody else knows of.
        self.end_late();
        // What was changed just now is news to it.
        self.query_all();
        self.keep_disk();
        LoopControl::End
    }

    /// Undoes the aggregate from within.
    pub(super) fn detach(&mut self) -> Result<(), Failure> {
        self.heartbeat.long();
        self.end_late();
        self.mirror.bring_up_to_date(&mut self.record);
        operation::tear_down(&self.store, self.record.clone(), true)
    }
}

fn poll_timer(config: &AggregateConfig) -> Interval {
    let mut timer = tokio::time::interval(Duration::from_millis(u64::from(config.link_watch.poll_ms)));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}
