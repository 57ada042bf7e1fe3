//! Frames of every kind that has fields, made of the values of the fields.

extern crate std;

use std::{vec, vec::Vec};

use proptest::{
    prelude::Rng as _,
    test_runner::{TestRng, TestRunner},
};

use super::super::{Field, Known};

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Nothing that is known.
    Other,
    Ports,
    Esp,
    Ah,
    Icmp,
    Vxlan,
    Gtp,
    Gre,
    Nvgre,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    Four(Carries),
    Six(Carries),
    Mpls,
    Other,
}

/// The values of all fields, of which a frame has some. A field's value is at its place in [`Field::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub packet: Packet,
    /// How many tags the frame has, and whether the first of them is beside it.
    pub tags: (usize, bool),
    pub values: [u128; Field::ALL.len()],
    /// What no field covers.
    pub rest: u64,
}

/// A source of samples.
pub struct Samples(TestRng);

impl Samples {
    pub fn new() -> Self {
        Self(TestRunner::deterministic().new_rng())
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// A value that a field of such a packet can have.
    fn value(&mut self, field: Field, packet: Packet) -> u128 {
        let bits = match field {
            Field::SrcMac | Field::DstMac => 48,
            Field::EtherType => return self.of(&[0x0806, 0x88cc, 0x88f7, 0x8906, 0x22f0]),
            Field::Vlan | Field::InnerVlan => 12,
            Field::SrcIp | Field::DstIp => 128,
            Field::Proto => match packet {
                Packet::Four(Carries::Ports) | Packet::Six(Carries::Ports) => return self.of(&[6, 17, 33, 132, 136]),
                _ => return self.of(&[2, 4, 41, 46, 89, 112]),
            },
            // Below those of tunnels.
            Field::SrcPort | Field::DstPort => 11,
            Field::FlowLabel | Field::Mpls => 20,
            Field::Dscp => 6,
            Field::Vni => 24,
            Field::IcmpId => 16,
            Field::Spi | Field::GreKey | Field::GtpTeid | Field::Mark | Field::Queue | Field::SkbHash => 32,
        };
        let number = u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64());
        number >> (128 - bits)
    }

    pub fn sample(&mut self) -> Sample {
        let carries = [
            Carries::Other,
            Carries::Ports,
            Carries::Ports,
            Carries::Esp,
            Carries::Ah,
            Carries::Icmp,
            Carries::Vxlan,
            Carries::Gtp,
            Carries::Gre,
            Carries::Nvgre,
        ];
        let carries = self.of(&carries);
        let packet = self.of(&[
            Packet::Four(carries),
            Packet::Four(carries),
            Packet::Six(carries),
            Packet::Six(carries),
            Packet::Mpls,
            Packet::Other,
        ]);
        let tags = self.of(&[(0, false), (1, false), (1, true), (2, false), (2, true)]);
        let values = Field::ALL.map(|field| self.value(field, packet));
        Sample { packet, tags, values, rest: self.0.next_u64() }
    }

    /// The same with another value in one field.
    pub fn other(&mut self, field: Field, sample: &Sample) -> Sample {
        let mut other = sample.clone();
        while other.values == sample.values {
            other.values[field as usize] = self.value(field, sample.packet);
        }
        other
    }
}

impl Sample {
    pub fn value(&self, field: Field) -> u128 {
        self.values[field as usize]
    }

    fn bytes<const N: usize>(&self, field: Field) -> [u8; N] {
        *self.value(field).to_be_bytes().last_chunk().unwrap()
    }

    fn carries(&self) -> Option<Carries> {
        match self.packet {
            Packet::Four(carries) | Packet::Six(carries) => Some(carries),
            Packet::Mpls | Packet::Other => None,
        }
    }

