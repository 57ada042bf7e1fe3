//! What was found on one kernel.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;

use super::{
    other, plot,
    tables::{self, Scale},
};
use crate::{
    figures::Figures,
    question::{Direction, Mode, Setup},
};

/// The chapter of a file of figures; its plots go into the directory.
///
/// # Errors
///
/// When a plot cannot be written.
pub fn write(figures: &Figures, directory: &Path, stem: &str) -> Result<String> {
    let identity = &figures.identity;
    let mut text = format!(
        "\n## Linux {}\n\nPrograms compiled by `{}`, commit `{}`. [Raw figures]({stem}.json).\n",
        identity.kernel, identity.compiler, identity.commit
    );
    if let Some(spread) = tables::repeatability(figures) {
        write!(text, "\nThe bare port, measured again and again, differed by {:.2} % at most.\n", spread * 100.0)?;
    }
    text += &overview(figures, directory, stem)?;
    text += &kinds(figures);
    text += &scales(figures, directory, stem)?;
    text += &other::write(figures);
    text += &missing(figures);
    Ok(text)
}

fn overview(figures: &Figures, directory: &Path, stem: &str) -> Result<String> {
    let mut text = "\n### Instructions for each frame\n\nOver the bare port, 64-byte frames, 2 ports.\n".to_owned();
    let tables = [(false, FREE), (true, HELD)]
        .map(|(held, about)| tables::overview(figures, held).map(|table| (held, format!("\n{about}\n\n{table}"))));
    for (held, table) in tables.into_iter().flatten() {
        text += &table;
        if !held {
            let plot = format!("{stem}-overview.svg");
            plot::bars(figures, held, &directory.join(&plot))?;
            write!(text, "\n![Instructions for each frame over the bare port, sent and received]({plot})\n")?;
        }
    }
    Ok(text)
}

const FREE: &str = "Frames that nobody else holds, as a card delivers them:";
const HELD: &str = "The same while the generator holds on to each frame, which is its usual way. Who receives such a \
                    frame through bonding or team pays for a copy of its description, of about 515 instructions; \
                    `aggctl` needs none. All tables below are of such frames. (Where a VLAN tag is taken out of a \
                    received frame, it is copied for everybody, also on the bare port: so bonding's and team's RX is \
                    lower there.)";

fn kinds(figures: &Figures) -> String {
    let tables = Mode::ALL.into_iter().filter_map(|mode| {
        let table = tables::kinds(figures, mode)?;
        Some(format!("\n{}:\n\n{table}", capital(&mode.to_string())))
    });
    let tables: String = tables.collect();
    if tables.is_empty() { tables } else { format!("\n### Kinds of frames\n{tables}") }
}

fn scales(figures: &Figures, directory: &Path, stem: &str) -> Result<String> {
    let mut text = String::new();
    for mode in Mode::ALL {
        let all = [
            ("ports-tx", Scale::of_ports(figures, mode, Direction::Tx)),
            ("ports-rx", Scale::of_ports(figures, mode, Direction::Rx)),
            ("flows", Scale::of_flows(figures, mode)),
        ];
        for (name, scale) in all {
            let Some(scale) = scale else { continue };
            let plot = format!("{stem}-{mode}-{name}.svg");
            plot::lines(&scale, &directory.join(&plot))?;
            write!(text, "\n{}, more {}:\n\n{}", capital(&mode.to_string()), scale.what, scale.table())?;
            write!(text, "\n![The same as lines]({plot})\n")?;
        }
    }
    Ok(if text.is_empty() { text } else { format!("\n### Many ports, many flows\n{text}") })
}

/// What there are no figures of, and why.
fn missing(figures: &Figures) -> String {
    let mut lines: Vec<String> = figures
        .left_out
        .iter()
        .map(|left| {
            let Setup { contender, mode, .. } = left.setup;
            format!("- {contender}, {mode}: “{}”\n", left.reason)
        })
        .chain(figures.failed.iter().map(|what| format!("- failed: {what}\n")))
        .collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() { String::new() } else { format!("\n### Left out\n\n{}", lines.concat()) }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
