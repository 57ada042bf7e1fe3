//! Plans, carried out on a model of the kernel: from every prefix there is a way back, and at every prefix the host
//! keeps its addresses and its ways out.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod arrivals;
mod change;
mod early;
mod hosts;
mod made;
mod model;
mod over;
mod promises;
mod records;
mod refusals;
mod transaction;
mod wire;
