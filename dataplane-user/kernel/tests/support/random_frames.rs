//! Frames for comparing two parsers: well-formed ones of every kind that the flow hash tells apart, the same with
//! octets changed, cut off or added, and noise. The same seed gives the same frames.

/// IP protocols that the hash treats alike or apart, and some that it does not know.
const PROTOCOLS: [u8; 18] = [6, 6, 17, 17, 1, 1, 58, 58, 33, 50, 51, 132, 136, 2, 4, 47, 44, 0];
/// Types of ICMP and ICMPv6: with an identifier, errors, and others.
const MESSAGES: [u8; 20] = [0, 8, 13, 14, 128, 129, 3, 4, 5, 11, 12, 1, 2, 9, 10, 15, 17, 133, 135, 143];
/// Destination ports of tunnels.
const TUNNELS: [u16; 4] = [4789, 8472, 6081, 2152];
/// Ethertypes that are not IP.
const OTHERS: [u16; 8] = [0x0806, 0x88cc, 0x8847, 0x8863, 0x0026, 0x9100, 0x8035, 0x22f0];

/// A stream of frames that does not end. None is shorter than an Ethernet header.
pub struct RandomFrames(u64);

impl RandomFrames {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: a counter that is scrambled (the generator SplitMix64).
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() >> 33).unwrap() % limit
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn octet(&mut self) -> u8 {
        self.number().to_le_bytes()[7]
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    /// A frame as it is meant to be.
    fn whole(&mut self) -> Vec<u8> {
        let mut frame = self.octets(12);
        match self.below(16) {
            0 => {
                let count = 2 + self.below(180);
                frame.extend(self.octets(count));
            }
            1 => {
                frame.extend(self.of(&OTHERS).to_be_bytes());
                let count = self.below(60);
                frame.extend(self.octets(count));
            }
            2 => {
                for _ in 0..=self.below(3) {
                    frame.extend(self.of(&[0x8100_u16, 0x88a8]).to_be_bytes());
                    frame.extend(self.octets(2));
                }
                let six = self.once_in(2);
                self.typed(&mut frame, six);
            }
            kind => self.typed(&mut frame, kind > 9),
        }
        frame
    }

    /// Adds an ethertype and a packet of it.
    fn typed(&mut self, frame: &mut Vec<u8>, six: bool) {
        frame.extend(if six { 0x86dd_u16 } else { 0x0800 }.to_be_bytes());
        self.packet(frame, six, 2);
    }

    /// Adds an IP packet, within so many ICMP errors more.
    fn packet(&mut self, frame: &mut Vec<u8>, six: bool, depth: usize) {
        let protocol = if self.once_in(12) { self.octet() } else { self.of(&PROTOCOLS) };
        if six {
            frame.push(0x60);
            frame.extend(self.octets(5));
            frame.extend([protocol, 64]);
            frame.extend(self.octets(32));
        } else {
            let words = match self.below(10) {
                0..=6 => 5,
                7 | 8 => 6 + self.below(10),
                // Too short, or of another version: the length counts as it is.
                _ => self.below(5),
            };
            let fragment = match self.below(8) {
                0 => [0x20, 0],
                1 => [self.octet() & 0x3f, self.octet()],
                2..=4 => [0x40, 0],
                _ => [0, 0],
            };
            frame.push(0x40 | u8::try_from(words).unwrap());
            frame.extend(self.octets(5));
            frame.extend(fragment);
            frame.extend([64, protocol]);
            frame.extend(self.octets(10));
            frame.extend(self.octets(words.saturating_sub(5) * 4));
        }
        self.payload(frame, protocol, six, depth);
    }

    /// Adds what follows an IP header.
    fn payload(&mut self, frame: &mut Vec<u8>, protocol: u8, six: bool, depth: usize) {
        if matches!(protocol, 1 | 58) {
            let kind = if self.once_in(12) { self.octet() } else { self.of(&MESSAGES) };
            frame.extend([kind, self.octet() & 0x0f]);
            frame.extend(self.octets(2));
            let identifier = if self.once_in(4) { vec![0, 0] } else { self.octets(2) };
            frame.extend(identifier);
            frame.extend(self.octets(2));
            if depth > 0 {
                return self.packet(frame, six, depth - 1);
            }
        }
        if protocol == 17 && self.once_in(3) {
            frame.extend(self.octets(2));
            frame.extend(self.of(&TUNNELS).to_be_bytes());
        } else if protocol == 47 && !self.once_in(4) {
            // With and without checksum and key, routed and bridged.
            frame.extend([self.octet() & 0xa0, self.octet() & 1]);
            frame.extend(self.of(&[0x0800_u16, 0x6558]).to_be_bytes());
        }
        let count = self.below(40);
        frame.extend(self.octets(count));
    }

    /// Changes something about a frame.
    fn mutate(&mut self, frame: &mut Vec<u8>) {
        match self.below(8) {
            0 | 1 => {
                for _ in 0..=self.below(3) {
                    let at = self.below(frame.len().min(90));
                    frame[at] = self.octet();
                }
            }
            2 => {
                let length = 14 + self.below(frame.len() - 13);
                frame.truncate(length);
            }
            3 => {
                let count = 1 + self.below(18);
                frame.extend(self.octets(count));
            }
            _ => {}
        }
    }
}

impl Iterator for RandomFrames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut frame = self.whole();
        self.mutate(&mut frame);
        Some(frame)
    }
}
