//! The text of `show`, for people: aligned, with colour only on a terminal.

use aggctl_engine::{
    config::Xdp,
    options::{self, ShowPart},
    status::PortState,
    vlan::VlanConfig,
};
use comfy_table::{Attribute, Cell, Color, Table, presets::NOTHING};

use super::{AggregateView, EarlyView, PortView, driver::DriverView, notice::clock_time};

/// Buckets in a line of the picture.
const LINE: usize = 64;
/// What stands for the ports in the picture, in the order in which they joined.
const SIGNS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+*";
/// What stands for a bucket without port.
const NOBODY: char = '-';

/// Renders one aggregate, with a newline at the end.
pub fn render(view: &AggregateView) -> String {
    let parts = [
        headline(view),
        settings(view),
        defects(view),
        foreign(view),
        ports(view),
        watches(view),
        traffic(view),
        buckets(view),
    ];
    parts.iter().filter(|part| !part.is_empty()).map(|part| format!("{part}\n")).collect()
}

/// A picture of the table of buckets, if it was asked for: a sign for each bucket, and which sign is which port.
fn buckets(view: &AggregateView) -> String {
    let Some(buckets) = &view.bucket_ports else { return String::new() };
    let place = |name: &str| view.ports.iter().position(|port| port.name == name);
    let sign = |name: &str| place(name).and_then(|place| SIGNS.get(place)).map_or(NOBODY, |sign| char::from(*sign));
    let legend: Vec<_> = view.ports.iter().map(|port| format!("{} = {}", sign(&port.name), port.name)).collect();
    let mut text = format!("  buckets: {}\n", legend.join(", "));
    for (number, line) in buckets.chunks(LINE).enumerate() {
        let signs: String = line.iter().map(|name| name.as_deref().map_or(NOBODY, sign)).collect();
        text += &format!("  {:>5} {signs}\n", number * LINE);
    }
    text
}

/// A table without lines, with colour on a terminal whose owner does not refuse it.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if std::env::var_os("NO_COLOR").is_some() {
        table.force_no_tty();
    }
    table
}

/// Words in a colour, where tables have colour.
fn coloured(words: &str, colour: Color) -> String {
    alone(Cell::new(words).fg(colour))
}

