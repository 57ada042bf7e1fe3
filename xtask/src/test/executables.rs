//! The test executables that cargo builds, to be run elsewhere.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use aggctl_tools::process;

/// A test executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The name of its package.
    pub package: String,
    /// Its name: that of the file in `tests/`.
    pub target: String,
    /// The executable.
    pub path: PathBuf,
    /// The root of its package, where cargo would run it.
    pub directory: PathBuf,
    /// Whether it is of the directory `tests/`, rather than the tests that lie beside the code.
    pub integration: bool,
}

/// A test executable and the names of its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The executable.
    pub executable: Executable,
    /// The names of its tests.
    pub tests: Vec<String>,
}

impl Listed {
    /// Asks an executable for its tests.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub fn of(executable: Executable) -> Result<Self> {
        let names = process::read(Command::new(&executable.path).args(["--list", "--format", "terse"]))?;
        let tests = names.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
        Ok(Self { executable, tests })
    }
}

/// Runs `command`, a `cargo test --no-run --message-format=json`, and returns the tests that it built.
///
/// # Errors
///
/// When something does not compile, with the compiler's messages above.
pub fn build(command: &mut Command) -> Result<Vec<Executable>> {
    command.stdout(Stdio::piped());
    let child = command.spawn().with_context(|| format!("cannot start `{}`", process::describe(command)))?;
    let output = child.wait_with_output().with_context(|| format!("`{}`", process::describe(command)))?;
    ensure!(output.status.success(), "`{}` failed: {}", process::describe(command), output.status);
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| AgentMessage::read(line)?.executable()).collect())
}

/// What we want to know of a message of cargo's.
#[derive(Deserialize)]
struct AgentMessage {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

impl AgentMessage {
    /// A line of JSON; most are of other kinds.
    fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    fn executable(self) -> Option<Executable> {
        Some(Executable {
            package: name_of(&self.package_id)?.to_owned(),
            target: self.target.name,
            path: self.executable.filter(|_| self.profile.test)?,
            directory: self.manifest_path.parent()?.to_path_buf(),
            integration: self.target.kind.iter().any(|kind| kind == "test"),
        })
    }
}

/// The name in a package id: `path+file:///src/tests#aggctl-tests@0.1.0`, or `…/engine#0.1.0` where the directory has
/// the package's name.
fn name_of(id: &str) -> Option<&str> {
    let (source, fragment) = id.rsplit_once('#')?;
    fragment.split_once('@').map_or_else(|| source.rsplit('/').next(), |(name, _)| Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_tests_are_taken() {
        let line = |test: bool| {
            let message = json!({
                "reason": "compiler-artifact",
                "package_id": "path+file:///w/tests#aggctl-tests@0.1.0",
                "manifest_path": "/w/tests/Cargo.toml",
                "target": { "kind": ["test"], "name": "s1" },
                "profile": { "test": test },
                "executable": "/t/s1-0",
            });
            message.to_string()
        };
        let found = AgentMessage::read(&line(true)).and_then(AgentMessage::executable);
        let expected = Executable {
            package: "aggctl-tests".to_owned(),
            target: "s1".to_owned(),
            path: "/t/s1-0".into(),
            directory: "/w/tests".into(),
            integration: true,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(AgentMessage::read(&line(false)).and_then(AgentMessage::executable), None);
        assert!(AgentMessage::read(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert_eq!(name_of("path+file:///w/aggctl#0.1.0"), Some("aggctl"));
    }
}
