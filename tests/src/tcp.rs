//! A TCP session of a test, which must live.

use std::{ops::Deref, time::Duration};

use aggctl_testbed::traffic::{self, tcp::PATIENCE};

use crate::{Namespace, wait_for};

/// The session.
#[derive(Debug)]
pub struct TcpSession(traffic::tcp::TcpTransfer);

impl Deref for TcpSession {
    type Target = traffic::tcp::TcpTransfer;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl TcpSession {
    /// Opens a session from `client` to `address` of `host`: `chunk` bytes (a multiple of 8) every `pause`.
    ///
    /// # Panics
    ///
    /// If it does not come about.
    #[track_caller]
    pub fn start(host: &Namespace, client: &Namespace, address: &str, chunk: usize, pause: Duration) -> Self {
        let address = address.parse().unwrap();
        let session = Self(traffic::tcp::TcpTransfer::start(host, client, address, chunk, pause).unwrap());
        session.expect_alive();
        session
    }

    /// Checks that more bytes come back.
    ///
    /// # Panics
    ///
    /// If the session broke, a byte was wrong, or nothing more comes.
    #[track_caller]
    pub fn expect_alive(&self) {
        let before = self.checked();
        wait_for("bytes on the TCP session", PATIENCE, || {
            assert!(self.failure().is_none(), "the TCP session ended: {:?}", self.failure());
            self.checked() > before
        });
    }
}