    /// Whether a frame of this kind has a field, and may have any value in it.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::SrcMac | Field::DstMac | Field::Mark | Field::Queue | Field::SkbHash => true,
            Field::EtherType => self.packet == Packet::Other,
            Field::Vlan => self.tags.0 > 0,
            Field::InnerVlan => self.tags.0 > 1,
            Field::SrcIp | Field::DstIp | Field::Dscp => self.carries().is_some(),
            Field::Proto => matches!(self.carries(), Some(Carries::Other | Carries::Ports)),
            Field::SrcPort => matches!(self.carries(), Some(Carries::Ports | Carries::Vxlan | Carries::Gtp)),
            Field::DstPort => self.carries() == Some(Carries::Ports),
            Field::FlowLabel => matches!(self.packet, Packet::Six(_)),
            Field::Spi => matches!(self.carries(), Some(Carries::Esp | Carries::Ah)),
            Field::Vni => matches!(self.carries(), Some(Carries::Vxlan | Carries::Nvgre)),
            Field::GreKey => self.carries() == Some(Carries::Gre),
            Field::GtpTeid => self.carries() == Some(Carries::Gtp),
            Field::Mpls => self.packet == Packet::Mpls,
            Field::IcmpId => self.carries() == Some(Carries::Icmp),
        }
    }

    /// The frame the other way. The destination port of a tunnel is the same both ways.
    pub fn turned(&self) -> Self {
        let mut turned = self.clone();
        turned.values.swap(Field::SrcMac as usize, Field::DstMac as usize);
        turned.values.swap(Field::SrcIp as usize, Field::DstIp as usize);
        if self.carries() == Some(Carries::Ports) {
            turned.values.swap(Field::SrcPort as usize, Field::DstPort as usize);
        }
        turned
    }

    pub fn known(&self) -> Known {
        let number = |field| u32::from_be_bytes(self.bytes(field));
        Known {
            tag: (self.tags.0 > 0 && self.tags.1).then(|| self.tci(Field::Vlan)).into(),
            mark: number(Field::Mark),
            queue: number(Field::Queue),
            hash: number(Field::SkbHash),
        }
    }

    /// A tag's VLAN with a priority.
    fn tci(&self, field: Field) -> u16 {
        u16::from_be_bytes(self.bytes(field)) | u16::from(self.rest.to_be_bytes()[0]) << 13
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut frame = [self.bytes::<6>(Field::DstMac), self.bytes::<6>(Field::SrcMac)].concat();
        let beside = usize::from(self.tags.1);
        for (field, tpid) in
            [(Field::Vlan, 0x88a8_u16), (Field::InnerVlan, 0x8100)].iter().take(self.tags.0).skip(beside)
        {
            frame.extend(tpid.to_be_bytes());
            frame.extend(self.tci(*field).to_be_bytes());
        }
        match self.packet {
            Packet::Four(carries) => self.four(&mut frame, carries),
            Packet::Six(carries) => self.six(&mut frame, carries),
            Packet::Mpls => {
                frame.extend([0x88, 0x47]);
                let label = u32::from_be_bytes(self.bytes(Field::Mpls));
                frame.extend((label << 12 | u32::from(self.rest.to_be_bytes()[0])).to_be_bytes());
            }
            Packet::Other => frame.extend(self.bytes::<2>(Field::EtherType)),
        }
        frame.extend([self.rest.to_be_bytes(); 3].concat());
        frame
    }

    fn protocol(&self, carries: Carries, six: bool) -> u8 {
        match carries {
            Carries::Other | Carries::Ports => self.bytes::<1>(Field::Proto)[0],
            Carries::Esp => 50,
            Carries::Ah => 51,
            Carries::Icmp if six => 58,
            Carries::Icmp => 1,
            Carries::Vxlan | Carries::Gtp => 17,
            Carries::Gre | Carries::Nvgre => 47,
        }
    }

    fn four(&self, frame: &mut Vec<u8>, carries: Carries) {
        let rest = self.rest.to_be_bytes();
        let options = rest[7] % 3;
        frame.extend([0x08, 0x00, 0x45 + options, (self.bytes::<1>(Field::Dscp)[0] << 2) | rest[1] & 3]);
        frame.extend([rest[2], rest[3], rest[4], rest[5], 0x40, 0, rest[6], self.protocol(carries, false), 0, 0]);
        frame.extend([self.bytes::<4>(Field::SrcIp), self.bytes::<4>(Field::DstIp)].concat());
        frame.extend(vec![rest[2]; usize::from(options) * 4]);
        self.transport(frame, carries, false);
    }

    fn six(&self, frame: &mut Vec<u8>, carries: Carries) {
        let rest = self.rest.to_be_bytes();
        let dscp = u32::from(self.bytes::<1>(Field::Dscp)[0]);
        let label = u32::from_be_bytes(self.bytes(Field::FlowLabel));
        frame.extend([0x86, 0xdd]);
        frame.extend((0x6000_0000 | dscp << 22 | u32::from(rest[1] & 3) << 20 | label).to_be_bytes());
        frame.extend([rest[2], rest[3], self.protocol(carries, true), rest[4]]);
        frame.extend([self.bytes::<16>(Field::SrcIp), self.bytes::<16>(Field::DstIp)].concat());
        self.transport(frame, carries, true);
    }

    fn transport(&self, frame: &mut Vec<u8>, carries: Carries, six: bool) {
        let rest = self.rest.to_be_bytes();
        let ports = |port: u16| [self.bytes::<2>(Field::SrcPort), port.to_be_bytes()].concat();
        let vni = self.bytes::<3>(Field::Vni);
        match carries {
            Carries::Other => {}
            Carries::Ports => frame.extend(ports(u16::from_be_bytes(self.bytes(Field::DstPort)))),
            Carries::Esp => frame.extend(self.bytes::<4>(Field::Spi)),
            Carries::Ah => {
                frame.extend([rest[0], 4, 0, 0]);
                frame.extend(self.bytes::<4>(Field::Spi));
            }
            Carries::Icmp => {
                frame.extend([if six { 128 } else { 8 }, 0, rest[0], rest[1]]);
                frame.extend(self.bytes::<2>(Field::IcmpId));
                frame.extend(&rest[2..4]);
            }
            Carries::Vxlan => {
                frame.extend(ports([4789, 8472, 6081][usize::from(rest[0] % 3)]));
                frame.extend([0, 50, 0, 0, 8, 0, 0, 0, vni[0], vni[1], vni[2], rest[1]]);
            }
            Carries::Gtp => {
                frame.extend(ports(2152));
                frame.extend([0, 50, 0, 0, 0x30, 255, rest[0], rest[1]]);
                frame.extend(self.bytes::<4>(Field::GtpTeid));
            }
            Carries::Gre => {
                let checksum = rest[0] < 128;
                frame.extend([if checksum { 0xa0 } else { 0x20 }, 0, 8, 0]);
                frame.extend(&rest[..if checksum { 4 } else { 0 }]);
                frame.extend(self.bytes::<4>(Field::GreKey));
            }
            Carries::Nvgre => frame.extend([0x20, 0, 0x65, 0x58, vni[0], vni[1], vni[2], rest[0]]),
        }
    }
}
