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
    /// The directories of the workspace's packages. That of the eBPF programs is none of them.
    pub packages: Vec<PathBuf>,
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
        let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
        let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
        let packages = manifests.filter_map(|manifest| Some(Path::new(manifest).parent()?.to_path_buf())).collect();
        Ok(Self { root, target: target.into(), packages })
    }

    /// Where our Rust code is: the directories and files of all packages that cargo looks for code in, if they exist.
    pub fn sources(&self) -> Vec<PathBuf> {
        let packages = self.packages.iter().cloned().chain([self.ebpf_crate()]);
        let places =
            |package: PathBuf| ["src", "tests", "benches", "examples", "build.rs"].map(|place| package.join(place));
        packages.flat_map(places).filter(|place| place.exists()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_our_code_is_found_and_nothing_that_was_built() -> Result<()> {
        let workspace = Workspace::locate()?;
        let sources = workspace.sources();
        for ours in ["common/src", "dataplane-ebpf/src", "dataplane-user/kernel/src", "tests/tests", "xtask/tools/src"]
        {
            assert!(sources.contains(&workspace.root.join(ours)), "{ours} is not in {sources:?}");
        }
        assert!(sources.iter().all(|place| !workspace.target.starts_with(place)), "{sources:?}");
        Ok(())
    }
}
