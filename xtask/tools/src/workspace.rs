//! Where things are: the workspace, its target directory, the eBPF object, the binary.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// The places that the commands work in. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The root of the checkout.
    pub root: PathBuf,
    /// Where cargo puts the user side (honours `CARGO_TARGET_DIR` and cargo's configuration).
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo where they are.
    ///
    /// # Errors
    ///
    /// When cargo cannot read the workspace.
    pub fn locate() -> Result<Self> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let root = ours.context("the crate is not in a workspace")?.to_path_buf();
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .args(["--manifest-path"])
            .arg(root.join("Cargo.toml"))
            .output()
            .context("cargo metadata")?;
        anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { root, target: target.into() })
    }

    /// The eBPF object, in one place whatever the target directory of the user side is.
    pub fn object(&self) -> PathBuf {
        self.root.join("target/bpf/aggctl.bpf.o")
    }

    /// The crate of the eBPF programs.
    pub fn ebpf_crate(&self) -> PathBuf {
        self.root.join("dataplane-ebpf")
    }

    /// Where cargo builds the eBPF programs: apart from the user side, so that neither waits for the other's lock.
    pub fn ebpf_target(&self) -> PathBuf {
        self.root.join("target/bpf-build")
    }

    /// The `aggctl` binary.
    pub fn aggctl(&self, release: bool) -> PathBuf {
        self.target.join(if release { "release" } else { "debug" }).join("aggctl")
    }
}

/// The cargo that runs us, so that a toolchain that the caller chose stays the same for what we start.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}
