//! The first root of a machine: busybox, the modules that the host's root needs, and the plan.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{cpio, kernel::Kernel, modules, packed, plan::Plan};

const DIRECTORIES: &[&str] = &["bin", "dev", "lower", "memory", "modules", "new", "proc", "sys"];
const APPLETS: &[&str] = &["cp", "insmod", "mkdir", "mount", "poweroff", "sh", "switch_root"];
const INIT: &str = include_str!("init.sh");

/// Makes the archive. `agent` is our own program, by the path that it has in the host's root.
///
/// # Errors
///
/// When the kernel lacks a module or a file cannot be read.
pub fn build(kernel: &Kernel, busybox: &Path, agent: &str, plan: &Plan) -> Result<Vec<u8>> {
    let mut archive = cpio::CpioArchive::default();
    for directory in DIRECTORIES {
        archive.directory(directory)?;
    }
    let program = fs::read(busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    archive.file("bin/busybox", 0o755, &program)?;
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    for (number, file) in modules::Index::read(&kernel.modules)?.load_order(modules::TO_BOOT)?.iter().enumerate() {
        let content = packed::read(&kernel.modules.join(file))?;
        // The shell orders names: the number keeps the order.
        archive.file(&format!("modules/{number:03}-{}", module_name(file)), 0o644, &content)?;
    }
    archive.file("init", 0o755, INIT.replace("@AGENT@", &quote(agent)).as_bytes())?;
    archive.file("plan.json", 0o644, &serde_json::to_vec(plan)?)?;
    archive.finish()
}

fn module_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// A word for the shell that means exactly `text`.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quote;

    #[test]
    fn the_shell_reads_a_quoted_word_as_it_is() {
        for text in ["/a/xtask", "a b", "it's", "$HOME `id` \"x\" \\ *", ""] {
            let output = Command::new("sh").args(["-c", &format!("printf %s {}", quote(text))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
