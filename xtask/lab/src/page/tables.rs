//! Tables, in Markdown, which reads well on a terminal, too.

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    figures::Figures,
    question::{Contender, Direction, Encapsulation, Mode, Setup, Size, Traffic},
    schedule::SMALL_V4,
};

/// What stands where there is no figure.
const NONE: &str = "–";
/// How many ports there are, where that is not what is asked.
const PORTS: u8 = 2;

/// Rows below a head; the first columns hold words, the others numbers.
pub fn table(head: Vec<String>, rows: Vec<Vec<String>>, words: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(head).add_rows(rows);
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.0}"))
}

fn times(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.2}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{:.1} %", value * 100.0))
}

/// Both directions together.
fn sum(figures: &Figures, setup: &Setup, held: bool) -> Option<f64> {
    let way = |direction| figures.over_bare(setup, &Traffic { direction, held, ..SMALL_V4 });
    Some(way(Direction::Tx)? + way(Direction::Rx)?)
}

/// Every mode and contender: sent, received, both, and both as a multiple of bonding's.
pub fn overview(figures: &Figures, held: bool) -> Option<String> {
    let mut rows = Vec::new();
    for mode in Mode::ALL {
        let setup = |contender| Setup { contender, mode, ports: PORTS };
        let bonding = sum(figures, &setup(Contender::Bonding), held);
        for contender in Contender::AGGREGATES {
            let Some(both) = sum(figures, &setup(contender), held) else { continue };
            let traffic = |direction| Traffic { direction, held, ..SMALL_V4 };
            let way = |direction| whole(figures.over_bare(&setup(contender), &traffic(direction)));
            rows.push(vec![
                mode.to_string(),
                contender.to_string(),
                way(Direction::Tx),
                way(Direction::Rx),
                whole(Some(both)),
                times(bonding.map(|bonding| both / bonding)),
                percent(figures.background(&setup(contender), &traffic(Direction::Tx))),
            ]);
        }
    }
    let head = ["mode", "", "TX", "RX", "TX + RX", "times bonding", "background"].map(str::to_owned).to_vec();
    (!rows.is_empty()).then(|| table(head, rows, 2))
}

/// One mode under every kind of frame.
pub fn kinds(figures: &Figures, mode: Mode) -> Option<String> {
    let setup = |contender| Setup { contender, mode, ports: PORTS };
    let contenders = present(figures, mode);
    let mut rows = Vec::new();
    for direction in [Direction::Tx, Direction::Rx] {
        for protocol in Encapsulation::ALL {
            for size in Size::ALL {
                let traffic = Traffic { direction, protocol, size, flows: 1, held: true };
                let values = contenders.iter().map(|one| figures.over_bare(&setup(*one), &traffic));
                let values: Vec<Option<f64>> = std::iter::once(figures.bare(&traffic)).chain(values).collect();
                if values.iter().skip(1).any(Option::is_some) {
                    let names = [direction.to_string(), protocol.to_string(), size.to_string()];
                    rows.push(names.into_iter().chain(values.into_iter().map(whole)).collect());
                }
            }
        }
    }
    let head = ["", "frame", "bytes", "(bare port)"].map(str::to_owned).into_iter();
    let head = head.chain(contenders.iter().map(ToString::to_string)).collect();
    // With only one kind, the overview says it all.
    (rows.len() > 2).then(|| table(head, rows, 2))
}

/// One mode over more and more ports or flows: a line for each contender.
pub struct Scale {
    /// Of which mode.
    pub mode: Mode,
    /// What grows.
    pub what: &'static str,
    /// A name, and points of how many and how much.
    pub lines: Vec<(Contender, Vec<(u32, f64)>)>,
}

impl Scale {
    /// Over more and more ports.
    pub fn of_ports(figures: &Figures, mode: Mode, direction: Direction) -> Option<Self> {
        let point = |setup: &Setup, traffic: &Traffic| {
            let flows = if direction == Direction::Tx { 1_000 } else { 1 };
            (traffic.flows == flows).then_some(u32::from(setup.ports))
        };
        let what = if direction == Direction::Tx { "ports, TX" } else { "ports, RX" };
        Self::of(figures, mode, direction, what, point)
    }

    /// Over more and more flows.
    pub fn of_flows(figures: &Figures, mode: Mode) -> Option<Self> {
        let point = |setup: &Setup, traffic: &Traffic| (setup.ports == PORTS).then_some(traffic.flows);
        Self::of(figures, mode, Direction::Tx, "flows, TX", point)
    }

    fn of(
        figures: &Figures,
        mode: Mode,
        direction: Direction,
        what: &'static str,
        point: impl Fn(&Setup, &Traffic) -> Option<u32>,
    ) -> Option<Self> {
        let line = |contender: Contender| {
            let own = figures.costs.iter().filter(|cost| cost.setup.contender == contender && cost.setup.mode == mode);
            let usual = own.filter(|cost| Traffic { direction, flows: cost.traffic.flows, ..SMALL_V4 } == cost.traffic);
            let mut points: Vec<(u32, f64)> = usual
                .filter_map(|cost| {
                    Some((point(&cost.setup, &cost.traffic)?, figures.over_bare(&cost.setup, &cost.traffic)?))
                })
                .collect();
            points.sort_by_key(|(many, _)| *many);
            points.dedup_by_key(|(many, _)| *many);
            (contender, points)
        };
        let lines: Vec<_> =
            Contender::AGGREGATES.map(line).into_iter().filter(|(_, points)| points.len() > 1).collect();
        (!lines.is_empty()).then_some(Self { mode, what, lines })
    }

    /// As a table.
    pub fn table(&self) -> String {
        let mut many: Vec<u32> = self.lines.iter().flat_map(|(_, points)| points).map(|(many, _)| *many).collect();
        many.sort_unstable();
        many.dedup();
        let rows = self.lines.iter().map(|(contender, points)| {
            let value = |many: &u32| whole(points.iter().find(|(other, _)| other == many).map(|(_, value)| *value));
            std::iter::once(contender.to_string()).chain(many.iter().map(value)).collect()
        });
        let head = std::iter::once(self.what.to_owned()).chain(many.iter().map(ToString::to_string)).collect();
        table(head, rows.collect(), 1)
    }
}

/// The contenders that have figures in this mode.
pub fn present(figures: &Figures, mode: Mode) -> Vec<Contender> {
    let has = |contender: &Contender| {
        figures.costs.iter().any(|cost| cost.setup.contender == *contender && cost.setup.mode == mode)
    };
    Contender::AGGREGATES.into_iter().filter(has).collect()
}

/// How far apart the same measurement of the bare port was, at most, as a part of it.
pub fn repeatability(figures: &Figures) -> Option<f64> {
    let traffics = figures.costs.iter().map(|cost| cost.traffic);
    let spread = |traffic: Traffic| {
        let all: Vec<f64> = figures.bares(&traffic).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        (all.len() > 1).then_some((most - least) / least)
    };
    traffics.filter_map(spread).max_by(f64::total_cmp)
}
