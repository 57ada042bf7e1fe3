//! The data path of one aggregate: its maps, and its programs on their hooks.
//!
//! Everything is pinned in one bpffs directory, so it outlives the process; a [`Dataplane`] is no more than the path of
//! that directory. Every call says what shall be, and succeeds if it is so already.

mod attached;
mod bound;
mod bpf;
mod create;
mod defects;
mod device;
mod double_buffer;
mod drops;
mod early;
mod error;
pub(crate) mod frozen;
mod hook;
mod kernel_types;
mod mapped;
mod maps;
mod object;
mod open_pins;
mod pins;
mod placeholders;
mod program;
mod publish;
mod stamp;
mod table;
mod tables;
mod wiring;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aggctl_common::{
    IfIndex,
    ports::slots,
    spread::{MAX_FALLBACKS, Rotation},
};
use aggctl_engine::{
    config::{Device, Wiring},
    settings::Settings,
};

use self::pins::Pins;
pub(crate) use self::pins::is_bpffs;
pub use self::{
    bound::BoundTable,
    defects::{DataplaneDefect, Expected},
    device::unasked,
    drops::DropCount,
    early::EarlyPort,
    error::DataplaneError,
    hook::tcx_supported,
    kernel_types::KernelTypes,
    open_pins::OpenPins,
    pins::{ProgramRole, RECORD},
    program::name as program_name,
    stamp::Stamper,
    table::PortsTable,
};
use crate::netns::PrivateNamespace;

/// The maps and programs of one aggregate.
#[derive(Clone, Debug)]
pub struct Dataplane {
    pins: Pins,
    settings: Settings,
    asked: Asked,
    /// Whether we changed pins since [`Dataplane::keep`] was called last.
    changed: Arc<AtomicBool>,
}

/// Which kernel the programs ask for the links of the ports.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The present one, if it lets them.
    Present,
    /// One of these types, or none.
    Types(Option<KernelTypes>),
}

/// The pair of the aggregate's interface and its peer, and how it is wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiredPair {
    /// How the pair, the ports and the programs are connected.
    pub wiring: Wiring,
    /// What it is made of; [`Device::Auto`]: veth.
    pub device: Device,
    /// The aggregate's interface.
    pub aggregate: IfIndex,
    /// Its peer: the number that it has in its namespace.
    pub peer: IfIndex,
    /// The namespace that the peer is in; `None`: where the ports are.
    pub namespace: Option<PrivateNamespace>,
}

