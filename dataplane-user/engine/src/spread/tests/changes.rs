//! What moves, and what does not, when ports come and go.

use super::*;

/// A member joins, leaves, becomes usable or ceases to be. Indexes are among those for which that is possible.
#[derive(Clone, Copy, Debug)]
enum Change {
    Joins(u8, u8),
    Leaves(prop::sample::Index),
    Toggles(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..8_u8, prop_oneof![Just(1_u8), 1..=255_u8]).prop_map(|(slot, weight)| Change::Joins(slot, weight)),
        any::<prop::sample::Index>().prop_map(Change::Leaves),
        any::<prop::sample::Index>().prop_map(Change::Toggles),
    ]
}

/// Carries a change out and returns the slot that gained or lost its buckets.
fn apply(members: &mut Vec<SpreadMember>, change: Change) -> Option<u8> {
    match change {
        Change::Joins(slot, weight) => {
            let free = members.iter().all(|member| member.id.0 != slot);
            free.then(|| members.push(share(slot, weight))).map(|()| slot)
        }
        Change::Leaves(index) if members.len() > 1 => Some(members.remove(index.index(members.len())).id.0),
        Change::Toggles(index) if !members.is_empty() => {
            let at = index.index(members.len());
            members[at].usable = !members[at].usable;
            Some(members[at].id.0)
        }
        Change::Leaves(_) | Change::Toggles(_) => None,
    }
}

/// The state of the members, whatever their order.
fn sorted(members: &[SpreadMember]) -> Vec<(u8, u8, bool)> {
    let mut sorted: Vec<_> = members.iter().map(|member| (member.id.0, member.weight, member.usable)).collect();
    sorted.sort_unstable();
    sorted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every sequence of joins and leaves, with ports that fail and come back in between: after each change only the
    /// buckets of the port in question have moved, and the same members have the same table as ever.
    #[test]
    fn only_the_buckets_of_the_port_that_comes_or_goes_move(changes in prop::collection::vec(change(), 1..24)) {
        let mut now = equal(2);
        let mut before = table(&now, 512);
        let mut seen = vec![(sorted(&now), before.clone())];
        for change in changes {
            let was_usable = usable(&now);
            let Some(slot) = apply(&mut now, change) else { continue };
            let after = table(&now, 512);
            for (bucket, (old, new)) in before.iter().zip(&after).enumerate() {
                prop_assert!(
                    old == new || (*old == slot) != (*new == slot),
                    "{change:?} moved bucket {bucket} from {old} to {new}"
                );
            }
            let gained = usable(&now) & !was_usable != 0;
            prop_assert!(before.iter().zip(&after).all(|(old, new)| old == new || (*new == slot) == gained));
            let state = sorted(&now);
            if let Some((_, table)) = seen.iter().find(|(other, _)| *other == state) {
                prop_assert_eq!(table, &after, "the same members have another table than before");
            }
            seen.push((state, after.clone()));
            before = after;
        }
    }

    /// A order has each member once, in an order to which the others do not matter.
    #[test]
    fn a_member_more_or_less_changes_no_order_among_the_others(
        members in members(64, 2..=64), at: prop::sample::Index
    ) {
        let mut fewer = members.clone();
        let gone = fewer.remove(at.index(members.len())).id.0;
        fewer.reverse();
        for (all, some) in fallback_orders(&members, 256).iter().zip(fallback_orders(&fewer, 256)) {
            let left: Vec<u8> = all.iter().copied().filter(|slot| *slot != gone).collect();
            prop_assert_eq!(&left[..], &some[..left.len()]);
            let mut slots = all[..members.len()].to_vec();
            slots.sort_unstable();
            prop_assert_eq!(slots, sorted(&members).iter().map(|member| member.0).collect::<Vec<_>>());
            prop_assert!(all[members.len()..].iter().all(|slot| *slot == END));
        }
    }

    /// The programs' own answer, while ports fail, is that of the table which the controller then publishes. If some
    /// came back too, a bucket is where the old table or where the new one has it: it moves once.
    #[test]
    fn the_rule_answers_like_the_next_table(members in members(64, 1..=16), masks: (u64, u64)) {
        let (old, now) = (masks.0 & usable(&members), masks.1 & usable(&members));
        let fallback_orders = fallback_orders(&members, 256);
        let before = primaries(&fallback_orders, old);
        let published = BucketTable { primaries: &before, fallback_orders: &fallback_orders };
        let fewer = primaries(&fallback_orders, old & now);
        let other = primaries(&fallback_orders, now);
        for bucket in 0..256 {
            let chosen = |mask| spread::choose(&ports(mask), &published, bucket).map_or(END, |port| port.0);
            let entry = bucket as usize;
            prop_assert_eq!(chosen(old & now), fewer[entry]);
            prop_assert_eq!(chosen(old), before[entry]);
            prop_assert!([before[entry], other[entry]].contains(&chosen(now)));
        }
    }
}

#[test]
fn without_ports_no_bucket_has_one() {
    assert!(table(&[], 256).iter().all(|slot| *slot == END));
    let idle = [SpreadMember { usable: false, ..share(63, 1) }];
    assert!(table(&idle, 256).iter().all(|slot| *slot == END));
    let fallback_orders = fallback_orders(&idle, 256);
    let published = BucketTable { primaries: &table(&idle, 256), fallback_orders: &fallback_orders };
    assert_eq!(spread::choose(&ports(0), &published, 0), None);
    assert_eq!(spread::choose(&ports(1 << 63), &published, 0), Some(PortId(63)), "as soon as it is usable");
    assert_eq!(spread::choose(&ports(1 << 63), &published, 256), None, "a bucket that the table does not have");
}

/// 10,000 flows: exactly those of the port that leaves move, and they are back when it is. Modulo, for comparison,
/// moves most of all.
#[test]
fn exactly_the_flows_of_the_port_that_leaves_move() {
    let hashes = evenness::hashes(10_000);
    for count in 2..=8 {
        let members = equal(count);
        let fallback_orders = fallback_orders(&members, BUCKETS);
        let all = usable(&members);
        let flows = |mask| {
            let primaries = primaries(&fallback_orders, mask);
            hashes
                .iter()
                .map(|hash| primaries[spread::bucket(*hash, spread::shift(BUCKETS)) as usize])
                .collect::<Vec<_>>()
        };
        let before = flows(all);
        for gone in 0..count {
            let after = flows(all & !PortId(gone).bit());
            for (old, new) in before.iter().zip(&after) {
                assert_eq!(old != new, *old == gone);
            }
        }
        let moved = before.iter().filter(|port| **port == 0).count();
        let ports = u32::from(count);
        let modulo = hashes.iter().filter(|hash| **hash % ports != 1 + **hash % (ports - 1)).count();
        println!("{count} ports: {moved} of 10000 flows move when the first leaves, {modulo} with modulo");
    }
}
