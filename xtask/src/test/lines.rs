//! Lines that are too long: rustfmt does not break comments, texts and the arguments of macros, and says nothing of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{scan::Tally, suite::Outcome};

/// The longest line that Rust code may have: the `max_width` of `rustfmt.toml`, in characters.
const LONGEST: usize = 120;

/// Looks at all Rust files below a directory, and names each line that is too long.
pub fn check(root: &Path) -> Outcome {
    let begin = Instant::now();
    println!("looking for lines of Rust that are longer than {LONGEST} characters");
    let mut tally = Tally::default();
    match too_long(root) {
        Ok(lines) if lines.is_empty() => tally.passed = 1,
        Ok(lines) => {
            eprintln!("{}", lines.join("\n"));
            tally.failed = 1;
        }
        Err(error) => {
            eprintln!("{error:#}");
            tally.failed = 1;
        }
    }
    Outcome { tally, took: begin.elapsed() }
}

/// What is to be said of each line that is too long, file by file.
fn too_long(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, &mut files).with_context(|| format!("cannot read what is in {}", root.display()))?;
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

/// The Rust files of a directory and of those below it, without what was built and what is hidden.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if name == "target" || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_named() -> Result<()> {
        let root = tempfile::tempdir()?;
        for directory in ["a", "target", ".git"] {
            fs::create_dir(root.path().join(directory))?;
        }
        let long = "ä".repeat(LONGEST);
        for (file, text) in [
            ("a/a.rs", format!("{long}\n{long}ä\n")),
            ("b.rs", long.clone()),
            ("target/a.rs", format!("{long}ä")),
            (".git/a.rs", format!("{long}ä")),
            ("a/a.md", format!("{long}ä")),
        ] {
            fs::write(root.path().join(file), text)?;
        }
        assert_eq!(too_long(root.path())?, ["a/a.rs:2: 121 characters, of 120 at most"]);
        assert_eq!(check(root.path()).tally.failed, 1);
        fs::remove_file(root.path().join("a/a.rs"))?;
        assert_eq!(check(root.path()).tally.passed, 1);
        Ok(())
    }
}
