//! What `capture` writes of the ports: which frames ([`filter`]), and in which form ([`pcapng`]).

pub mod filter;
pub mod pcapng;

/// Which way a frame passed a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It was received.
    In,
    /// It was sent.
    Out,
}
