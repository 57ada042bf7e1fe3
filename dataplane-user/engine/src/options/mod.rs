//! The options of aggregates and ports: one row each, and everything that is said or written about an option comes from
//! its row.
//!
//! A [`OptionRow`] has an option's name, the names that it has in bonding and teamd, its help, how its value is read
//! and shown ([`ValueKind`]), and whether it can be changed live. The command line, `set`, `port`, `show`, its JSON,
//! the control socket and the tables of the documents are made from the rows in `table`. An option that is added
//! touches its row, the field of [`AggregateConfig`](crate::config::AggregateConfig) that it is kept in, what it is
//! for, and a test.
//!
//! - A [`OptionGroup`] is a way to write several options at once: `--watch link,poll=5` is `poll=5`.
//! - What there are several of has rows of its own: `OptionRow<PortConfig>` are the settings of a port, of which each
//!   `--port IF,KEY=VALUE,…` makes one.
//! - A value that is made of settings (a watch, flap damping) has rows for them, too: `OptionRow<WatchConfig>`.

mod difference;
mod error;
mod given;
mod group;
mod hold_down_text;
mod kinds;
mod nested;
mod row;
mod table;
mod text;
mod unit;
mod watch_text;

pub use difference::{Difference, OptionValue, assignments, differences};
pub use error::Invalid;
pub use given::{Assignment, GivenOptions, GivenPort, apply, check, json, shown};
pub use group::{Head, OptionGroup};
pub use kinds::ValueKind;
pub use nested::syntax as nested_syntax;
pub use row::{HasOptions, Live, OptionRow, ShowPart, Shown, find};
pub use table::{ActivePort, GROUPS, LiveRequests};
pub use text::{same, shorten, shorten_to};
pub use unit::Unit;

#[cfg(test)]
mod tests;
