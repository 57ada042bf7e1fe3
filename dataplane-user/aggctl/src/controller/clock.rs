//! The time of day, and waiting for a time.

use std::time::{Instant, SystemTime};

/// Milliseconds since the Unix epoch.
pub(super) fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// The same of a moment in the past.
pub(super) fn past_ms(moment: Instant) -> u64 {
    now_ms().saturating_sub(u64::try_from(moment.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Sleeps until then; for ever without a time.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
