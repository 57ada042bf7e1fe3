//! Reading the host's configuration, which may take long, on a thread of its own with a netlink socket of its own. The
//! loop goes on meanwhile, so that it notices a port that fails; the result comes to it as an input.

use std::thread;

use aggctl_kernel::netlink::Netlink;
use tokio::sync::oneshot;
use tracing::warn;

use crate::failure::Failure;

/// A read that is under way, or none. One that is replaced or dropped runs to its end, and its result is dropped.
#[derive(Debug)]
pub(super) struct HostRead<T>(Option<oneshot::Receiver<Result<T, Failure>>>);

impl<T> Default for HostRead<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Send + 'static> HostRead<T> {
    /// Begins to read, in this thread's network namespace. Of the thread's name 15 octets are seen by others.
    pub fn begin(&mut self, name: &str, read: impl FnOnce(&mut Netlink) -> Result<T, Failure> + Send + 'static) {
        let (tell, result) = oneshot::channel();
        let work = move || {
            // Nobody may be waiting for it any more.
            let _ = tell.send(Netlink::open().map_err(Failure::from).and_then(|mut netlink| read(&mut netlink)));
        };
        // Without a thread nothing is told, which is an answer, too.
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
            warn!(%error, name, "cannot start a thread that reads the configuration of the host");
        }
        self.0 = Some(result);
    }

    /// Whether one is under way.
    pub fn is_under_way(&self) -> bool {
        self.0.is_some()
    }

    /// What was read, as soon as that is so; never if none is under way. May be given up and called again.
    pub async fn result(&mut self) -> Result<T, Failure> {
        let Some(under_way) = &mut self.0 else { return std::future::pending().await };
        let result = under_way.await;
        self.0 = None;
        result.unwrap_or_else(|_| Err(Failure::Refused("a read of the host's configuration was given up".to_owned())))
    }
}
