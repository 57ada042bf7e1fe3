//! Which files of a kernel's modules must be loaded, in which order, to have a feature.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, ensure};

/// The modules that the root of a machine needs.
pub const TO_BOOT: &[&str] = &["virtio_pci", "9p", "9pnet_virtio", "overlay", "virtio_console"];

/// The index that depmod wrote: what each module needs, and what needs no module.
#[derive(Debug, Default)]
pub struct Index {
    /// By name, with `_` for `-`: the file and the files that must be loaded before it, the last one first.
    modules: BTreeMap<String, (String, Vec<String>)>,
    builtin: BTreeSet<String>,
}

impl Index {
    /// Reads the index of a modules directory, `…/lib/modules/VERSION`.
    ///
    /// # Errors
    ///
    /// When depmod has not been run for it.
    pub fn read(directory: &Path) -> Result<Self> {
        let dependencies = directory.join("modules.dep");
        let dependencies = fs::read_to_string(&dependencies)
            .with_context(|| format!("cannot read {} (`depmod -b` writes it)", dependencies.display()))?;
        let builtin = fs::read_to_string(directory.join("modules.builtin")).unwrap_or_default();
        Ok(Self::parse(&dependencies, &builtin))
    }

    /// Reads the text of `modules.dep` and of `modules.builtin`.
    fn parse(dependencies: &str, builtin: &str) -> Self {
        let modules = dependencies
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(file, needs)| {
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                (name(file), (file.to_owned(), needs))
            })
            .collect();
        Self { modules, builtin: builtin.lines().map(name).collect() }
    }

    /// The files to load for `features`, each once and after what it needs. What is built in needs no file.
    ///
    /// # Errors
    ///
    /// When the kernel has no such module.
    pub fn load_order(&self, features: &[&str]) -> Result<Vec<String>> {
        let mut order: Vec<String> = Vec::new();
        for feature in features {
            let Some((file, needs)) = self.modules.get(*feature) else {
                ensure!(self.builtin.contains(*feature), "the kernel has no module {feature}");
                continue;
            };
            // depmod names the most basic one last.
            for wanted in needs.iter().rev().chain([file]) {
                if !order.contains(wanted) {
                    order.push(wanted.clone());
                }
            }
        }
        Ok(order)
    }
}

/// The name of a module from its file: without directory and endings, with `_` for `-`.
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.split(".ko").next().unwrap_or(base).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::Index;

    const DEPENDENCIES: &str = "\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko: kernel/fs/netfs/netfs.ko
kernel/fs/netfs/netfs.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/drivers/virtio/virtio.ko kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/net/a-b.ko.zst:
";

    fn index() -> Index {
        Index::parse(DEPENDENCIES, "kernel/fs/overlayfs/overlay.ko\n")
    }

    #[test]
    fn a_module_comes_after_what_it_needs_and_only_once() {
        let order = index().load_order(&["9p", "9pnet_virtio", "overlay"]).unwrap();
        let expected = [
            "kernel/fs/netfs/netfs.ko",
            "kernel/net/9p/9pnet.ko",
            "kernel/fs/9p/9p.ko",
            "kernel/drivers/virtio/virtio.ko",
            "kernel/net/9p/9pnet_virtio.ko.xz",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn names_are_written_with_underscores() {
        assert_eq!(index().load_order(&["a_b"]).unwrap(), ["kernel/drivers/net/a-b.ko.zst"]);
    }

    #[test]
    fn an_absent_module_is_an_error() {
        let error = index().load_order(&["netkit"]).unwrap_err();
        assert_eq!(error.to_string(), "the kernel has no module netkit");
    }
}
