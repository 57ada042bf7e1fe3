use proptest::prelude::*;

use super::*;

fn apply(table: &mut Ports, store: WordStore) {
    match store {
        WordStore::Usable(mask) => table.usable = mask,
        WordStore::Accept(mask) => table.accept = mask,
        WordStore::Active(slot) => table.active = slot,
        WordStore::Count(count) => table.count = count,
        WordStore::Order(word, slots) => table.order[word * ORDER_WORD..][..ORDER_WORD].copy_from_slice(&slots),
        WordStore::FormerMac(mac) => table.former_mac = mac,
        WordStore::Mac(mac) => table.mac = mac,
        WordStore::IfIndex(port, index) => table.ifindex[port.index()] = index,
    }
}

/// Every table that a program may see while `new` replaces `old`, the first and the last included.
fn seen(old: &Ports, new: &Ports) -> Vec<Ports> {
    let mut table = *old;
    let mut all = vec![table];
    stores(old, new, |store| {
        apply(&mut table, store);
        all.push(table);
    });
    all
}

/// The choice in each of them, with its interface, repetitions left out.
fn choices(old: &Ports, new: &Ports) -> Vec<Option<(PortId, IfIndex)>> {
    let mut choices: Vec<_> =
        seen(old, new).iter().map(|table| table.choose().map(|port| (port, table.ifindex[port.index()]))).collect();
    choices.dedup();
    choices
}

/// Ports in the slots below 8, in this order of preference.
fn table(order: &[u8], usable: u64, active: u32) -> Ports {
    let mut ports = Ports { usable, active, count: u32::try_from(order.len()).unwrap(), ..Ports::EMPTY };
    ports.order[..order.len()].copy_from_slice(order);
    for slot in order {
        ports.ifindex[usize::from(*slot)] = IfIndex(10 + u32::from(*slot));
    }
    ports
}

fn chosen(slot: u8) -> Option<(PortId, IfIndex)> {
    Some((PortId(slot), IfIndex(10 + u32::from(slot))))
}

#[test]
fn a_failover_moves_once_even_past_a_more_preferred_port() {
    let old = table(&[0, 1, 2], 0b111, 0);
    let new = table(&[0, 1, 2], 0b110, 2);
    assert_eq!(choices(&old, &new), [chosen(0), chosen(2)]);
}

#[test]
fn a_port_that_comes_and_takes_over_is_used_only_once_it_is_complete() {
    let old = table(&[0], 0b1, 0);
    let new = table(&[1, 0], 0b11, 1);
    assert_eq!(choices(&old, &new), [chosen(0), chosen(1)]);
}

#[test]
fn the_first_port_and_the_last() {
    assert_eq!(choices(&Ports::EMPTY, &table(&[0], 1, 0)), [None, chosen(0)]);
    assert_eq!(choices(&table(&[0], 1, 0), &Ports::EMPTY), [chosen(0), None]);
}

#[test]
fn a_slot_that_gets_another_interface_is_not_used_meanwhile() {
    let old = table(&[0, 1], 0b11, 0);
    let mut new = old;
    new.ifindex[0] = IfIndex(77);
    assert_eq!(choices(&old, &new), [chosen(0), chosen(1), Some((PortId(0), IfIndex(77)))]);
}

#[test]
fn a_change_by_hand_leaves_no_moment_in_which_the_former_port_drops_unicast() {
    let old = table(&[0, 1], 0b11, 0);
    let new = Ports { accept: 0b01, ..table(&[0, 1], 0b11, 1) };
    for table in seen(&old, &new) {
        assert!(table.accepts(PortId(0), false), "{table:?}");
    }
}

#[test]
fn equal_tables_need_no_store() {
    let ports = table(&[0, 1], 0b11, 0);
    assert_eq!(seen(&ports, &ports).len(), 1);
}

/// Tables as a controller makes them: what is usable is in the order and has an interface.
fn sound() -> impl Strategy<Value = Ports> {
    let slots: Vec<u8> = (0..12).collect();
    (Just(slots).prop_shuffle(), 0..=12_usize, any::<u64>(), any::<u64>(), 0..64_u32, any::<[bool; 12]>()).prop_map(
        |(order, count, usable, accept, active, other)| {
            let order = &order[..count];
            let members = order.iter().fold(0, |mask, slot| mask | PortId(*slot).bit());
            let mut ports = table(order, usable & members, active);
            ports.accept = accept & members;
            for slot in order.iter().filter(|slot| other[usize::from(**slot)]) {
                ports.ifindex[usize::from(*slot)] = IfIndex(90 + u32::from(*slot));
            }
            ports
        },
    )
}

proptest! {
    #[test]
    fn the_stores_make_the_new_table(old in sound(), new in sound()) {
        prop_assert_eq!(seen(&old, &new).pop(), Some(new));
    }

    #[test]
    fn no_moment_uses_a_port_that_neither_table_may_use(old in sound(), new in sound()) {
        for table in seen(&old, &new) {
            if let Some(port) = table.choose() {
                let is_same = |by: &Ports| by.ifindex[port.index()] == table.ifindex[port.index()];
                let allowed = |by: &Ports| by.usable & port.bit() != 0 && is_same(by);
                prop_assert!(allowed(&old) || allowed(&new), "{:?} in {:?}", port, table);
            }
        }
    }

    #[test]
    fn no_moment_is_without_port_if_one_is_usable_throughout(old in sound(), new in sound()) {
        if old.usable & new.usable & unmoved(&old, &new) != 0 {
            for table in seen(&old, &new) {
                prop_assert!(table.choose().is_some(), "{:?}", table);
            }
        }
    }

    #[test]
    fn a_choice_that_is_good_in_both_tables_is_reached_in_one_move(old in sound(), new in sound()) {
        let stay = old.usable & new.usable & unmoved(&old, &new);
        if new.choose().is_some_and(|port| stay & port.bit() != 0) {
            prop_assert!(choices(&old, &new).len() <= 2, "{:?}", choices(&old, &new));
        }
    }
}
