//! Where this kernel has what the programs read of it, by the description of its own types (BTF).
//!
//! Only what is needed is looked for. The loader's parser makes a picture of all types first, which takes a hundred
//! times as long, and shows no members.

/// What to read of a port's device, and how: see [`aggctl_common::device`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelTypes {
    /// The number of the type `net_device`.
    pub net_device: u32,
    /// The offset of `net_device.state`.
    pub state: i16,
    /// The offset of `net_device.ifindex`.
    pub ifindex: i16,
    /// The offset of `sk_buff.dev`.
    pub dev: i16,
    /// The number of the function `bpf_rdonly_cast`.
    pub rdonly_cast: u32,
    /// The number of the function `bpf_cast_to_kern_ctx`.
    pub cast_to_kern_ctx: u32,
}

/// Kinds of types (`BTF_KIND_*` of linux/btf.h).
mod kind {
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const FUNC: u32 = 12;
}

/// What the types begin with (`BTF_MAGIC`), on a machine of our byte order.
const MAGIC: u16 = 0xeb9f;
/// Octets of what each type begins with.
const TYPE: usize = 12;
/// Octets of what describes a member.
const MEMBER: usize = 12;
/// Within each other, no more structures without a name are looked into.
const DEPTH: usize = 8;

impl KernelTypes {
    /// Finds them in the octets of a kernel's `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    ///
    /// What this kernel does not have.
    pub fn parse(octets: &[u8]) -> Result<Self, String> {
        let types = Types::of(octets).ok_or("its types cannot be read")?;
        let number = |name: &str, kind| {
            let found = types.position(name, kind);
            found.and_then(|found| u32::try_from(found).ok()).ok_or_else(|| format!("it has no {name}"))
        };
        let offset = |of: u32, name: &str| {
            let found = types.member(usize::try_from(of).ok()?, name, DEPTH);
            found.filter(|bits| bits % 8 == 0).and_then(|bits| i16::try_from(bits / 8).ok())
        };
        let offset = |of, name: &str| offset(of, name).ok_or_else(|| format!("it has no {name} where that is read"));
        let (net_device, sk_buff) = (number("net_device", kind::STRUCT)?, number("sk_buff", kind::STRUCT)?);
        Ok(Self {
            net_device,
            state: offset(net_device, "state")?,
            ifindex: offset(net_device, "ifindex")?,
            dev: offset(sk_buff, "dev")?,
            rdonly_cast: number("bpf_rdonly_cast", kind::FUNC)?,
            cast_to_kern_ctx: number("bpf_cast_to_kern_ctx", kind::FUNC)?,
        })
    }
}

/// The description of all types.
struct Types<'a> {
    /// One after the other.
    types: &'a [u8],
    /// Their names, each with a final zero.
    names: &'a [u8],
    /// Where each type begins. The first, number 0, is none.
    begin: Vec<usize>,
}

