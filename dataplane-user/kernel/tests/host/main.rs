//! Reading and changing the configuration of a real host, each test in a network namespace of its own that vanishes
//! with the test's thread.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conflicts;
mod downstream;
mod layer3;
mod links;
mod namespace;
mod others;
mod pair;
mod steps;
mod support;
mod tap;
mod watch;