/// The text of a cell that is in no table.
fn alone(cell: Cell) -> String {
    let mut table = plain_table();
    table.add_row([cell]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table.trim_fmt()
}

/// What is wrong, and what was and is repaired.
fn defects(view: &AggregateView) -> String {
    let wrong = view.defects.iter().map(|defect| {
        let since = defect.since.as_ref().map(|since| format!(", since {since}")).unwrap_or_default();
        let word = coloured("wrong", Color::Red);
        format!("  {word}: {} ({}{since})", defect.what, defect.done)
    });
    let repaired = view.repairs.iter().map(|repair| {
        let times = if repair.times > 1 { format!(", {} times", repair.times) } else { String::new() };
        format!("  repaired: {} (at {}{times})", repair.what, repair.at)
    });
    wrong.chain(repaired).collect::<Vec<_>>().join("\n")
}

/// What others put on ports.
fn foreign(view: &AggregateView) -> String {
    let ports = view.ports.iter().filter(|port| !port.foreign.is_empty());
    let lines = ports.map(|port| {
        let things: Vec<_> = port.foreign.iter().map(ToString::to_string).collect();
        let word = coloured("put by others", Color::Red);
        format!("  {word} on {}: {}", port.name, things.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn headline(view: &AggregateView) -> String {
    let carrier = if !view.present {
        coloured("GONE: there is no such interface", Color::Red)
    } else if view.admin_up == Some(false) {
        coloured("administratively DOWN", Color::Red)
    } else if view.carrier {
        coloured("carrier", Color::Green)
    } else {
        coloured("NO CARRIER", Color::Red)
    };
    let mut parts = vec![carrier];
    match &view.active_port {
        Some(port) => parts.push(format!("active port {port}")),
        None if view.config.mode.shares() => {}
        None => parts.push("no active port".to_owned()),
    }
    parts.extend(options::shown(&view.config, ShowPart::First));
    let name = alone(Cell::new(&view.name).add_attribute(Attribute::Bold));
    format!("{name}: {}, {}", view.word("mode"), parts.join(", "))
}

fn settings(view: &AggregateView) -> String {
    let mut lines = Vec::new();
    if view.config.vlan != VlanConfig::Off {
        lines.push(format!("vlan {}", view.config.vlan));
    }
    let mtu = view.mtu.map_or("gone".to_owned(), |mtu| format!("mtu {mtu}"));
    // A driver's device is told in a line of its own.
    let keys = if view.driver.is_some() { &["wiring", "hook"][..] } else { &["wiring", "device", "hook"] };
    let made: Vec<_> = keys.iter().map(|key| format!("{key} {}", view.word(key))).collect();
    lines.push(format!("mac {}, {mtu}, {}", view.mac, made.join(", ")));
    let why = view.mac_policy_why.as_ref();
    lines.extend(why.map(|why| format!("mac-policy {}, since a port keeps its MAC: {why}", view.word("mac-policy"))));
    lines.extend(view.driver.as_ref().map(DriverView::line));
    let rules = options::shown(&view.config, ShowPart::Settings);
    lines.push(rules.join(", "));
    lines.extend((view.config.xdp != Xdp::Off).then(|| format!("xdp {}: {}", view.word("xdp"), early(view))));
    let absent = view.config.absent_primary();
    lines.extend(absent.map(|primary| format!("primary {primary}: not a port yet; it is preferred once it is one")));
    lines.extend(view.last_change.as_ref().map(|at| format!("last change {at}")));
    lines.push(match view.controller.pid {
        Some(pid) if view.controller.answers == Some(false) => {
            format!(
                "controller: process {pid} DOES NOT ANSWER: what it knows could not be asked, the rest is from maps \
                 and kernel"
            )
        }
        Some(pid) => format!("controller: process {pid}"),
        None => format!("controller: NONE, link changes go unseen; start one with `aggctl adopt {}`", view.name),
    });
    lines.extend(view.record_behind.as_ref().map(|behind| {
        let since = clock_time(behind.since_ms);
        format!("record on disk: BEHIND since {since}, written again as soon as that can be: {}", behind.why)
    }));
    lines.extend(view.record_damage.as_ref().map(|damage| format!("record on disk: DAMAGED: {damage}")));
    lines.extend(
        view.confirm_within
            .map(|seconds| format!("will be undone in {seconds} s unless confirmed: `aggctl confirm {}`", view.name)),
    );
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// What each port drops early by.
fn early(view: &AggregateView) -> String {
    let ports = view.ports.iter().map(|port| match port.early {
        Some(EarlyView { mode, why: Some(why) }) => format!("{} {mode} ({why})", port.name),
        Some(EarlyView { mode, why: None }) => format!("{} {mode}", port.name),
        None => format!("{} ?", port.name),
    });
    ports.collect::<Vec<_>>().join(", ")
}

fn ports(view: &AggregateView) -> String {
    let mut table = plain_table();
    let share = if view.config.mode.shares() { "share" } else { "prio" };
    table.set_header(["  port", "state", "link", "speed", share, "failures", "last change", "why"]);
    for port in &view.ports {
        table.add_row(row(port));
    }
    table.trim_fmt()
}

/// What the watches beyond the link of each port say.
fn watches(view: &AggregateView) -> String {
    let of_port = |port: &PortView| {
        let beyond = port.watches.iter().filter(|watch| !watch.is_link());
        beyond.map(|watch| format!("  {}: {}", port.name, watch.line())).collect::<Vec<_>>()
    };
    view.ports.iter().flat_map(of_port).collect::<Vec<_>>().join("\n")
}

/// What passed the ports, and what they are known by.
fn traffic(view: &AggregateView) -> String {
    let mut table = plain_table();
    table.set_header(["  port", "tx packets", "tx bytes", "rx packets", "rx bytes", "rx dropped", "permanent mac"]);
    for port in &view.ports {
        let mac =
            if port.mac == Some(port.permanent_mac) { "as in use".to_owned() } else { port.permanent_mac.to_string() };
        let counts = [port.tx_packets, port.tx_bytes, port.rx_packets, port.rx_bytes, port.rx_dropped].map(count);
        table.add_row([vec![format!("  {}", port.name)], counts.to_vec(), vec![mac]].concat());
    }
    table.trim_fmt()
}

fn count(count: Option<u64>) -> String {
    count.map_or("?".to_owned(), |count| count.to_string())
}

fn row(port: &PortView) -> Vec<Cell> {
    let colour = match port.state {
        PortState::Active | PortState::Sharing => Color::Green,
        PortState::Standby => Color::Reset,
        PortState::Down | PortState::Disabled => Color::Red,
    };
    vec![
        Cell::new(format!("  {}", port.name)),
        Cell::new(word(&port.state)).fg(colour),
        Cell::new(if port.present { port.link } else { "gone" }),
        Cell::new(port.speed_mbps.map_or("?".to_owned(), |speed| format!("{speed}M"))),
        Cell::new(port.share.map_or_else(
            || format!("{}{}", port.config.priority, if port.config.sticky { " sticky" } else { "" }),
            |share| format!("{:.1} %", share * 100.0),
        )),
        Cell::new(port.link_failures),
        Cell::new(port.last_change.as_deref().unwrap_or("?")),
        Cell::new(&port.why),
    ]
}

/// The word that a choice has in the configuration.
fn word(choice: &impl serde::Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
