//! Lines that are too long: rustfmt does not break comments, texts and the arguments of macros, and says nothing of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{scan::Tally, suite::SuiteOutcome};

/// The longest line that Rust code may have: the `max_width` of `rustfmt.toml`, in characters.
const LONGEST: usize = 120;

/// Looks at all Rust files in these places, which are in `root`, and names each line that is too long.
pub fn check(root: &Path, places: &[PathBuf]) -> SuiteOutcome {
    let begin = Instant::now();
    println!("looking for lines of Rust that are longer than {LONGEST} characters");
    let mut tally = Tally::default();
    match too_long(root, places) {
        Ok(lines) if lines.is_empty() => tally.passed = 1,
        Ok(lines) => {
            tally.failed = 1;
            tally.failures = lines;
        }
        Err(error) => {
            tally.failed = 1;
            tally.failures = vec![format!("{error:#}")];
        }
    }
    SuiteOutcome { tally, took: begin.elapsed() }
}

/// What is to be said of each line that is too long, file by file.
fn too_long(root: &Path, places: &[PathBuf]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for place in places {
        collect(place.clone(), &mut files).with_context(|| format!("cannot read what is in {}", place.display()))?;
    }
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display();
        for (number, line) in (1..).zip(text.lines()) {
            let length = line.chars().count();
            if length > LONGEST {
                found.push(format!("{name}:{number}: {length} characters, of {LONGEST} at most"));
            }
        }
    }
    Ok(found)
}

/// The Rust files of a place and of the directories in it, without what is hidden.
fn collect(place: PathBuf, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_dir() {
        for entry in fs::read_dir(place)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                collect(entry.path(), files)?;
            }
        }
    } else if place.extension().is_some_and(|extension| extension == "rs") {
        files.push(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_named() -> Result<()> {
        let root = tempfile::tempdir()?;
        for directory in ["a", ".git", "b"] {
            fs::create_dir(root.path().join(directory))?;
        }
        let places = ["a", "build.rs", ".git"].map(|place| root.path().join(place));
        let long = "ä".repeat(LONGEST);
        for (file, text) in [
            ("a/a.rs", format!("{long}\n{long}ä\n")),
            ("build.rs", long.clone()),
            ("b/a.rs", format!("{long}ä")),
            ("a/.#a.rs", format!("{long}ä")),
            ("a/a.md", format!("{long}ä")),
        ] {
            fs::write(root.path().join(file), text)?;
        }
        let tally = check(root.path(), &places).tally;
        assert_eq!((tally.passed, tally.failed), (0, 1));
        assert_eq!(tally.failures, ["a/a.rs:2: 121 characters, of 120 at most"]);
        fs::remove_file(root.path().join("a/a.rs"))?;
        assert_eq!(check(root.path(), &places).tally.passed, 1);
        fs::write(root.path().join("a/b.rs"), [0xff])?;
        assert_eq!(check(root.path(), &places).tally.failed, 1, "what cannot be read was not looked at");
        Ok(())
    }
}
