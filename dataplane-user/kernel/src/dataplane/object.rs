//! The eBPF object that is part of this binary.
#![allow(unsafe_code, reason = "gives a file descriptor another meaning")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    sync::{LazyLock, Mutex, PoisonError},
};

use aggctl_common::{
    PortId,
    hash::list::Masks,
    programs::{FORMER, OVER, RECEIVES, SENDS, TAGS},
    vlan::Globals,
};
use aggctl_engine::settings::Settings;
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Map, MapData},
    programs::{Program, ProgramError, SchedClassifier},
};

use super::{
    error::DataplaneError,
    kernel_types::KernelTypes,
    maps,
    pins::{self, Pins},
    placeholders,
    wiring::Delivery,
};

/// The object; empty if it was not built.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/aggctl.bpf.o"));

/// The one loader of this process. For each that is made, aya (0.14) reads and parses all types of the kernel, which
/// takes 150 million instructions, and none of our programs refers to any.
static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(|| {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    Mutex::new(loader)
});

/// Parses the object for these settings and gives it the aggregate's maps, which are made and pinned where they are
/// missing (the tables must be there). `port` is what the copies of the programs of ports differ in: the slot, and for
/// the receiving one the way to the aggregate. The programs ask a kernel of these types for the links of the ports;
/// `None`: they do not ask.
pub(super) fn load(
    pins: &Pins,
    settings: &Settings,
    port: Option<(PortId, Option<Delivery>)>,
    asked: Option<&KernelTypes>,
) -> Result<Ebpf, DataplaneError> {
    if OBJECT.is_empty() {
        return Err(DataplaneError::NotBuilt);
    }
    let slot = port.map_or(0, |(port, _)| u32::from(port.0));
    let delivery = port.and_then(|(_, delivery)| delivery);
    let (target, relayed) = delivery.map_or((0, 0), |Delivery { target, relayed }| (target.0, u32::from(relayed)));
    let vlan = settings.vlan.globals();
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    for (map, pin) in [("DROPS", pins::DROPS), ("TURN", pins::TURN), ("ROWS", pins::ROWS)] {
        loader.map_pin_path(map, pins.map(pin));
    }
    for (global, value) in [
        ("SLOT", slot),
        ("TARGET", target),
        ("RELAYED", relayed),
        ("SEED", settings.seed),
        ("SHIFT", settings.shift()),
        ("STRIDE", settings.stride),
        ("VLAN_MODE", vlan.mode),
        ("VLAN_VID", vlan.vid),
    ] {
        loader.override_global(global, kept(&value.to_ne_bytes()), true);
    }
    let fields = settings.policy.list().map_or(Masks::NOTHING, Masks::of);
    for (global, words) in
        [("VLAN_LIST", bytemuck::cast_slice(&vlan.list)), ("FIELDS", bytemuck::cast_slice(&fields.0))]
    {
        loader.override_global(global, kept(words), true);
    }
    let mut object = loader.load(object_for(asked))?;
    let stamp = settings.over.then_some((".bss.stamp", pins::STAMP));
    let all = [(".bss.ports", pins::PORTS), (".bss.bound", pins::BOUND), (".bss.table", pins::TABLE)];
    for (section, pin) in all.into_iter().chain(stamp) {
        put_in_place(&mut object, section, &maps::open(pins, pin)?)?;
    }
    Ok(object)
}

/// Makes the map that the loader made for a section of data, and that its programs refer to by the number of a file
/// descriptor, be `map` from now on.
fn put_in_place(object: &mut Ebpf, section: &'static str, map: &MapData) -> Result<(), DataplaneError> {
    let Some(Map::Array(stand_in)) = object.map_mut(section) else {
        return Err(DataplaneError::Missing(section.to_owned()));
    };
    // SAFETY: both are open. The number stays that of an open map, which is all that its owner knows of it; it is
    // closed with the object.
    let result = unsafe { libc::dup3(number(map), number(stand_in), libc::O_CLOEXEC) };
    if result < 0 { Err(DataplaneError::map(section, "dup3", io::Error::last_os_error())) } else { Ok(()) }
}

/// The number of a map's file descriptor.
fn number(map: &MapData) -> RawFd {
    map.fd().as_fd().as_raw_fd()
}

/// The object for programs that ask such a kernel.
fn object_for(asked: Option<&KernelTypes>) -> &'static [u8] {
    static MADE: Mutex<BTreeMap<Option<KernelTypes>, &'static [u64]>> = Mutex::new(BTreeMap::new());

    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let words = made.entry(asked.copied()).or_insert_with(|| {
        // Words, for the alignment that the loader needs.
        let mut words = vec![0_u64; OBJECT.len().div_ceil(size_of::<u64>())];
        let octets: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        octets[..OBJECT.len()].copy_from_slice(OBJECT);
        placeholders::fill(octets, asked);
        words.leak()
    });
    &bytemuck::cast_slice(words)[..OBJECT.len()]
}

/// The same octets for as long as the process lives, as the loader wants them; once, however often they are asked for.
fn kept(octets: &[u8]) -> &'static [u8] {
    static KEPT: Mutex<BTreeSet<&'static [u8]>> = Mutex::new(BTreeSet::new());

    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(octets).copied().unwrap_or_else(|| {
        let octets = Box::leak(Box::from(octets));
        all.insert(octets);
        octets
    })
}

/// Name of the sending program.
pub(super) fn sender(settings: &Settings) -> String {
    let over = if settings.over { OVER } else { "" };
    format!("{SENDS}{over}{}{}", tags(settings), settings.tx_policy.name(settings.policy.named()))
}

/// Name of the receiving program.
pub(super) fn receiver(settings: &Settings) -> String {
    let former = if settings.takes_former() { FORMER } else { "" };
    format!("{RECEIVES}{}{former}{}", tags(settings), settings.rx_policy.name())
}

fn tags(settings: &Settings) -> &'static str {
    if settings.vlan.globals().mode == Globals::OFF { "" } else { TAGS }
}

/// The program of this name, loaded into the kernel.
pub(super) fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<BorrowedFd<'a>, DataplaneError> {
    let program = object.program_mut(name).ok_or_else(|| DataplaneError::Missing(name.to_owned()))?;
    let loaded = match program {
        Program::SchedClassifier(program) => program.load(),
        Program::Xdp(program) => program.load(),
        _ => return Err(DataplaneError::Missing(name.to_owned())),
    };
    match loaded {
        Ok(()) => Ok(program.fd().map_err(|error| DataplaneError::program(name, "file descriptor", error))?.as_fd()),
        Err(ProgramError::LoadError { io_error, verifier_log }) => {
            tracing::debug!(program = name, %verifier_log, "not loaded");
            Err(DataplaneError::Refused { program: name.to_owned(), cause: io_error })
        }
        Err(error) => Err(DataplaneError::program(name, "load", error)),
    }
}

/// The program of this name as [`load`] makes it, loaded into the kernel.
pub(super) fn load_program(
    pins: &Pins,
    settings: &Settings,
    port: Option<(PortId, Option<Delivery>)>,
    asked: Option<&KernelTypes>,
    name: &str,
) -> Result<OwnedFd, DataplaneError> {
    let mut object = load(pins, settings, port, asked)?;
    let program = program(&mut object, name)?.try_clone_to_owned();
    program.map_err(|error| DataplaneError::program(name, "file descriptor", error))
}

/// The program of this name.
pub(super) fn named<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, DataplaneError> {
    let program = object.program_mut(name).ok_or_else(|| DataplaneError::Missing(name.to_owned()))?;
    program.try_into().map_err(|error| DataplaneError::program(name, "type", error))
}
