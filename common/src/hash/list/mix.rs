//! The function that makes one number of many.

/// Bob Jenkins's hash of three words, as the kernel has it (`jhash_3words` in `include/linux/jhash.h`); he placed it in
/// the public domain. `hash` is what it begins with.
#[inline(always)]
pub(super) const fn mix(hash: u32, [first, second, third]: [u32; 3]) -> u32 {
    /// `JHASH_INITVAL`, and four times the number of words.
    const BEGIN: u32 = 0xdead_beef + (3 << 2);

    let begin = hash.wrapping_add(BEGIN);
    let [mut a, mut b, mut c] = [first.wrapping_add(begin), second.wrapping_add(begin), third.wrapping_add(begin)];
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
