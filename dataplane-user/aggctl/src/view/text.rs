//! The text of `show`, for people: aligned, with colour only on a terminal.

use aggctl_engine::{config::Toggle, status::PortState};
use comfy_table::{Cell, Color, Table, presets::NOTHING};
use owo_colors::{OwoColorize, Stream::Stdout};

use super::{AggregateView, PortView};

/// Renders one aggregate, with a newline at the end.
pub fn render(view: &AggregateView) -> String {
    format!("{}\n{}\n{}\n", headline(view), settings(view), ports(view))
}

fn headline(view: &AggregateView) -> String {
    let carrier = if view.carrier {
        "carrier".if_supports_color(Stdout, |text| text.green()).to_string()
    } else {
        "NO CARRIER".if_supports_color(Stdout, |text| text.red()).to_string()
    };
    let active = view.active_port.as_deref().map_or("no active port".to_owned(), |port| format!("active port {port}"));
    format!("{}: {}, {carrier}, {active}", view.name.if_supports_color(Stdout, |text| text.bold()), word(&view.mode),)
}

fn settings(view: &AggregateView) -> String {
    let mut lines = Vec::new();
    let mtu = view.mtu.map_or("gone".to_owned(), |mtu| format!("mtu {mtu}"));
    let (wiring, device, hook) = (word(&view.wiring), word(&view.device), word(&view.hook));
    lines.push(format!("mac {}, {mtu}, wiring {wiring}, device {device}, hook {hook}", view.mac));
    let mut rules = vec![format!("reselect {}", word(&view.reselect))];
    rules.extend(view.primary.as_ref().map(|primary| format!("primary {primary}")));
    rules.push(format!("min-ports {}", view.min_ports));
    let watch = view.link_watch;
    rules.push(format!(
        "up-delay {} ms, down-delay {} ms, poll {} ms",
        watch.up_delay_ms, watch.down_delay_ms, watch.poll_ms
    ));
    if view.promisc != Toggle::Auto {
        rules.push(format!("promisc {}", word(&view.promisc)));
    }
    rules.push(format!("announce {} × {} ms", view.announce.count, view.announce.interval_ms));
    lines.push(rules.join(", "));
    lines.push(match view.controller.pid {
        Some(pid) => format!("controller: process {pid}"),
        None => format!("controller: NONE, link changes go unseen; start one with `aggctl adopt {}`", view.name),
    });
    lines.extend(
        view.confirm_within
            .map(|seconds| format!("will be undone in {seconds} s unless confirmed: `aggctl confirm {}`", view.name)),
    );
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn ports(view: &AggregateView) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["  port", "state", "link", "speed", "prio", "failures", "tx", "rx", "dropped", "why"]);
    if std::env::var_os("NO_COLOR").is_some() {
        table.force_no_tty();
    }
    for port in &view.ports {
        table.add_row(row(port));
    }
    table.trim_fmt()
}

fn row(port: &PortView) -> Vec<Cell> {
    let colour = match port.state {
        PortState::Active => Color::Green,
        PortState::Standby => Color::Reset,
        PortState::Down | PortState::Disabled => Color::Red,
    };
    let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    vec![
        Cell::new(format!("  {}", port.name)),
        Cell::new(word(&port.state)).fg(colour),
        Cell::new(port.link),
        Cell::new(port.speed_mbps.map_or("?".to_owned(), |speed| format!("{speed}M"))),
        Cell::new(format!("{}{}", port.priority, if port.sticky { " sticky" } else { "" })),
        Cell::new(port.link_failures),
        Cell::new(count(port.tx_packets)),
        Cell::new(count(port.rx_packets)),
        Cell::new(count(port.rx_dropped)),
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
