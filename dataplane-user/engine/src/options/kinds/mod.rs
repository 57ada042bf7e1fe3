//! How values are read and shown.

mod choice;
mod flap_damping;
mod name;
mod number;
mod optional;
mod parsed;
mod planned;
mod policy;
mod switch;
mod targets;
mod watch_list;

use std::fmt;

pub use choice::{Choice, NamedValue};
pub use flap_damping::FlapDamping;
pub use name::Name;
pub use number::{Number, Only};
pub use optional::Optional;
pub use parsed::Parsed;
pub use planned::Planned;
pub use policy::Policies;
use serde_json::Value;
pub use switch::Switch;
pub use targets::Targets;
pub use watch_list::{OwnWatches, WatchList};

use super::Invalid;

/// The values of an option of `C`.
pub trait ValueKind<C>: fmt::Debug + Sync {
    /// Takes a value over.
    ///
    /// # Errors
    ///
    /// If it is none; nothing was changed then.
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid>;

    /// The present value, so that [`ValueKind::set`] understands it.
    fn text(&self, config: &C) -> String;

    /// The same where each value that is set is one more: all of them.
    fn texts(&self, config: &C) -> Vec<String> {
        vec![self.text(config)]
    }

    /// The present value, for people.
    fn words(&self, config: &C) -> String {
        self.text(config)
    }

    /// The present value, for programs. A kind for which that is no string says its type, too.
    fn json(&self, config: &C) -> Value {
        self.text(config).into()
    }

    /// The type of [`ValueKind::json`].
    fn json_type(&self) -> &'static str {
        "string"
    }

    /// The settings that the value is made of, for programs; `None`: it is made of none.
    fn nested_json(&self, _: &C) -> Option<Value> {
        None
    }

    /// The type of [`ValueKind::nested_json`], if the value is made of settings.
    fn nested_json_type(&self) -> Option<&'static str> {
        None
    }

    /// A word in capitals that stands for the value, or the value itself if there is but one.
    fn metavar(&self) -> String;

    /// The values: words, or a range. Empty if the syntax says all.
    fn range(&self) -> String {
        String::new()
    }

    /// Values that are worth a try.
    fn samples(&self) -> Vec<String>;

    /// Each word that is a value with its other names, and whether it is built.
    fn synonyms(&self) -> Vec<(&'static [&'static str], bool)> {
        Vec::new()
    }

    /// What the option's name means without a value, and with a `no` before it.
    fn bare(&self) -> Option<[&'static str; 2]> {
        None
    }

    /// Whether it may be said several times: each value is one more.
    fn is_repeatable(&self) -> bool {
        false
    }

    /// What is put between two values that were said, where several are one list.
    fn between(&self) -> Option<char> {
        None
    }

    /// Whether it does anything yet.
    fn is_built(&self) -> bool {
        true
    }
}

/// Where a value is kept.
pub struct FieldAccess<C: 'static, T: 'static> {
    /// Reads it.
    pub get: fn(&C) -> T,
    /// Writes it.
    pub set: fn(&mut C, T),
}

impl<C, T> fmt::Debug for FieldAccess<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldAccess")
    }
}

/// The field of this name.
macro_rules! field {
    ($of:ident . $($path:ident).+) => {
        $crate::options::kinds::FieldAccess {
            get: |config: &$of| Clone::clone(&config.$($path).+),
            set: |config: &mut $of, value| config.$($path).+ = value,
        }
    };
}
pub(super) use field;