impl<'a> Types<'a> {
    fn of(octets: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(octets.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let part = |offset: usize| {
            let (start, length) = (word(octets, offset)?, word(octets, offset + 4)?);
            let start = size(word(octets, 4)?)? + size(start)?;
            octets.get(start..start.checked_add(size(length)?)?)
        };
        let (types, names) = (part(8)?, part(16)?);
        let mut begin = vec![usize::MAX];
        let mut at = 0;
        while at < types.len() {
            begin.push(at);
            let info = word(types, at + 4)?;
            at += TYPE + more(kind_of(info), size(info & 0xffff)?)?;
        }
        Some(Self { types, names, begin })
    }

    /// The number of the type of this name and kind.
    fn position(&self, name: &str, kind: u32) -> Option<usize> {
        let is_it = |at: &usize| {
            let is_kind = word(self.types, at.saturating_add(4)).is_some_and(|info| kind_of(info) == kind);
            is_kind && self.is_named(*at, name)
        };
        self.begin.iter().skip(1).position(is_it).map(|before| before + 1)
    }

    /// How many bits into a structure the member of this name begins, also if it is one of a structure within that has
    /// no name.
    fn member(&self, number: usize, name: &str, depth: usize) -> Option<u32> {
        let at = *self.begin.get(number)?;
        let info = word(self.types, at.checked_add(4)?)?;
        if !matches!(kind_of(info), kind::STRUCT | kind::UNION) {
            return None;
        }
        (0..size(info & 0xffff)?).find_map(|member| {
            let at = at + TYPE + member * MEMBER;
            let bits = word(self.types, at + 8)?;
            // In structures with bit fields the upper octet is the number of bits.
            let bits = if info >> 31 == 1 { bits & 0x00ff_ffff } else { bits };
            if self.is_named(at, name) {
                return Some(bits);
            }
            if word(self.types, at)? != 0 || depth == 0 {
                return None;
            }
            let within = self.member(size(word(self.types, at + 4)?)?, name, depth - 1)?;
            bits.checked_add(within)
        })
    }

    /// Whether the type or member that is described there has this name.
    fn is_named(&self, at: usize, name: &str) -> bool {
        let there = word(self.types, at).and_then(size).and_then(|start| self.names.get(start..));
        there.and_then(|there| there.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// Octets of the description of a type of this kind, beyond those that all have.
const fn more(kind: u32, count: usize) -> Option<usize> {
    match kind {
        // Pointers, forward declarations, other names, modifiers, functions, floating point numbers, tags of types.
        2 | 7..=11 | kind::FUNC | 16 | 18 => Some(0),
        // Integers, variables, tags of declarations.
        1 | 14 | 17 => Some(4),
        // Arrays.
        3 => Some(12),
        // Enumerations, and parameters of functions.
        6 | 13 => Some(8 * count),
        // Members, parts of sections, and values of large enumerations.
        kind::STRUCT | kind::UNION | 15 | 19 => Some(MEMBER * count),
        _ => None,
    }
}

const fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

fn size(word: u32) -> Option<usize> {
    usize::try_from(word).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

    /// Types like those of a kernel, small: the functions and structures, `state` in a structure without a name.
    fn sample() -> Vec<u8> {
        let mut names = vec![0_u8];
        let mut name = |text: &str| {
            let at = u32::try_from(names.len()).unwrap();
            names.extend(text.bytes().chain([0]));
            at
        };
        let info = |kind: u32, count: u32| kind << 24 | count;
        let mut words = Vec::new();
        // 1: an integer, which has four octets more.
        words.extend([name("long"), info(1, 0), 8, 64]);
        // 2: what has no name.
        words.extend([0, info(kind::STRUCT, 1), 8, name("state"), 1, 64]);
        // 3: with a bit field.
        let flags = 1 << 31;
        words.extend([name("net_device"), info(kind::STRUCT, 3) | flags, 64]);
        words.extend([name("ifindex_old"), 1, 3 << 24, 0, 2, 128, name("ifindex"), 1, 256]);
        // 4 to 6.
        words.extend([name("sk_buff"), info(kind::STRUCT, 1), 64, name("dev"), 1, 128]);
        words.extend([name("bpf_rdonly_cast"), info(kind::FUNC, 0), 1]);
        words.extend([name("bpf_cast_to_kern_ctx"), info(kind::FUNC, 0), 1]);
        let types: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let lengths = [types.len(), names.len()].map(|length| u32::try_from(length).unwrap());
        let header = [24, 0, lengths[0], lengths[0], lengths[1]].map(u32::to_ne_bytes).concat();
        [&MAGIC.to_ne_bytes(), &[1, 0][..], &header, &types, &names].concat()
    }

    /// The same with this name changed in one letter.
    fn without(octets: &[u8], name: &str) -> Vec<u8> {
        let whole = [&[0], name.as_bytes(), &[0]].concat();
        let at = octets.windows(whole.len()).rposition(|there| there == whole).unwrap();
        let mut changed = octets.to_vec();
        changed[at + 1] = b'X';
        changed
    }

    #[test]
    fn members_are_found_also_in_structures_without_a_name() {
        let expected =
            KernelTypes { net_device: 3, state: 24, ifindex: 32, dev: 16, rdonly_cast: 5, cast_to_kern_ctx: 6 };
        assert_eq!(KernelTypes::parse(&sample()), Ok(expected));
    }

    #[test]
    fn a_kernel_without_the_functions_or_members_is_told() {
        for name in ["bpf_rdonly_cast", "bpf_cast_to_kern_ctx", "net_device", "sk_buff", "state", "ifindex", "dev"] {
            let error = KernelTypes::parse(&without(&sample(), name)).unwrap_err();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn no_octets_make_it_panic() {
        let sample = sample();
        for length in 0..sample.len() {
            assert!(KernelTypes::parse(&sample[..length]).is_err(), "{length}");
        }
        for at in 0..sample.len() {
            for octet in [0x00, 0x7f, 0xff] {
                let mut changed = sample.clone();
                changed[at] = octet;
                let _ = KernelTypes::parse(&changed);
            }
        }
    }

    #[test]
    fn this_kernel_has_them_or_lacks_the_functions() {
        let Ok(octets) = fs::read(VMLINUX) else {
            println!("skipped: {VMLINUX} is not there");
            return;
        };
        match KernelTypes::parse(&octets) {
            Ok(_) => {
                let error = KernelTypes::parse(&without(&octets, "bpf_rdonly_cast")).unwrap_err();
                assert!(error.contains("bpf_rdonly_cast"), "{error}");
            }
            Err(error) => assert!(error.contains("bpf_"), "{error}"),
        }
    }
}
