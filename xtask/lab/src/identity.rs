//! On what is measured.

use std::process::Command;

use anyhow::{Context, Result};

pub use super::figures::MeasuredOn;
use aggctl_tools::{process, toolchain::Toolchain, workspace::Workspace};

impl MeasuredOn {
    /// This tree and its compiler. The kernel is the one that the machine names when it has booted.
    ///
    /// # Errors
    ///
    /// When compiler or git do not answer.
    pub fn of(workspace: &Workspace, toolchain: &Toolchain) -> Result<Self> {
        let version = process::read(toolchain.rustc().arg("--version")).context("the compiler of the programs")?;
        let git = |words: &[&str]| process::read(Command::new("git").arg("-C").arg(&workspace.root).args(words));
        let commit = git(&["rev-parse", "HEAD"])?;
        // What only documents changed is measured as it is committed.
        let changed = git(&["status", "--porcelain", "--", ".", ":!docs"])?;
        let dirty = if changed.trim().is_empty() { "" } else { "-dirty" };
        Ok(Self {
            kernel: String::new(),
            compiler: version.trim().to_owned(),
            commit: format!("{}{dirty}", commit.trim()),
        })
    }
}
