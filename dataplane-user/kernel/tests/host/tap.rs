//! A tap device: an interface whose other end is this test.

use std::time::Duration;

use aggctl_tests::{tap, wait};

/// The device; it goes with this.
pub struct Tap(tap::Tap);

impl Tap {
    /// Makes one.
    pub fn new(name: &str) -> Self {
        Self(tap::Tap::new(name).unwrap())
    }

    /// Plugs the cable in or pulls it.
    pub fn set_carrier(&self, on: bool) {
        self.0.set_carrier(on).unwrap();
    }

    /// The next frame that the host sends for which this holds.
    pub fn receive(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let look = || {
            let length = self.0.read(&mut buffer).unwrap()?;
            wanted(&buffer[..length]).then(|| buffer[..length].to_vec())
        };
        wait::find(Duration::from_secs(20), look).expect("such a frame")
    }
}
