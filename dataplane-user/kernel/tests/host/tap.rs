//! A tap device: an interface whose other end is this test.

#![allow(unsafe_code, reason = "the ioctls of tap devices have no safe wrapper")]

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    time::{Duration, Instant},
};

/// `TUNSETIFF`.
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
/// `TUNSETCARRIER`.
const TUNSETCARRIER: libc::Ioctl = 0x4004_54e2;
/// `IFF_TAP | IFF_NO_PI`.
const TAP: libc::c_short = 0x1002;

/// The device; it goes with this.
pub struct Tap(File);

impl Tap {
    /// Makes one.
    pub fn new(name: &str) -> Self {
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun").unwrap();
        // SAFETY: all zeros is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        request.ifr_ifru.ifru_flags = TAP;
        // SAFETY: the request is valid and its name terminated.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        Self(file)
    }

    /// Plugs the cable in or pulls it.
    pub fn set_carrier(&self, on: bool) {
        let on = libc::c_int::from(on);
        // SAFETY: the argument is a valid integer.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), TUNSETCARRIER, &raw const on) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
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
