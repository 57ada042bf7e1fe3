//! Traffic that measures.

pub mod bulk;
pub mod ping;
mod ping_stats;
pub mod tcp;
pub mod unsent;
