//! Reading the frame that a program is about, and what the kernel has beside it.

use core::{arch::asm, cell::Cell};

use aggctl_common::{
    frame::Frame,
    hash::{
        self, Policy,
        list::{self, Beside, Tag},
    },
};
use aya_ebpf::{helpers::bpf_get_hash_recalc, programs::TcContext};

use crate::wanted::List;

/// The flow hash of a frame, unseeded, or nothing if it is shorter than an Ethernet header.
#[inline(always)]
pub fn hash(context: &TcContext, policy: Policy) -> Option<u32> {
    match hash::usual(policy, &Linear::of(context)) {
        Some(hash) => Some(hash),
        None => u32::try_from(unusual(context, policy)).ok(),
    }
}

/// The same for every frame; -1 for nothing. Out of line, so that the usual case need not keep anything for it.
///
/// The kernel has the headers in the linear part of nearly every frame, so that is where they are looked for. Only when
/// something is missing there the work is done again by a way that is slow and complete.
#[cold]
#[inline(never)]
fn unusual(context: &TcContext, policy: Policy) -> i64 {
    let linear = Linear::of(context);
    let mut hash = hash::hash(policy, &linear);
    if linear.missed.get() {
        hash = hash::hash(policy, &Paged(context));
    }
    hash.map_or(-1, i64::from)
}

/// The hash of the listed fields of a frame, unseeded, or nothing if it is shorter than an Ethernet header.
#[inline(always)]
pub fn listed(context: &TcContext) -> Option<u32> {
    u32::try_from(fields(context)).ok()
}

/// The same; -1 for nothing. Out of line, so that there is one of it for all programs.
#[inline(never)]
fn fields(context: &TcContext) -> i64 {
    let linear = Linear::of(context);
    let mut hash = list::hash(&List, &linear, &Aside(context));
    if linear.missed.get() {
        hash = list::hash(&List, &Paged(context), &Aside(context));
    }
    hash.map_or(-1, i64::from)
}

/// What the kernel has beside a frame.
struct Aside<'a>(&'a TcContext);

impl Beside for Aside<'_> {
    #[inline(always)]
    fn tag(&self) -> Tag {
        // SAFETY: the kernel hands the program a valid context.
        let (present, tci) = unsafe { ((*self.0.skb.skb).vlan_present, (*self.0.skb.skb).vlan_tci) };
        if present == 0 { Tag::NONE } else { Tag::new(tci as u16) }
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0.skb.skb).mark }
    }

    #[inline(always)]
    fn queue(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0.skb.skb).queue_mapping }
    }

    #[inline(always)]
    fn hash(&self) -> u32 {
        // SAFETY: the helper takes the context, and changes nothing that is seen from here.
        unsafe { bpf_get_hash_recalc(self.0.skb.skb) }
    }
}

/// The linear part of a frame, read where it lies.
struct Linear {
    start: usize,
    end: usize,
    /// Whether something was asked for that is not there.
    missed: Cell<bool>,
}

impl Linear {
    #[inline(always)]
    fn of(context: &TcContext) -> Self {
        Self { start: context.data(), end: context.data_end(), missed: Cell::new(false) }
    }
}

impl Frame for Linear {
    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize) -> Option<[u32; N]> {
        let start = self.start + offset;
        if start + N * 4 > self.end {
            self.missed.set(true);
            return None;
        }
        let mut words = [0; N];
        /// Loads words if there are so many. Their offsets must be written out in the instructions.
        macro_rules! load {
            ($($index:literal => $offset:literal),+) => {
                $(if $index < N {
                    // SAFETY: the words end before the end of the data, as the verifier checks.
                    words[$index] = unsafe { word::<$offset>(start) };
                })+
            };
        }
        const { assert!(N <= 12, "no headers have so many words") };
        load!(0 => 0, 1 => 4, 2 => 8, 3 => 12, 4 => 16, 5 => 20, 6 => 24, 7 => 28, 8 => 32, 9 => 36, 10 => 40,
            11 => 44);
        Some(words)
    }

    #[inline(always)]
    fn first_two(&self) -> Option<[u8; 2]> {
        if self.start + 2 > self.end {
            self.missed.set(true);
            return None;
        }
        // SAFETY: the two octets end before the end of the data, as the verifier checks, and a frame starts at an even
        // address.
        Some(unsafe { *(self.start as *const u16) }.to_ne_bytes())
    }
}

/// Loads a word of the packet. Headers need not be aligned to words. Machines that the programs run on can load such
/// words (else the verifier refuses the program), but Rust would put one together from smaller loads.
///
/// # Safety
///
/// There are four octets of the packet at this offset from the address, and they do not change while the program runs.
#[inline(always)]
unsafe fn word<const OFFSET: usize>(address: usize) -> u32 {
    let word: u64;
    // SAFETY: by the caller; it reads these octets and does nothing else.
    unsafe {
        asm!("{word} = *(u32 *)({address} + {offset})", word = lateout(reg) word, address = in(reg) address,
            offset = const OFFSET, options(pure, readonly, nostack, preserves_flags));
        // What the instruction does, and the compiler cannot know.
        core::hint::assert_unchecked(word <= u32::MAX as u64);
    }
    word as u32
}

/// A whole frame, copied out piece by piece.
struct Paged<'a>(&'a TcContext);

impl Frame for Paged<'_> {
    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize) -> Option<[u32; N]> {
        self.0.load(offset).ok()
    }

    #[inline(always)]
    fn first_two(&self) -> Option<[u8; 2]> {
        self.0.load(0).ok()
    }
}
