//! Pings of a test: [`traffic::ping`], and what a test expects of them.

use std::{ops::Deref, time::Duration};

use aggctl_testbed::traffic;
pub use aggctl_testbed::traffic::ping::{Hole, PingMark, Stats};

use crate::{Namespace, holds_for, matrix::SOON, wait, wait_for};

/// Echo requests at a steady rhythm, until dropped.
#[derive(Debug)]
pub struct Ping(traffic::ping::PingStream);

impl Deref for Ping {
    type Target = traffic::ping::PingStream;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Ping {
    /// Pings `to`, an address of `answering`, from `namespace`, `from` an address of its own if one is given, and waits
    /// for the first answer.
    ///
    /// # Panics
    ///
    /// If nobody answers.
    #[track_caller]
    pub fn start(
        namespace: &Namespace,
        answering: &Namespace,
        to: &str,
        from: Option<&str>,
        interval: Duration,
    ) -> Self {
        let (to, from) = (to.parse().unwrap(), from.map(|from| from.parse().unwrap()));
        let ping = Self(traffic::ping::PingStream::start(namespace, answering, to, from, interval).unwrap());
        ping.wait_for_answer(SOON);
        ping
    }

    /// Now.
    #[track_caller]
    pub fn mark(&self) -> PingMark {
        self.0.mark().unwrap()
    }

    /// What became of the pings since `mark`, once the stragglers are in.
    ///
    /// # Panics
    ///
    /// If an answer came and had no place in the socket's buffer: nobody knows then what was lost.
    #[track_caller]
    pub fn since(&self, mark: PingMark) -> Stats {
        let stats = self.0.between(mark, self.mark()).unwrap();
        if stats.unsent > 0 {
            println!("the kernel had no room for {} answers of {}", stats.unsent, stats.sent);
        }
        stats
    }

    /// What became of all pings so far.
    #[track_caller]
    pub fn total(&self) -> Stats {
        self.since(self.begin())
    }

    /// What becomes of the pings that are sent while `work` is done.
    #[track_caller]
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Stats) {
        let mark = self.mark();
        let result = work();
        (result, self.since(mark))
    }

    /// Waits until `count` more pings are sent.
    #[track_caller]
    pub fn run(&self, count: usize) {
        let start = self.sent();
        wait_for("pings sent", Duration::from_secs(60), || self.sent() >= start + count);
    }

    /// Waits until a ping that is sent from now on is answered.
    #[track_caller]
    pub fn wait_for_answer(&self, limit: Duration) {
        let start = self.sent();
        wait_for("an answer to a ping", limit, || self.answered_after(start));
    }

    /// Waits until pings go unanswered, and checks that they stay so for a while.
    #[track_caller]
    pub fn expect_silence(&self) {
        let many = 20 * wait::patience() as usize;
        wait_for("pings going unanswered", SOON, || self.silent_for(many));
        holds_for("no answer to pings", Duration::from_millis(200), || self.silent_for(many));
    }
}
