//! A tap device: an interface whose other end is this test.

use std::{
    fs::File,
    io::Read,
    time::{Duration, Instant},
};

use aggctl_tests::sys;

/// The device; it goes with this.
pub struct Tap(File);

impl Tap {
    /// Makes one.
    pub fn new(name: &str) -> Self {
        Self(sys::tap(name).unwrap())
    }

    /// Plugs the cable in or pulls it.
    pub fn set_carrier(&self, on: bool) {
        sys::set_carrier(&self.0, on).unwrap();
    }

    /// The next frame that the host sends for which this holds.
    pub fn receive(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let started = Instant::now();
        let mut buffer = [0; 2048];
        while started.elapsed() < Duration::from_secs(20) {
            match self.0.read(&mut buffer) {
                Ok(length) if wanted(&buffer[..length]) => return buffer[..length].to_vec(),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no such frame within 20 s");
    }
}
