//! What the system tests, the demo, the benchmark and the lab are made of: network namespaces, tap devices and packet
//! sockets, traffic that measures, and the product as people drive it.
//!
//! Whoever sets something up here is told by an error why it cannot be; a test's harness makes a failure of the test of
//! it.

pub mod netns;
pub mod product;
#[allow(unsafe_code, reason = "tap devices and packet sockets have no safe interface")]
pub mod sys;
pub mod tap;
pub mod traffic;
pub mod wait;
