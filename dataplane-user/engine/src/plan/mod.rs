//! Plans: from a picture of the host and a wish to an ordered list of steps, each with its inverse.
//!
//! Nothing here touches the host. A plan is refused as a whole, with one line that says what to do, or it is an ordered
//! list of [`Step`]s of which every prefix can be undone.

mod apply;
mod attach;
mod candidate;
mod detach;
mod early;
mod elsewhere;
mod gather;
mod join;
mod kind;
pub(crate) mod layer3;
mod mac_fallback;
mod made;
pub(crate) mod order;
mod origins;
mod over;
mod port;
mod port_change;
mod port_settings;
mod refusal;
mod repair;
mod set;
mod shares;
mod source;
pub mod step;
mod validate;
mod warning;
mod wiring;

pub use apply::{ApplyPair, ApplyStep, apply};
pub use attach::{attach, rollback};
pub use candidate::OtherAggregates;
pub use detach::detach;
pub use early::{early, early_mode, early_warning};
pub use elsewhere::{is_elsewhere, restore_elsewhere};
pub use gather::{gather, given, hand_back, is_left, note_origins, restore_arrivals};
pub use kind::{check_kind, is_tunnel};
pub use mac_fallback::{can_do_without_macs, do_without_macs};
pub use over::{MemberChanges, complete, follow, is_as_asked, members};
pub use port_change::{add_port, remove_port};
pub use refusal::Refusal;
pub use repair::{receiver, relay, repair, sender};
pub use set::{LiveChange, set};
pub use step::{Awaited, Change, Layer3Step, LinkStep, OneWayStep, PairSettings, ProgramStep, Setting, Step, Subject};
pub use validate::validate;
pub use warning::{Warning, without_link};
