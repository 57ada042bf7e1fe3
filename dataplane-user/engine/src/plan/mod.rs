//! Plans: from a picture of the host and a wish to an ordered list of steps, each with its inverse.

pub mod step;

pub use step::{Step, Subject};
