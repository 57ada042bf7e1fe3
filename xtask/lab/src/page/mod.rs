//! The page that people read.

mod chapter;
pub mod other;
mod plot;
mod tables;

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::figures::Figures;

/// What stands before the figures.
const BEFORE: &str = include_str!("before.md");
/// What stands after them.
const AFTER: &str = include_str!("after.md");

/// Writes `README.md` and its plots from the figures in the directory.
///
/// # Errors
///
/// When there are none, or they cannot be read, or the page cannot be written.
pub fn write(directory: &Path) -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let mut page = BEFORE.to_owned();
    for file in &files {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).context("the names of figures are UTF-8")?;
        page += &chapter::write(&Figures::read(file)?, directory, stem)?;
    }
    page += "\n";
    page += AFTER;
    let place = directory.join("README.md");
    fs::write(&place, page).with_context(|| format!("cannot write {}", place.display()))
}

/// What a person wants to see first, as text.
pub fn summary(figures: &Figures) -> String {
    let tables = [(false, "Frames that nobody else holds"), (true, "Frames that the generator holds")];
    let table = |(held, about)| Some(format!("{about}:\n\n{}\n", tables::overview(figures, held)?));
    let text: String = tables.into_iter().filter_map(table).collect();
    if text.is_empty() { "no costs of frames were measured".to_owned() } else { text }
}
