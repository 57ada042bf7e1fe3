//! The live table of ports, mapped into this process: what is stored here, the programs read with the next frame.
#![allow(unsafe_code, reason = "looks at mapped memory as what the programs take it for")]

use std::{
    mem::offset_of,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aggctl_common::{IfIndex, MAX_PORTS, PortId, Ports, PortsMap, ports::slots};

use super::{
    device,
    error::DataplaneError,
    mapped::Mapped,
    pins::{self, Pins},
    publish::{self, ORDER_WORD, WordStore},
};

/// [`PortsMap`] word by word, as the programs read it.
#[repr(C)]
#[derive(Debug)]
struct PortsWords {
    usable: AtomicU64,
    accept: AtomicU64,
    active: AtomicU32,
    count: AtomicU32,
    order: [AtomicU64; MAX_PORTS / ORDER_WORD],
    ifindex: [AtomicU32; MAX_PORTS],
    mac: AtomicU64,
    former_mac: AtomicU64,
    device: [AtomicU64; MAX_PORTS],
}

const _: () = assert!(
    size_of::<PortsWords>() == size_of::<PortsMap>()
        && align_of::<PortsWords>() == align_of::<PortsMap>()
        && offset_of!(PortsWords, usable) == offset_of!(Ports, usable)
        && offset_of!(PortsWords, accept) == offset_of!(Ports, accept)
        && offset_of!(PortsWords, active) == offset_of!(Ports, active)
        && offset_of!(PortsWords, count) == offset_of!(Ports, count)
        && offset_of!(PortsWords, order) == offset_of!(Ports, order)
        && offset_of!(PortsWords, ifindex) == offset_of!(Ports, ifindex)
        && offset_of!(PortsWords, mac) == offset_of!(Ports, mac)
        && offset_of!(PortsWords, former_mac) == offset_of!(Ports, former_mac)
        && offset_of!(PortsWords, device) == offset_of!(PortsMap, device)
);

/// The mapped table. One process at a time may write to it: the one that holds the aggregate's lock.
///
/// Minimum kernel version: 5.5 (`BPF_F_MMAPABLE`).
#[derive(Debug)]
pub struct PortsTable {
    mapped: Mapped,
    /// Whether the programs ask about devices, if this kernel lets them.
    has_devices: bool,
}

impl PortsTable {
    /// Maps the pinned table. `has_devices`: with the addresses of devices, if this kernel can be asked about them.
    pub(super) fn open(pins: &Pins, has_devices: bool) -> Result<Self, DataplaneError> {
        Mapped::open(pins, pins::PORTS, size_of::<PortsWords>()).map(|mapped| Self { mapped, has_devices })
    }

    /// The table as it is now.
    #[must_use]
    pub fn load(&self) -> Ports {
        let words = self.words();
        let mut ports = Ports::EMPTY;
        ports.usable = words.usable.load(Ordering::Acquire);
        ports.accept = words.accept.load(Ordering::Acquire);
        ports.active = words.active.load(Ordering::Acquire);
        ports.count = words.count.load(Ordering::Acquire);
        for (to, from) in ports.order.as_chunks_mut::<ORDER_WORD>().0.iter_mut().zip(&words.order) {
            *to = from.load(Ordering::Acquire).to_ne_bytes();
        }
        for (to, from) in ports.ifindex.iter_mut().zip(&words.ifindex) {
            *to = IfIndex(from.load(Ordering::Acquire));
        }
        ports.mac = words.mac.load(Ordering::Acquire);
        ports.former_mac = words.former_mac.load(Ordering::Acquire);
        ports
    }

    /// Makes the programs use this table. At no moment in between does the rule choose a port that may be used in
    /// neither the old table nor the new one. The devices of ports that become usable, or get another interface, are
    /// looked for anew, in this thread's network namespace: it may be another device that has the number now.
    pub fn publish(&self, ports: &Ports) {
        let before = self.load();
        publish::stores(&before, ports, |store| self.store(store));
        let joins = |slot: &PortId| {
            ports.usable & !before.usable & slot.bit() != 0
                || ports.ifindex[slot.index()] != before.ifindex[slot.index()]
        };
        self.find_devices_of(slots().filter(joins));
    }

    /// Looks for the devices of all ports anew.
    pub fn find_devices(&self) {
        self.find_devices_of(slots());
    }

    /// The address of the device of a slot that programs ask the kernel about; 0: none is known.
    #[must_use]
    pub fn device(&self, port: PortId) -> u64 {
        self.words().device.get(port.index()).map_or(0, |device| device.load(Ordering::Acquire))
    }

    fn find_devices_of(&self, slots: impl Iterator<Item = PortId>) {
        let Some(kernel) = self.has_devices.then(device::present).flatten() else { return };
        let words = self.words();
        for slot in slots.map(PortId::index) {
            let index = IfIndex(words.ifindex[slot].load(Ordering::Acquire));
            let device = if index == IfIndex::NONE { None } else { kernel.find(index) };
            words.device[slot].store(device.unwrap_or_default(), Ordering::Release);
        }
    }

    /// Notes the interface of a slot. What it has been before is returned.
    pub(super) fn set_interface(&self, port: PortId, index: IfIndex) -> IfIndex {
        let words = self.words();
        let before = IfIndex(words.ifindex[port.index()].load(Ordering::Acquire));
        if before != index {
            self.store(WordStore::IfIndex(port, index));
        }
        before
    }

    fn store(&self, store: WordStore) {
        let words = self.words();
        match store {
            WordStore::Usable(mask) => words.usable.store(mask, Ordering::Release),
            WordStore::Accept(mask) => words.accept.store(mask, Ordering::Release),
            WordStore::Active(slot) => words.active.store(slot, Ordering::Release),
            WordStore::Count(count) => words.count.store(count, Ordering::Release),
            WordStore::Order(word, slots) => words.order[word].store(u64::from_ne_bytes(slots), Ordering::Release),
            WordStore::Mac(mac) => words.mac.store(mac, Ordering::Release),
            WordStore::FormerMac(mac) => words.former_mac.store(mac, Ordering::Release),
            WordStore::IfIndex(port, index) => {
                // The device is another one: until that is found, the table alone decides.
                words.device[port.index()].store(0, Ordering::Release);
                words.ifindex[port.index()].store(index.0, Ordering::Release);
            }
        }
    }

    fn words(&self) -> &PortsWords {
        // SAFETY: the memory lives as long as `self`, begins at a page, and is as long as the map's value, which is
        // that of `PortsMap`; every bit pattern is a valid `PortsWords`; programs and other processes change it
        // meanwhile, which atomics allow.
        unsafe { self.mapped.start().cast().as_ref() }
    }
}
