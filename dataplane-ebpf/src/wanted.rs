//! What a program is to hash, where that is a list of fields.

use aggctl_common::hash::list::{Masks, Wanted};
use aya_ebpf::Global;

/// The words of the list. They are set when the program is loaded.
#[unsafe(no_mangle)]
static FIELDS: Global<[u32; Masks::WORDS]> = Global::new(Masks::NOTHING.0);

/// [`FIELDS`], of which a word at a time is loaded: what is not wanted costs a word and a branch at most, since the
/// verifier knows the words.
pub struct List;

impl Wanted for List {
    #[inline(always)]
    fn word(&self, index: usize) -> u32 {
        let words = (&raw const FIELDS).cast::<u32>();
        // SAFETY: the global is an array of this many words, and all callers are given places within it by
        // `Masks::WORDS`. Volatile, because the loader changes what the compiler takes for a constant.
        unsafe { words.add(index).read_volatile() }
    }
}
