//! The hooks that programs are attached to.

mod clsact;
mod early;
mod link;
mod linked;
mod tc;

use std::{
    io::{self, ErrorKind},
    os::fd::BorrowedFd,
};

use aggctl_common::IfIndex;
use aggctl_engine::config::{self, XdpMode};

pub use self::linked::tcx_supported;
use self::{early::XdpHook, linked::Linked};
pub(super) use self::{early::on as on_xdp, linked::attached as attached_by_link};
use super::{
    error::DataplaneError,
    pins::{self, Pins, ProgramRole},
};
use crate::netns::PrivateNamespace;

/// The side of an interface that a program is attached to. A netkit interface's own hook is its egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookSide {
    Ingress,
    Egress,
}

/// Where a program of ours is attached, and where its traces are kept. The interface is one of the present network
/// namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttachPoint<'a> {
    /// The aggregate's pins.
    pub(super) pins: &'a Pins,
    /// What the program is for.
    pub(super) role: ProgramRole,
    /// The interface.
    pub(super) index: IfIndex,
    /// Which side of it.
    pub(super) side: HookSide,
}

impl<'a> AttachPoint<'a> {
    pub(super) fn new(pins: &'a Pins, role: ProgramRole, place: &HookPoint) -> Self {
        Self { pins, role, index: place.index, side: place.side }
    }
}

/// A hook that a program is attached to. Programs of others on the same hook are left alone, and see frames before ours
/// do.
pub(super) trait HookKind: Sync {
    /// Attaches the program there, in the place of an earlier one of ours without a gap. It stays when the process
    /// ends.
    fn attach(&self, site: AttachPoint<'_>, program: BorrowedFd<'_>) -> Result<(), DataplaneError>;

    /// Takes our program off; fine if there is none. The interface is left as it was before.
    fn detach(&self, site: AttachPoint<'_>) -> Result<(), DataplaneError>;

    /// The kernel's number of our program that is attached there, if one is.
    fn attached(&self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError>;

    /// The kernel's numbers of the programs of others that see frames on this hook before ours does; of all, if ours
    /// is not attached there.
    fn before(&self, site: AttachPoint<'_>) -> Result<Vec<u32>, DataplaneError>;
}

/// A hook of an interface, which may be in another network namespace.
pub(super) struct HookPoint {
    /// The interface, by its number in that namespace.
    pub(super) index: IfIndex,
    /// The side.
    pub(super) side: HookSide,
    /// The kind of hook.
    hook: &'static dyn HookKind,
    /// The namespace; `None`: the present one.
    namespace: Option<PrivateNamespace>,
}

impl HookPoint {
    /// In the present namespace.
    pub(super) fn new(index: IfIndex, side: HookSide, hook: &'static dyn HookKind) -> Self {
        Self { index, side, hook, namespace: None }
    }

    /// The same in another namespace, if one is given.
    pub(super) fn within(self, namespace: Option<PrivateNamespace>) -> Self {
        Self { namespace, ..self }
    }

    /// [`HookKind::attach`], there.
    pub(super) fn attach(&self, site: AttachPoint<'_>, program: BorrowedFd<'_>) -> Result<(), DataplaneError> {
        self.there(|| self.hook.attach(site, program)).map_err(self.not_entered())?
    }

    /// [`HookKind::detach`], there. With the namespace all that was attached in it is gone, too.
    pub(super) fn detach(&self, site: AttachPoint<'_>) -> Result<(), DataplaneError> {
        match self.there(|| self.hook.detach(site)) {
            Err(error) if error.kind() == ErrorKind::NotFound => pins::unpin(&site.pins.link(site.role)),
            other => other.map_err(self.not_entered())?,
        }
    }

    /// [`HookKind::attached`], there.
    pub(super) fn attached(&self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
        match self.there(|| self.hook.attached(site)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map_err(self.not_entered())?,
        }
    }

    /// [`HookKind::before`], there.
    pub(super) fn before(&self, site: AttachPoint<'_>) -> Result<Vec<u32>, DataplaneError> {
        match self.there(|| self.hook.before(site)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(self.not_entered())?,
        }
    }

    /// Does something in that namespace.
    ///
    /// # Errors
    ///
    /// If that cannot be entered; `NotFound` if it is gone.
    fn there<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        match &self.namespace {
            None => Ok(act()),
            Some(namespace) => namespace.run(act),
        }
    }

    fn not_entered(&self) -> impl FnOnce(io::Error) -> DataplaneError {
        let path = self.namespace.as_ref().map(|namespace| namespace.path().to_owned()).unwrap_or_default();
        move |error| DataplaneError::pin(path, "enter namespace", error)
    }
}

/// The hook that a configuration means.
pub(super) fn of(hook: config::Hook) -> &'static dyn HookKind {
    match hook {
        config::Hook::Auto if tcx_supported() => &Linked::Tcx,
        config::Hook::Auto | config::Hook::Clsact => &clsact::Clsact,
        config::Hook::Tcx => &Linked::Tcx,
    }
}

/// The XDP hook of an interface, in this mode.
pub(super) fn early(mode: XdpMode) -> &'static dyn HookKind {
    match mode {
        XdpMode::Native => &XdpHook(XdpMode::Native),
        XdpMode::Generic => &XdpHook(XdpMode::Generic),
    }
}

/// The transmit of a netkit interface.
pub(super) fn netkit() -> &'static dyn HookKind {
    &Linked::Netkit
}
