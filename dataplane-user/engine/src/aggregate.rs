//! (in work)
pub struct Aggregate;
