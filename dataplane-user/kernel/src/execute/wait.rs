//! Waiting, within limits, for what the kernel or a partner does by itself.

use std::{
    thread,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::plan::{Awaited, Subject};

use super::Executor;
use crate::error::KernelError;

/// How long an interface that was set up may take to have a link: cards and switches agree on a speed first.
const LINK: Duration = Duration::from_secs(10);
/// How long the partner may take to agree: it may send every 30 seconds only.
const PARTNER: Duration = Duration::from_secs(40);
/// How long a port receives nothing when nobody sends by it any more, and how long that is waited for.
const QUIET: Duration = Duration::from_millis(50);
/// See [`QUIET`].
const DRAINED: Duration = Duration::from_millis(500);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(5);

impl Executor {
    /// Waits.
    pub(super) fn wait(&mut self, link: &Subject, what: Awaited) -> Result<(), KernelError> {
        let target = self.find(link)?;
        let index = target.index;
        let (limit, missing) = match what {
            Awaited::Link => (LINK, None),
            Awaited::Member => (LINK, Some("no other port of it had a link in time")),
            Awaited::Partner => (PARTNER, Some("no LACP partner agreed on another port of it in time")),
        };
        let until = Instant::now() + limit;
        loop {
            if what == Awaited::Partner {
                self.tell_key(index)?;
            }
            let met = match what {
                Awaited::Link => self.netlink.link(index)?.is_none_or(|link| link.has_link()),
                Awaited::Member | Awaited::Partner => {
                    self.netlink.has_member_in_use(index, what == Awaited::Partner)?
                }
            };
            if met {
                return Ok(());
            }
            if Instant::now() >= until {
                return missing
                    .map_or(Ok(()), |missing| Err(KernelError::NotInTime { subject: target.name, missing, limit }));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Has the port that speaks LACP say the key of the bond's members, so that the partner counts it among them.
    fn tell_key(&mut self, bond: IfIndex) -> Result<(), KernelError> {
        let Some(speaker) = &self.speaker else { return Ok(()) };
        if let Some(key) = self.netlink.lacp_key(bond)? {
            speaker.set_key(key);
        }
        Ok(())
    }

    /// Waits until a port receives no more: what a partner says of its ports may be true a moment later only.
    pub(super) fn drain(&mut self, port: IfIndex) -> Result<(), KernelError> {
        let begun = Instant::now();
        let (mut received, mut since) = (None, begun);
        while begun.elapsed() < DRAINED && since.elapsed() < QUIET {
            let now = self.netlink.counters(port)?.map(|counters| counters.rx_packets);
            if now != received {
                (received, since) = (now, Instant::now());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}
