//! The blocks of a capture file of the format pcapng (draft-ietf-opsawg-pcapng, "PCAP Next Generation (pcapng) Capture
//! File Format").
//!
//! A capture needs four kinds of blocks, each a few numbers and options in a row, and they are only written. The crates
//! for this format are made for reading all of its blocks from files of unknown origin, and none of them is among what
//! this project is built from; so the four are written out here. All numbers are little-endian, as the section header
//! says.

use super::Direction;

/// Block types ("Standardized Block Type Codes").
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// By which readers find out the order of octets (section 4.1).
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// The version of the format, major and minor (section 4.1).
const VERSION: [u16; 2] = [1, 0];
/// The length of a section that is not known beforehand (section 4.1).
const UNKNOWN_LENGTH: u64 = u64::MAX;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;

/// Codes of options: of all blocks (section 3.5), the section header (4.1), an interface (4.2), a frame (4.3) and
/// statistics (4.6).
const END_OF_OPTIONS: u16 = 0;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const FRAME_FLAGS: u16 = 2;
const RECEIVED: u16 = 4;
const NO_ROOM: u16 = 7;

/// The resolution of times: units of 10 to the power of minus this many seconds.
const NANOSECONDS: u8 = 9;
/// The direction in a frame's flags ("Enhanced Packet Block Flags Word").
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// A frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// The number of its interface, in the order of their blocks, from 0.
    pub interface: u32,
    /// When it passed: nanoseconds since 1970-01-01 UTC.
    pub at_ns: u64,
    /// Which way.
    pub direction: Direction,
    /// Its octets from the Ethernet header on, or the first of them.
    pub octets: &'a [u8],
    /// How many octets it had in truth.
    pub length: u32,
}

/// The beginning of a file, which names the program that wrote it (section 4.1).
#[must_use]
pub fn section_header(program: &str) -> Vec<u8> {
    let mut block = Block::begin(SECTION_HEADER);
    block.u32(BYTE_ORDER_MAGIC);
    VERSION.into_iter().for_each(|number| block.u16(number));
    block.u64(UNKNOWN_LENGTH);
    block.option(USER_APPLICATION, program.as_bytes());
    block.end_with_options()
}

/// An interface of Ethernet, of whose frames `snap` octets at most are kept (section 4.2).
#[must_use]
pub fn interface(name: &str, snap: u32) -> Vec<u8> {
    let mut block = Block::begin(INTERFACE_DESCRIPTION);
    block.u16(ETHERNET);
    block.u16(0);
    block.u32(snap);
    block.option(INTERFACE_NAME, name.as_bytes());
    block.option(TIME_RESOLUTION, &[NANOSECONDS]);
    block.end_with_options()
}

/// A frame (section 4.3).
#[must_use]
pub fn frame(frame: &CapturedFrame<'_>) -> Vec<u8> {
    let mut block = Block::begin(ENHANCED_PACKET);
    block.u32(frame.interface);
    block.time(frame.at_ns);
    block.u32(length_of(frame.octets));
    block.u32(frame.length);
    block.padded(frame.octets);
    let flags = match frame.direction {
        Direction::In => INBOUND,
        Direction::Out => OUTBOUND,
    };
    block.option(FRAME_FLAGS, &flags.to_le_bytes());
    block.end_with_options()
}

/// What became of the frames of an interface up to a time (nanoseconds since 1970-01-01 UTC): how many there were, and
/// how many of them there was no room for (section 4.6).
#[must_use]
pub fn statistics(interface: u32, at_ns: u64, received: u64, no_room: u64) -> Vec<u8> {
    let mut block = Block::begin(INTERFACE_STATISTICS);
    block.u32(interface);
    block.time(at_ns);
    block.option(RECEIVED, &received.to_le_bytes());
    block.option(NO_ROOM, &no_room.to_le_bytes());
    block.end_with_options()
}

/// A block that is being written (section 3.1).
struct Block(Vec<u8>);

impl Block {
    /// Its type, and room for its length.
    fn begin(kind: u32) -> Self {
        let mut block = Self(Vec::new());
        block.u32(kind);
        block.u32(0);
        block
    }

    fn u16(&mut self, number: u16) {
        self.0.extend(number.to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// A time is two words, the upper one first (section 4.3).
    fn time(&mut self, at_ns: u64) {
        let [a, b, c, d, upper @ ..] = at_ns.to_le_bytes();
        self.0.extend(upper);
        self.0.extend([a, b, c, d]);
    }

    /// Octets, filled up to a whole number of words.
    fn padded(&mut self, octets: &[u8]) {
        self.0.extend(octets);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// An option (section 3.5). What is longer than an option can be is cut.
    fn option(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(code);
        self.u16(length);
        self.padded(value.get(..length.into()).unwrap_or(value));
    }

    fn end_with_options(mut self) -> Vec<u8> {
        self.u16(END_OF_OPTIONS);
        self.u16(0);
        // Both lengths are those of the whole block, themselves included.
        let total = length_of(&self.0).saturating_add(4).to_le_bytes();
        self.0.extend(total);
        if let Some(length) = self.0.get_mut(4..8) {
            length.copy_from_slice(&total);
        }
        self.0
    }
}

/// Frames and blocks are far below the limit.
fn length_of(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
