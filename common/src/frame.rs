//! Reading a frame, in whatever form it is at hand.

/// An Ethernet frame as it is on the wire, without the VLAN tag that the kernel keeps beside it.
///
/// The parser is written once for what differs in the two places that it runs in: a slice of octets on the host, and in
/// a program the packet, every access to which the verifier wants to see checked. It reads words, since a program that
/// read octets would have to put them together one by one.
pub trait Frame {
    /// The `N` words of four octets each that begin `offset` octets after the first one of the destination address, as
    /// numbers in the machine's byte order; nothing if the frame ends before the last of them.
    ///
    /// `offset` is 2 more than a multiple of 4, as the offsets of all headers are: that is where the kernel has words
    /// aligned on machines that require it.
    fn words<const N: usize>(&self, offset: usize) -> Option<[u32; N]>;

    /// The two octets before the first word: those that the destination address begins with.
    fn first_two(&self) -> Option<[u8; 2]>;
}

impl Frame for [u8] {
    #[inline]
    fn words<const N: usize>(&self, offset: usize) -> Option<[u32; N]> {
        let octets = self.get(offset..)?.get(..N * 4)?;
        let mut words = [0; N];
        for (word, octets) in words.iter_mut().zip(octets.as_chunks().0) {
            *word = u32::from_ne_bytes(*octets);
        }
        Some(words)
    }

    #[inline]
    fn first_two(&self) -> Option<[u8; 2]> {
        self.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_it_ends() {
        let frame: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let word = |octets| u32::from_ne_bytes(octets);
        assert_eq!(frame.first_two(), Some([0, 1]));
        assert_eq!(Frame::first_two(&frame[..1]), None);
        assert_eq!(frame.words(2), Some([word([2, 3, 4, 5]), word([6, 7, 8, 9])]));
        assert_eq!(frame.words(6), Some([word([6, 7, 8, 9])]));
        assert_eq!(frame.words::<3>(2), None);
        assert_eq!(frame.words::<2>(6), None);
        assert_eq!(frame.words::<1>(10), None);
        assert_eq!(frame.words::<1>(14), None);
        assert_eq!(frame.words::<1>(usize::MAX - 1), None);
    }
}
