//! Messages to the service manager that started this process. If none did, nothing is sent.

use sd_notify::NotifyState;
use tracing::warn;

/// Tells it something.
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell the service manager");
    }
}
