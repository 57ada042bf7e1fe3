//! Asks for the present state of links.

use std::{sync::Arc, time::Duration};

use aggctl_common::IfIndex;
use futures_util::TryStreamExt;
use netlink_packet_route::{AddressFamily, link::LinkExtentMask};
use rtnetlink::{Handle, LinkGetRequest, new_connection};
use rustix::io::Errno;
use tokio::task::AbortHandle;

use super::LinkReport;
use crate::error::{Failure, KernelError};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for links, on a socket of its own. Clones share it.
#[derive(Clone, Debug)]
pub struct LinkQuery {
    handle: Handle,
    _task: Arc<Task>,
}

/// The task that works for the handles, and ends with the last of them.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl LinkQuery {
    /// Opens a socket; the work is done by a task of the present runtime.
    pub(super) fn open() -> Result<Self, KernelError> {
        let (connection, handle, _) =
            new_connection().map_err(|error| KernelError::refused("netlink queries", "open", error))?;
        Ok(Self { handle, _task: Arc::new(Task(tokio::spawn(connection).abort_handle())) })
    }

    /// The present state of a link, truer than any event. `None` if there is no interface of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub async fn query(&self, index: IfIndex) -> Result<Option<LinkReport>, KernelError> {
        if index == IfIndex::NONE {
            return Ok(None);
        }
        match self.ask(self.request().match_index(index.0)).await {
            Ok(mut reports) => Ok(reports.pop()),
            Err(failure) if failure.is(&[Errno::NODEV]) => Ok(None),
            Err(failure) => Err(KernelError::refused(format!("interface {index}"), "query", failure)),
        }
    }

    /// The present state of all links.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub async fn query_all(&self) -> Result<Vec<LinkReport>, KernelError> {
        self.ask(self.request()).await.map_err(|failure| KernelError::refused("interfaces", "query", failure))
    }

    /// A request without counters, which drivers may take long to gather.
    fn request(&self) -> LinkGetRequest {
        self.handle.link().get().set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
    }

    async fn ask(&self, request: LinkGetRequest) -> Result<Vec<LinkReport>, Failure> {
        // The library drops answers that it cannot read; nobody shall wait for them for ever.
        match tokio::time::timeout(PATIENCE, request.execute().try_collect::<Vec<_>>()).await {
            Ok(Ok(messages)) => Ok(messages.iter().map(LinkReport::of).collect()),
            Ok(Err(rtnetlink::Error::NetlinkError(message))) => Err(message.to_io().into()),
            Ok(Err(error)) => Err(std::io::Error::other(error.to_string()).into()),
            Err(_) => Err(Errno::TIMEDOUT.into()),
        }
    }
}
