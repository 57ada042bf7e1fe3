use super::*;

/// The words of a block, whose both lengths are right.
fn words(block: &[u8]) -> Vec<u32> {
    assert_eq!(block.len() % 4, 0);
    let words: Vec<_> = block.as_chunks().0.iter().map(|octets| u32::from_le_bytes(*octets)).collect();
    assert_eq!((words[1], words[words.len() - 1]), (length_of(block), length_of(block)));
    words[..words.len() - 1].to_vec()
}

/// An option's code and length, as a word.
const fn option(code: u32, length: u32) -> u32 {
    length << 16 | code
}

#[test]
fn a_section_says_its_order_of_octets_and_who_wrote_it() {
    let block = section_header("abcde");
    let expected = [
        0x0a0d_0d0a,
        48,
        0x1a2b_3c4d,
        1,
        u32::MAX,
        u32::MAX,
        option(4, 5),
        u32::from_le_bytes(*b"abcd"),
        u32::from_le_bytes(*b"e\0\0\0"),
        0,
    ];
    // The last word is the end of the options, and the length follows.
    assert_eq!(words(&block)[..10], [&[expected[0], 44][..], &expected[2..]].concat());
}

#[test]
fn an_interface_has_a_name_and_times_in_nanoseconds() {
    let name = u32::from_le_bytes(*b"eth0");
    assert_eq!(words(&interface("eth0", 9000)), [1, 40, 1, 9000, option(2, 4), name, option(9, 1), 9, 0]);
}

#[test]
fn a_frame_has_its_time_in_two_words_its_lengths_and_its_direction() {
    for (direction, flag) in [(Direction::In, 1), (Direction::Out, 2)] {
        let octets = [1, 2, 3, 4, 5];
        let at_ns = 0x0000_0007_0000_0009;
        let block = frame(&CapturedFrame { interface: 3, at_ns, direction, octets: &octets, length: 70 });
        let expected = [6, 52, 3, 7, 9, 5, 70, 0x0403_0201, 5, option(2, 4), flag, 0];
        assert_eq!(words(&block), expected);
    }
}

#[test]
fn statistics_count_what_came_and_what_had_no_room() {
    let expected = [5, 52, 1, 7, 9, option(4, 8), 11, 0, option(7, 8), 2, 0, 0];
    assert_eq!(words(&statistics(1, 0x0000_0007_0000_0009, 11, 2)), expected);
}
