//! One option.

use super::{ValueKind, same};

/// An option of `C`.
#[derive(Debug)]
pub struct OptionRow<C: 'static> {
    /// Its name: `--NAME` of `attach`, `NAME=` of `set`.
    pub name: &'static str,
    /// Its names in bonding and teamd, and former ones. `_` and `-` are the same in all of them.
    pub aliases: &'static [&'static str],
    /// What it is, in a line.
    pub help: &'static str,
    /// How its value is read and shown.
    pub kind: &'static dyn ValueKind<C>,
    /// What changes it while the aggregate runs.
    pub live: Live,
    /// Its place in the JSON of `show`, with dots between levels; empty: it is not there.
    pub json: &'static str,
    /// Its place in the text of `show`.
    pub shown: Shown<C>,
    /// The page of the documents that explains it; empty: none.
    pub page: &'static str,
}

/// How a change reaches a running aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Not at all: it is chosen when the aggregate is attached.
    No,
    /// Programs are exchanged around the controller's change: receiving ones that accept what either rule accepts, the
    /// new table, the sending one, receiving ones that accept what the new rule does.
    Programs,
    /// Programs are attached or taken off; those that there are do the same as before.
    Attachments,
    /// The controller goes by it from now on. All such changes of one `set` are one change.
    Controller,
    /// It is done once, when all else is in place.
    After,
}

/// Where the text of `show` has an option, and when.
#[derive(Clone, Copy, Debug)]
pub enum Shown<C: 'static> {
    /// Nowhere, or in a place of its own.
    No,
    /// In a part of it, where this is true.
    In(ShowPart, fn(&C) -> bool),
}

/// A part of the text of `show` that has options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowPart {
    /// The first line, behind the mode.
    First,
    /// The line of settings.
    Settings,
}

impl<C> OptionRow<C> {
    /// Whether this is one of its names.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| same(own, name))
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether it does anything yet.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.kind.is_built()
    }
}

/// What has options.
pub trait HasOptions: Clone + Default + 'static {
    /// What one of them is called.
    const OPTION: &'static str;
    /// Whether each must be given: there is no default.
    const REQUIRED: bool = false;

    /// Their rows.
    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>>;

    /// Whether this one has that option.
    fn has(&self, _: &OptionRow<Self>) -> bool {
        true
    }
}

/// The row that has this name.
#[must_use]
pub fn find<C: HasOptions>(name: &str) -> Option<&'static OptionRow<C>> {
    C::rows().find(|row| row.is_called(name))
}
