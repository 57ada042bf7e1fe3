//! What a rule of nftables makes of an interface: its expressions are run for the port and for the aggregate at once,
//! as far as they are about interfaces. A rule in which some comparison comes out differently treats the two
//! differently.

use super::{interface::Interface, xtables};
use crate::netlink::tlv::Attributes;

/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_EXPR_NAME`.
const NAME: u16 = 1;
/// `NFTA_EXPR_DATA`.
const DATA: u16 = 2;
/// `NFTA_DATA_VALUE`.
const VALUE: u16 = 1;
/// Registers, in words: four of verdicts' kind come first.
const WORDS: usize = 16;
/// Octets of the name of an interface.
const NAME_LENGTH: usize = 16;
/// `NFT_FIB_RESULT_OIF`.
const FIB_INDEX: u32 = 1;
/// `NFT_FIB_RESULT_OIFNAME`.
const FIB_NAME: u32 = 2;

/// A word of a register: as it is for the port, and for the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RegisterWord {
    port: [u8; 4],
    aggregate: [u8; 4],
    /// Whether it is the first of a field.
    first: bool,
}

/// The known words of a key; `None` is a word that has nothing to do with interfaces.
pub(super) type KeyWords = Vec<Option<([u8; 4], bool)>>;

/// What asks whether a key is in a set.
pub(super) trait Sets {
    /// Whether the set of this name has an element that these words fit.
    fn contains(&mut self, set: &str, key: &KeyWords) -> bool;
}

/// Whether the rule with these expressions treats the two differently.
pub(super) fn differs(expressions: &[u8], port: &Interface, aggregate: &Interface, sets: &mut dyn Sets) -> bool {
    let mut machine = Machine { port, aggregate, words: [None; WORDS], immediate: [None; WORDS] };
    Attributes::nested(expressions).filter(|(kind, _)| *kind == ELEMENT).any(|(_, expression)| {
        let expression = Attributes::nested(expression);
        let data = Attributes::nested(expression.find(DATA).unwrap_or_default());
        machine.run(&expression.string(NAME).unwrap_or_default(), data, sets)
    })
}

struct Machine<'a> {
    port: &'a Interface,
    aggregate: &'a Interface,
    words: [Option<RegisterWord>; WORDS],
    immediate: [Option<[u8; 4]>; WORDS],
}

impl Machine<'_> {
    /// Runs one expression; says whether it told the two apart.
    fn run(&mut self, name: &str, data: Attributes<'_>, sets: &mut dyn Sets) -> bool {
        match name {
            "meta" => {
                if let (Some(to), Some(key)) = (register(data, 1), number(data, 2)) {
                    self.load(to, &|of| field(key, of));
                }
            }
            "fib" => {
                if let (Some(to), Some(result)) = (register(data, 1), number(data, 2)) {
                    let field = |of: &Interface| match result {
                        FIB_INDEX => Some(of.index.0.to_ne_bytes().to_vec()),
                        FIB_NAME => Some(padded(&of.name)),
                        _ => None,
                    };
                    self.load(to, &field);
                }
            }
            "immediate" => {
                if let Some(to) = register(data, 1) {
                    self.forget(to);
                    self.immediate[to] = value(data, 2).and_then(|value| value.first_chunk().copied());
                }
            }
            "bitwise" => self.mask(data),
            "byteorder" => self.swap(data),
            "cmp" => return self.compare(data),
            "range" => return self.compare_range(data),
            "lookup" => return self.look_up(register(data, 2), data.string(1), sets),
            "objref" => return self.look_up(register(data, 3), data.string(4), sets),
            // Where a packet is sent on to.
            "fwd" => return self.sends_to_port(register(data, 1)),
            "dup" => return self.sends_to_port(register(data, 2)),
            "match" if data.string(1).as_deref() == Some("devgroup") => {
                let info = data.find(3).unwrap_or_default();
                let is_in = |which, of: &Interface| xtables::is_in_group(info, which, of.group);
                return (0..2).any(|which| is_in(which, self.port) != is_in(which, self.aggregate));
            }
            // Most others have their result where their first attribute says, some where the second does.
            "hash" | "socket" | "tunnel" => self.forget_attribute(data, 2),
            _ => self.forget_attribute(data, 1),
        }
        false
    }

    /// Loads a field of the interfaces; one that is none of interfaces makes the register unknown.
    fn load(&mut self, to: usize, field: &dyn Fn(&Interface) -> Option<Vec<u8>>) {
        self.forget(to);
        let (Some(port), Some(aggregate)) = (field(self.port), field(self.aggregate)) else { return };
        let words = port.chunks(4).zip(aggregate.chunks(4)).enumerate();
        for (word, (at, (port, aggregate))) in self.words.iter_mut().skip(to).zip(words) {
            let whole = |part: &[u8]| part.first_chunk().copied().unwrap_or_default();
            *word = Some(RegisterWord { port: whole(port), aggregate: whole(aggregate), first: at == 0 });
        }
    }

    /// What is in a register from here on is unknown: at most an address.
    fn forget(&mut self, from: usize) {
        for word in self.words.iter_mut().skip(from).take(4) {
            *word = None;
        }
        for word in self.immediate.iter_mut().skip(from).take(4) {
            *word = None;
        }
    }

    fn forget_attribute(&mut self, data: Attributes<'_>, attribute: u16) {
        if let Some(to) = register(data, attribute) {
            self.forget(to);
        }
    }

    /// `bitwise`: a mask and what is turned over then. Newer operations make the register unknown.
    fn mask(&mut self, data: Attributes<'_>) {
        let (Some(from), Some(to), Some(length)) = (register(data, 1), register(data, 2), number(data, 3)) else {
            return;
        };
        let (Some(mask), Some(turn)) = (value(data, 4), value(data, 5)) else { return self.forget(to) };
        let count = usize::try_from(length).unwrap_or(0).div_ceil(4);
        let source = self.words;
        self.forget(to);
        for (at, (mask, turn)) in mask.chunks(4).zip(turn.chunks(4)).enumerate().take(count) {
            let change = |word: [u8; 4]| {
                let octet = |of: &[u8], at: usize| of.get(at).copied().unwrap_or(0);
                std::array::from_fn(|at| (word[at] & octet(mask, at)) ^ octet(turn, at))
            };
            if let (Some(Some(word)), Some(place)) = (source.get(from + at), self.words.get_mut(to + at)) {
                *place = Some(RegisterWord {
                    port: change(word.port),
                    aggregate: change(word.aggregate),
                    first: word.first,
                });
            }
        }
    }

    /// `byteorder`, of numbers of four octets; others make the register unknown.
    fn swap(&mut self, data: Attributes<'_>) {
        let (Some(from), Some(to)) = (register(data, 1), register(data, 2)) else { return };
        let word = self.words.get(from).copied().flatten().filter(|_| number(data, 5) == Some(4));
        self.forget(to);
        let turned = |word: [u8; 4]| u32::from_ne_bytes(word).to_be_bytes();
        if let (Some(word), Some(place)) = (word, self.words.get_mut(to)) {
            *place = Some(RegisterWord { port: turned(word.port), aggregate: turned(word.aggregate), ..word });
        }
    }

    /// The octets of a register, for the port and for the aggregate, if they are about interfaces.
    fn octets(&self, from: usize, length: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let words: Option<Vec<_>> = (from..from + length.div_ceil(4)).map(|at| *self.words.get(at)?).collect();
        let words = words?;
        let cut = |mut octets: Vec<u8>| {
            octets.truncate(length);
            octets
        };
        let all = |of: fn(&RegisterWord) -> [u8; 4]| cut(words.iter().flat_map(of).collect());
        Some((all(|word| word.port), all(|word| word.aggregate)))
    }

    /// `cmp`. A name may be compared in part: `eth*`.
    fn compare(&self, data: Attributes<'_>) -> bool {
        let parts = || {
            let wanted = value(data, 3)?;
            let (port, aggregate) = self.octets(register(data, 1)?, wanted.len())?;
            let holds = |octets: &[u8]| match number(data, 2) {
                // Less, less or equal, greater, greater or equal; equal and not equal differ alike.
                Some(2) => octets < wanted,
                Some(3) => octets <= wanted,
                Some(4) => octets > wanted,
                Some(5) => octets >= wanted,
                _ => octets == wanted,
            };
            Some(holds(&port) != holds(&aggregate))
        };
        parts().unwrap_or(false)
    }

    fn compare_range(&self, data: Attributes<'_>) -> bool {
        let parts = || {
            let (least, most) = (value(data, 3)?, value(data, 4)?);
            let (port, aggregate) = self.octets(register(data, 1)?, least.len())?;
            let holds = |octets: &[u8]| least <= octets && octets <= most;
            Some(holds(&port) != holds(&aggregate))
        };
        parts().unwrap_or(false)
    }

    fn look_up(&self, from: Option<usize>, set: Option<String>, sets: &mut dyn Sets) -> bool {
        let (Some(from), Some(set)) = (from, set) else { return false };
        let key = |of: fn(&RegisterWord) -> [u8; 4]| -> KeyWords {
            self.words[from..].iter().map(|word| word.as_ref().map(|word| (of(word), word.first))).collect()
        };
        if self.words[from..].iter().all(Option::is_none) {
            return false;
        }
        sets.contains(&set, &key(|word| word.port)) != sets.contains(&set, &key(|word| word.aggregate))
    }

    fn sends_to_port(&self, register: Option<usize>) -> bool {
        let word = register.and_then(|at| self.immediate.get(at).copied().flatten());
        word == Some(self.port.index.0.to_ne_bytes())
    }
}

/// What `meta` loads of an interface, by its key (`NFT_META_*`): number, name, group and kind of the one that a packet
/// comes in by or leaves by.
fn field(key: u32, of: &Interface) -> Option<Vec<u8>> {
    match key {
        4 | 5 => Some(of.index.0.to_ne_bytes().to_vec()),
        6 | 7 => Some(padded(&of.name)),
        21 | 22 => Some(of.group.to_ne_bytes().to_vec()),
        26 | 27 => Some(padded(&of.kind)),
        _ => None,
    }
}

/// A name as registers hold it.
fn padded(name: &str) -> Vec<u8> {
    let mut octets = name.as_bytes().to_vec();
    octets.resize(NAME_LENGTH, 0);
    octets
}

/// The first word of a register: 1 to 4 have four words each, from 8 on they are single words of the same.
fn register(data: Attributes<'_>, attribute: u16) -> Option<usize> {
    let word = match usize::try_from(number(data, attribute)?).ok()? {
        register @ 1..=4 => (register - 1) * 4,
        register => register.checked_sub(8)?,
    };
    (word < WORDS).then_some(word)
}

/// A number, which nftables has in network order.
fn number(data: Attributes<'_>, attribute: u16) -> Option<u32> {
    data.find(attribute)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// A value that something is compared with.
fn value<'a>(data: Attributes<'a>, attribute: u16) -> Option<&'a [u8]> {
    Attributes::nested(data.find(attribute)?).find(VALUE)
}

/// A set, or map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(Vec<SetElement>);

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SetElement {
    key: Vec<u8>,
    /// The end of its range, in sets of several fields.
    last: Option<Vec<u8>>,
    /// It ends the range that the one before it begins, in sets of one field.
    ends: bool,
    /// It stands for all others.
    any: bool,
}

impl Set {
    /// Adds what a message lists (`NFTA_SET_ELEM_*`).
    pub fn add(&mut self, elements: &[u8]) {
        for (_, element) in Attributes::nested(elements).filter(|(kind, _)| *kind == ELEMENT) {
            let element = Attributes::nested(element);
            let flags = number(element, 3).unwrap_or_default();
            let key = value(element, 1).unwrap_or_default().to_vec();
            let last = value(element, 10).map(<[u8]>::to_vec);
            self.0.push(SetElement { key, last, ends: flags & 1 != 0, any: flags & 2 != 0 });
        }
    }

    /// Whether an element fits these words.
    pub fn contains(&self, key: &KeyWords) -> bool {
        if self.0.iter().any(|element| element.any) {
            return true;
        }
        if self.0.iter().any(|element| element.ends) {
            return self.is_in_range(key);
        }
        self.0.iter().any(|element| element.fits(key))
    }

    /// One field with ranges: the nearest mark below says whether one begins or ends there.
    fn is_in_range(&self, key: &KeyWords) -> bool {
        let length = self.0.iter().map(|element| element.key.len()).max().unwrap_or(0);
        let words: Option<Vec<_>> =
            key.iter().take(length.div_ceil(4)).map(|word| word.map(|(word, _)| word)).collect();
        let Some(octets) = words.map(|words| words.concat()) else { return false };
        let below = self.0.iter().filter(|element| element.key.as_slice() <= octets.get(..length).unwrap_or(&octets));
        below.max_by_key(|element| (&element.key, !element.ends)).is_some_and(|element| !element.ends)
    }
}

impl SetElement {
    /// Whether each known field of the key is in the range of the same field.
    fn fits(&self, key: &KeyWords) -> bool {
        let last = self.last.as_ref().unwrap_or(&self.key);
        let mut at = 0;
        while let Some(word) = key.get(at).filter(|_| at * 4 < self.key.len()) {
            let Some((octets, _)) = word else {
                at += 1;
                continue;
            };
            let mut field = octets.to_vec();
            let mut next = at + 1;
            while let Some(Some((more, false))) = key.get(next) {
                field.extend_from_slice(more);
                next += 1;
            }
            let range = |of: &[u8]| of.get(at * 4..(next * 4).min(of.len())).map(<[u8]>::to_vec).unwrap_or_default();
            let (least, most) = (range(&self.key), range(last));
            field.truncate(least.len());
            if field < least || field > most {
                return false;
            }
            at = next;
        }
        true
    }
}
