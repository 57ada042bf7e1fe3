//! `cargo xtask bench`: what an aggregate costs, as ratios to a bare veth pair in the same run.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};

use aggctl_testbed::{netns::NetworkNamespace, product::Product, traffic::bulk};
use aggctl_tools::{build, interrupt::Interrupt, process, workspace::Workspace};

/// How often each figure is taken; the median counts.
const REPEATS: usize = 7;
/// How long TCP runs for one figure.
const TCP: Duration = Duration::from_millis(1_000);
/// How long datagrams go to and fro for one figure.
const ROUND_TRIPS: Duration = Duration::from_millis(500);

/// The address of the host at the end of the bare pair, and behind the aggregate.
const BARE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const AGGREGATED: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);

/// A quantity, in both paths.
struct Figure {
    name: &'static str,
    unit: &'static str,
    scale: f64,
    bare: Vec<f64>,
    aggregated: Vec<f64>,
}

/// Builds with optimisation, measures and prints. Nothing is asserted: wall-clock figures depend on the machine.
///
/// # Errors
///
/// When it cannot be built or run here.
pub fn run(workspace: &Workspace) -> Result<()> {
    if !process::is_root() {
        bail!("the benchmark makes network namespaces and loads programs: run it as root");
    }
    let binary = build::ready(workspace, true)?;
    let interrupt = Interrupt::catch()?;
    let host = NetworkNamespace::new("host")?;
    let partner = NetworkNamespace::new("partner")?;
    wire(&host, &partner)?;
    let product = Product { binary: &binary, namespace: &host, aggregate: "agg0" };
    let measured = product
        .run("attach agg0 --port eth0 --port eth1")
        .and_then(|_| interrupt.pause(Duration::from_secs(1)))
        .and_then(|()| measure(&host, &partner, &interrupt));
    product.clean_up().context("cleaning up")?;
    print(&measured?);
    Ok(())
}

/// A pair that stays bare, and two that become ports.
fn wire(host: &NetworkNamespace, partner: &NetworkNamespace) -> Result<()> {
    for name in ["bare", "eth0", "eth1"] {
        host.ip(&format!("link add {name} type veth peer name {name} netns {}", partner.name()))?;
        host.ip(&format!("link set {name} up"))?;
        partner.ip(&format!("link set {name} up"))?;
    }
    for (name, address) in [("bare", BARE), ("eth0", AGGREGATED)] {
        host.ip(&format!("address add {address}/24 dev {name}"))?;
        let [a, b, c, _] = address.octets();
        partner.ip(&format!("address add {a}.{b}.{c}.2/24 dev {name}"))?;
    }
    Ok(())
}

/// Takes all figures in turns, so that what disturbs the machine disturbs both paths alike.
fn measure(host: &NetworkNamespace, partner: &NetworkNamespace, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let figure = |name, unit, scale| Figure { name, unit, scale, bare: Vec::new(), aggregated: Vec::new() };
    let mut figures = vec![
        figure("TCP, partner to host", "Gbit/s", 1e9),
        figure("TCP, host to partner", "Gbit/s", 1e9),
        figure("UDP round trips", "1000/s", 1e3),
    ];
    for repeat in 0..REPEATS {
        eprintln!("bench: round {} of {REPEATS}", repeat + 1);
        let mut paths = [(BARE, false), (AGGREGATED, true)];
        if repeat % 2 == 1 {
            paths.reverse();
        }
        for (address, aggregated) in paths {
            interrupt.check()?;
            let values = [
                bulk::tcp(host, partner, address, true, TCP)?,
                bulk::tcp(host, partner, address, false, TCP)?,
                bulk::round_trips(host, partner, address, ROUND_TRIPS)?,
            ];
            for (figure, value) in figures.iter_mut().zip(values) {
                let values = if aggregated { &mut figure.aggregated } else { &mut figure.bare };
                values.push(value);
            }
        }
    }
    Ok(figures)
}

fn print(figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "bare veth", "agg0", "ratio", "ratios from", "to", "unit"]);
    for Figure { name, unit, scale, bare, aggregated } in figures {
        let ratios: Vec<f64> = bare.iter().zip(aggregated).map(|(bare, aggregated)| aggregated / bare).collect();
        table.add_row([
            (*name).to_owned(),
            format!("{:.2}", median(bare) / scale),
            format!("{:.2}", median(aggregated) / scale),
            format!("{:.2}", median(&ratios)),
            format!("{:.2}", ratios.iter().copied().fold(f64::INFINITY, f64::min)),
            format!("{:.2}", ratios.iter().copied().fold(0.0, f64::max)),
            (*unit).to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}");
    println!(
        "\nMedians of {REPEATS} rounds; the ratio is the median of the ratios of the rounds. Each round takes every\n\
         figure over a bare veth pair and over agg0 (active-backup, two veth ports), in alternating order. One TCP\n\
         connection for {} s, counted by the receiver; datagrams of 64 bytes, one at a time, for {} s. Wall clock on\n\
         {}: only the ratios mean something, and only large ones.",
        TCP.as_secs_f64(),
        ROUND_TRIPS.as_secs_f64(),
        machine(),
    );
}

/// Kernel and number of processors.
fn machine() -> String {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {kernel}, {processors} processors")
}

/// The middle one of an odd number of values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{REPEATS, median};

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(!REPEATS.is_multiple_of(2));
    }
}
