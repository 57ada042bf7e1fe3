//! Traffic that measures.

pub mod bulk;
pub mod ping;
pub mod tcp;
pub mod unsent;