impl Dataplane {
    /// The data path whose pins are in this directory of a bpffs, which need not exist yet, with these settings of its
    /// programs.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>, settings: Settings) -> Self {
        Self { pins: Pins::new(dir.into()), settings, asked: Asked::Present, changed: Arc::default() }
    }

    /// The same for a kernel of these types, whatever the present one is; `None`: its programs ask no kernel for the
    /// links of the ports.
    #[must_use]
    pub fn for_kernel(self, types: Option<KernelTypes>) -> Self {
        Self { asked: Asked::Types(types), ..self }
    }

    /// The settings that programs are loaded with from now on.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings that programs are loaded with from now on. Those that are attached keep theirs until they
    /// are attached again.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Makes and pins the maps. Maps of the right shape stay, with what is in them. Others are replaced by empty ones:
    /// then publish a table, and attach all programs again, since those that are attached still use the old maps.
    ///
    /// Minimum kernel version: 5.5 (`BPF_F_MMAPABLE`).
    ///
    /// # Errors
    ///
    /// If the directory is in no bpffs, the programs were not built, or the kernel refuses.
    pub fn create(&self) -> Result<(), DataplaneError> {
        self.changed.store(true, Ordering::Relaxed);
        create::create(&self.pins, &self.settings)
    }

    /// Makes the programs use these orders of ports, one for each bucket. Minimum kernel version: 5.6.
    ///
    /// # Errors
    ///
    /// If there are not as many as there are buckets, or the kernel refuses.
    pub fn publish_fallback_orders(&self, fallback_orders: &[[u8; MAX_FALLBACKS]]) -> Result<(), DataplaneError> {
        tables::publish_fallback_orders(&self.pins, &self.settings, fallback_orders)
    }

    /// Makes the programs use this table: the port of each bucket.
    ///
    /// # Errors
    ///
    /// If it is not as large as there are buckets, or the kernel refuses.
    pub fn publish_buckets(&self, table: &[u8]) -> Result<(), DataplaneError> {
        tables::publish_buckets(&self.pins, &self.settings, table)
    }

    /// Makes the programs use this rotation.
    ///
    /// # Errors
    ///
    /// If the settings do not ask for one, or the kernel refuses.
    pub fn publish_rotation(&self, rotation: &Rotation) -> Result<(), DataplaneError> {
        tables::publish_rotation(&self.pins, &self.settings, rotation)
    }

    /// The table of buckets that the programs use; `None` if none was published.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn buckets(&self) -> Result<Option<Vec<u8>>, DataplaneError> {
        tables::buckets(&self.pins, &self.settings)
    }

    /// The order of ports of a bucket that the programs use; `None` if none was published.
    ///
    /// # Errors
    ///
    /// If there is no such bucket, or the kernel refuses.
    pub fn fallback(&self, bucket: u32) -> Result<Option<[u8; MAX_FALLBACKS]>, DataplaneError> {
        tables::order(&self.pins, bucket)
    }

    /// The rotation that the programs use; `None` if none was published.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn rotation(&self) -> Result<Option<Rotation>, DataplaneError> {
        tables::rotation(&self.pins, &self.settings)
    }

    /// Unpins everything and removes the directory; fine if it is not there. Programs that are attached to tcx or
    /// netkit go with their links; detach those on clsact first.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub fn remove(&self) -> Result<(), DataplaneError> {
        pins::remove_all(self.pins.dir())
    }

    /// Maps the table of ports into this process.
    ///
    /// # Errors
    ///
    /// If the map is not there or cannot be mapped.
    pub fn table(&self) -> Result<PortsTable, DataplaneError> {
        PortsTable::open(&self.pins, !matches!(self.asked, Asked::Types(None)))
    }

    /// Whether the sending program that was attached last asks the kernel for the link of a port before it takes it.
    #[must_use]
    pub fn asks_kernel(&self) -> bool {
        self.pins.asks_mark().is_dir()
    }

    /// Whether a pinned link holds one of the programs to its hook. On clsact none does.
    #[must_use]
    pub fn has_links(&self) -> bool {
        let roles = slots().map(ProgramRole::Rx).chain([ProgramRole::Tx]);
        roles.into_iter().any(|role| self.pins.link(role).exists())
    }

    /// Maps the table of what sockets bound to the ports wait for into this process.
    ///
    /// # Errors
    ///
    /// If the map is not there or cannot be mapped.
    pub fn bound(&self) -> Result<BoundTable, DataplaneError> {
        BoundTable::open(&self.pins)
    }

    /// What says to the programs of wiring `over` that a controller is at work.
    ///
    /// # Errors
    ///
    /// If the maps are not there, or the kernel refuses.
    pub fn stamper(&self) -> Result<Stamper, DataplaneError> {
        Stamper::load(object::load(&self.pins, &self.settings, None, None)?, &self.pins)
    }

    /// How long ago a controller was last at work, in wiring `over`; `None`: none was.
    ///
    /// # Errors
    ///
    /// If the map is not there or cannot be read.
    pub fn stamp_age(&self) -> Result<Option<Duration>, DataplaneError> {
        stamp::read(&self.pins).map(|stamp| stamp::age(&stamp))
    }

    /// How many frames the programs dropped, and why. Reasons that did not occur are left out.
    ///
    /// # Errors
    ///
    /// If the map is not there or cannot be read.
    pub fn drops(&self) -> Result<Vec<DropCount>, DataplaneError> {
        drops::read(&self.pins)
    }

    /// What is not as expected.
    ///
    /// # Errors
    ///
    /// If something cannot be looked at.
    pub fn defects(&self, expected: &Expected) -> Result<Vec<DataplaneDefect>, DataplaneError> {
        defects::find(&self.pins, &self.settings, expected)
    }

    /// What is not as expected of the maps and the table of ports: a part of [`Dataplane::defects`].
    ///
    /// # Errors
    ///
    /// If something cannot be looked at.
    pub fn defects_of_maps(&self, expected: &Expected) -> Result<Vec<DataplaneDefect>, DataplaneError> {
        defects::of_maps(&self.pins, &self.settings, expected)
    }

    /// What is not as expected of one program: a part of [`Dataplane::defects`].
    ///
    /// # Errors
    ///
    /// If something cannot be looked at.
    pub fn defect_of_program(
        &self,
        expected: &Expected,
        role: ProgramRole,
    ) -> Result<Option<DataplaneDefect>, DataplaneError> {
        defects::of_program(&self.pins, &self.settings, expected, role)
    }

    /// The kernel's numbers of the programs of others that see frames before this one of ours does.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn programs_before(&self, expected: &Expected, role: ProgramRole) -> Result<Vec<u32>, DataplaneError> {
        defects::before(&self.pins, expected, role)
    }

    /// Opens all that is pinned, so that it lives on without its pins as long as what is returned.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn hold(&self) -> Result<OpenPins, DataplaneError> {
        OpenPins::take(&self.pins)
    }

    /// The names of the pins that others took away. What we changed ourselves since the last call is taken over.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn keep(&self, held: &mut OpenPins) -> Result<Vec<String>, DataplaneError> {
        // If all of it is gone, that was not us.
        if self.changed.swap(false, Ordering::Relaxed) && self.pins.dir().is_dir() {
            *held = OpenPins::take(&self.pins)?;
        }
        held.lost(&self.pins)
    }

    /// Whether the directory of the pins is there, in a bpffs.
    ///
    /// # Errors
    ///
    /// If that cannot be told.
    pub fn has_pins(&self) -> Result<bool, DataplaneError> {
        Ok(self.pins.dir().is_dir() && pins::is_in_bpffs(self.pins.dir())?)
    }

    /// Pins again what is not there any more.
    ///
    /// # Errors
    ///
    /// If the directory is in no bpffs, or the kernel refuses.
    pub fn pin_again(&self, held: &mut OpenPins) -> Result<(), DataplaneError> {
        held.pin_again(&self.pins)
    }
}
