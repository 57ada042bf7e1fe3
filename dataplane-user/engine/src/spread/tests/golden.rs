//! The table that was shipped, to the last bucket: another one would move flows on an upgrade, or between two machines.

use super::*;

/// The FNV-1a hash (64 bits) of all fallback orders.
fn digest(members: &[SpreadMember], buckets: u32) -> u64 {
    let bytes = fallback_orders(members, buckets).into_iter().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Members of all weights in all slots.
fn mixed(count: u8) -> Vec<SpreadMember> {
    (0..count).map(|id| share(id, 1 + id.wrapping_mul(37) % 255)).collect()
}

#[test]
fn the_points_are_those_that_were_shipped() {
    let found: Vec<u64> = [
        digest(&equal(2), 256),
        digest(&equal(3), 4096),
        digest(&equal(8), 4096),
        digest(&equal(64), 65_536),
        digest(&[share(0, 10), share(1, 1)], 4096),
        digest(&mixed(8), 4096),
        digest(&mixed(64), 65_536),
    ]
    .into();
    assert_eq!(found, GOLDEN, "{found:#x?}");
}

/// Since the first version.
const GOLDEN: [u64; 7] = [
    0x82b2_3f29_bae2_82ff,
    0xaf78_ab29_4b5a_497b,
    0xf710_1ab3_287e_8659,
    0x57e6_7324_7e02_62d9,
    0xaded_c205_fae5_f7db,
    0x11ca_52b9_c48e_45d9,
    0xf0f7_9bd5_6588_1339,
];
