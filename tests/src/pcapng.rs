//! A reader of capture files (draft-ietf-opsawg-pcapng), written without a look at the writer.

use crate::sys::Captured;

/// What is in a file of one section.
#[derive(Clone, Debug, Default)]
pub struct PcapNg {
    /// The names of the interfaces.
    pub interfaces: Vec<String>,
    /// The frames in their order.
    pub frames: Vec<Frame>,
    /// For each interface how many frames passed, and how many of them are not here for want of room.
    pub statistics: Vec<(String, u64, u64)>,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The name of its interface.
    pub interface: String,
    /// Nanoseconds since 1970-01-01 UTC.
    pub at_ns: u64,
    /// Its octets, and whether it was sent.
    pub captured: Captured,
}

impl PcapNg {
    /// Reads a whole file.
    ///
    /// # Panics
    ///
    /// If it is none, or is not whole.
    #[track_caller]
    pub fn read(mut rest: &[u8]) -> Self {
        let mut file = Self::default();
        assert_eq!(word(rest, 0), 0x0a0d_0d0a, "it begins with a section");
        while !rest.is_empty() {
            let length = word(rest, 4) as usize;
            let (block, behind) = rest.split_at(length);
            assert_eq!(word(block, length - 4) as usize, length, "both lengths are the same");
            file.take(word(block, 0), &block[8..length - 4]);
            rest = behind;
        }
        file
    }

    /// Reads what is whole of a file that is being written.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub fn beginning_of(octets: &[u8]) -> Self {
        let mut end = 0;
        while let Some(header) = octets.get(end..end + 8) {
            let next = end + word(header, 4) as usize;
            if octets.len() < next {
                break;
            }
            end = next;
        }
        Self::read(&octets[..end])
    }

    #[track_caller]
    fn take(&mut self, kind: u32, body: &[u8]) {
        match kind {
            0x0a0d_0d0a => assert_eq!((word(body, 0), word(body, 4)), (0x1a2b_3c4d, 1), "version 1.0, little-endian"),
            1 => {
                assert_eq!(body[..2], [1, 0], "Ethernet");
                assert_eq!(option(&body[8..], 9), [9], "times are in nanoseconds");
                self.interfaces.push(String::from_utf8(option(&body[8..], 2).to_vec()).unwrap());
            }
            5 => {
                let count = |code| u64::from_le_bytes(option(&body[12..], code).try_into().unwrap());
                self.statistics.push((self.interfaces[word(body, 0) as usize].clone(), count(4), count(7)));
            }
            6 => {
                let length = word(body, 12) as usize;
                assert_eq!(word(body, 16) as usize, length, "no frame of these tests is cut");
                let flags = word(option(&body[20 + length.next_multiple_of(4)..], 2), 0);
                assert!([1, 2].contains(&flags), "received or sent: {flags}");
                self.frames.push(Frame {
                    interface: self.interfaces[word(body, 0) as usize].clone(),
                    at_ns: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
                    captured: Captured { bytes: body[20..20 + length].to_vec(), outgoing: flags == 2, kind: 0 },
                });
            }
            other => panic!("a block of type {other}"),
        }
    }

    /// Where frames of this kind passed: each interface, and whether they were sent by it, once, in order.
    pub fn ways(&self, such: impl Fn(&Captured) -> bool) -> Vec<(&str, bool)> {
        let frames = self.frames.iter().filter(|frame| such(&frame.captured));
        let mut ways: Vec<_> = frames.map(|frame| (frame.interface.as_str(), frame.captured.outgoing)).collect();
        ways.sort_unstable();
        ways.dedup();
        ways
    }
}

#[track_caller]
fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

/// The value of an option, which must be there.
#[track_caller]
fn option(mut options: &[u8], wished: u16) -> &[u8] {
    loop {
        let [code, length] = [0, 2].map(|at| u16::from_le_bytes([options[at], options[at + 1]]));
        let length = usize::from(length);
        assert_ne!(code, 0, "there is no option {wished}");
        if code == wished {
            return &options[4..4 + length];
        }
        options = &options[4 + length.next_multiple_of(4)..];
    }
}
