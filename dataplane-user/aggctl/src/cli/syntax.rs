//! What the help says of options.

use aggctl_engine::{
    config::{AggregateConfig, PortConfig},
    hold_down::FlapRule,
    options::{GROUPS, HasOptions, Live, LiveRequests, OptionRow},
    watches::WatchConfig,
};

/// `IF[,priority=N][,sticky]…`
pub fn port() -> String {
    let setting = |row: &OptionRow<PortConfig>| match row.kind.bare() {
        Some(_) => format!("[,{}]", row.name),
        None => format!("[,{}={}]", row.name, row.kind.metavar()),
    };
    let settings: Vec<_> = PortConfig::rows().filter(|row| row.is_built()).map(setting).collect();
    format!("IF{}", settings.concat())
}

/// What an option is, the values that it takes, and its default.
pub fn help<C: HasOptions>(row: &OptionRow<C>) -> String {
    let default = row.kind.text(&C::default());
    if default.is_empty() { described(row) } else { format!("{} [default: {default}]", described(row)) }
}

/// What an option is, and the values that it takes.
fn described<C>(row: &OptionRow<C>) -> String {
    let words: Vec<_> = row
        .kind
        .synonyms()
        .iter()
        .filter(|(_, built)| *built)
        .filter_map(|(names, _)| names.first().copied())
        .collect();
    let values = if words.is_empty() { row.kind.range() } else { words.join(", ") };
    let values = if values.is_empty() { values } else { format!(" [{values}]") };
    format!("{}{values}", row.help)
}

/// The keys of `set`, a line each.
pub fn keys() -> String {
    let line = |name: &str, metavar: String, help: &str| format!("  {name}={metavar}\n          {help}\n");
    let options = AggregateConfig::rows().filter(|row| row.live != Live::No);
    let options = options.map(|row| line(row.name, row.kind.metavar(), row.help));
    let groups = GROUPS.iter().map(|group| line(group.name, group.syntax(), group.help));
    let orders = LiveRequests::rows().map(|row| line(row.name, row.kind.metavar(), row.help));
    let lines: Vec<_> = options.chain(groups).chain(orders).collect();
    format!("Keys:\n{}\n{}\nThe names of bonding and teamd are understood, too.", lines.concat(), nested())
}

/// The settings within options, a line each.
pub fn nested() -> String {
    fn lines<C: HasOptions>() -> String {
        let setting = |row: &OptionRow<C>| {
            let help = if C::REQUIRED { described(row) } else { help(row) };
            format!("  {}={}\n          {help}\n", row.name, row.kind.metavar())
        };
        C::rows().map(setting).collect()
    }
    let (watches, damping) = (lines::<WatchConfig>(), lines::<FlapRule>());
    format!(
        "Settings of a watch (arp, ns, traffic, errors):\n{watches}\nFlap damping (hold-down), all three:\n{damping}"
    )
}
