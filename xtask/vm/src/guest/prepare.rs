//! Makes a machine what tests expect: file systems, modules in place, names of network cards, `lo`.

use std::{
    collections::BTreeSet,
    ffi::{CString, OsStr},
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use rustix::{
    fs::{CWD, FileType, Mode},
    mount::MountFlags,
};

use crate::{nic::NicSpec, plan::Plan};
use aggctl_tools::process;

/// Where interfaces are listed.
const INTERFACES: &str = "/sys/class/net";
/// Kind and place of the file systems that every machine has; the root, /proc, /sys, /dev and /run are mounted before.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("tmpfs", "/dev/shm"),
    ("devpts", "/dev/pts"),
    ("bpf", "/sys/fs/bpf"),
    ("debugfs", "/sys/kernel/debug"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
];
/// Uncached: what the machine writes is on the host when the call returns, and the other way round.
const RESULTS_OPTIONS: &str = "trans=virtio,version=9p2000.L,msize=512000,cache=none";

/// Prepares everything.
///
/// # Errors
///
/// When a step fails; the error names it.
pub fn all(plan: &Plan) -> Result<()> {
    for (kind, place) in FILE_SYSTEMS {
        mount(kind, kind, Path::new(place), "")?;
    }
    mount("results", "9p", &plan.results, RESULTS_OPTIONS)?;
    link_modules(plan)?;
    make_nodes(&plan.modules)?;
    fs::create_dir_all("/run/netns").context("cannot create /run/netns")?;
    rustix::system::sethostname(b"aggctl-vm").context("cannot set the host name")?;
    run("ip", &["link", "set", "lo", "up"])?;
    name_cards(&plan.cards)
}

fn mount(source: &str, kind: &str, place: &Path, options: &str) -> Result<()> {
    // Directories of the kernel's own file systems are there already and cannot be made.
    if !place.exists() {
        fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    }
    let options = CString::new(options)?;
    rustix::mount::mount(source, place, kind, MountFlags::empty(), Some(options.as_c_str()))
        .with_context(|| format!("cannot mount {kind} on {}", place.display()))
}

/// Puts the modules where the kernel's version says they are, so that `modprobe` finds them.
fn link_modules(plan: &Plan) -> Result<()> {
    let place = Path::new("/lib/modules").join(&plan.kernel);
    if fs::canonicalize(&place).is_ok_and(|is| is == plan.modules) {
        return Ok(());
    }
    fs::create_dir_all("/lib/modules").context("cannot create /lib/modules")?;
    if place.is_dir() && !place.is_symlink() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot replace {}", place.display()))?;
    } else if place.is_symlink() {
        fs::remove_file(&place).with_context(|| format!("cannot replace {}", place.display()))?;
    }
    symlink(&plan.modules, &place).with_context(|| format!("cannot write {}", place.display()))
}

/// Makes the device nodes whose opening loads a module (`/dev/net/tun`), which a running system gets from its service
/// manager.
fn make_nodes(modules: &Path) -> Result<()> {
    let list = modules.join("modules.devname");
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    for (name, kind, major, minor) in text.lines().filter_map(node) {
        let place = Path::new("/dev").join(name);
        if place.exists() {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        rustix::fs::mknodat(CWD, &place, kind, Mode::from(0o666), rustix::fs::makedev(major, minor))
            .with_context(|| format!("cannot make {}", place.display()))?;
    }
    Ok(())
}

/// Reads a line of `modules.devname`: module, name below `/dev`, and `c` or `b` with the device's numbers.
fn node(line: &str) -> Option<(&str, FileType, u32, u32)> {
    let mut words = line.split_whitespace().skip(1);
    let (name, device) = (words.next()?, words.next()?);
    let kind = match device.chars().next()? {
        'c' => FileType::CharacterDevice,
        'b' => FileType::BlockDevice,
        _ => return None,
    };
    let (major, minor) = device[1..].split_once(':')?;
    Some((name, kind, major.parse().ok()?, minor.parse().ok()?))
}

/// Loads the drivers of the cards and gives each interface its card's name.
fn name_cards(cards: &[NicSpec]) -> Result<()> {
    let modules: BTreeSet<&[String]> = cards.iter().map(|card| card.module.as_slice()).collect();
    for module in modules {
        run("modprobe", module)?;
    }
    for card in cards {
        let now = interface(&card.mac)?.with_context(|| format!("there is no interface of the card {}", card.name))?;
        run("ip", &["link", "set", now.as_str(), "name", card.name.as_str()])?;
    }
    Ok(())
}

/// The interface with an address.
fn interface(mac: &str) -> Result<Option<String>> {
    let all = fs::read_dir(INTERFACES).with_context(|| format!("cannot read {INTERFACES}"))?;
    let has = |path: &Path| fs::read_to_string(path.join("address")).is_ok_and(|address| address.trim() == mac);
    Ok(all.flatten().find(|entry| has(&entry.path())).map(|entry| entry.file_name().to_string_lossy().into_owned()))
}

fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    let path = process::find(program).with_context(|| format!("{program} is not there"))?;
    process::read(Command::new(path).args(arguments)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use rustix::fs::FileType;

    use super::node;

    #[test]
    fn a_list_of_nodes_is_read() {
        assert_eq!(node("tun net/tun c10:200"), Some(("net/tun", FileType::CharacterDevice, 10, 200)));
        assert_eq!(node("loop loop-control b7:0"), Some(("loop-control", FileType::BlockDevice, 7, 0)));
        assert_eq!(node("# Device nodes to trigger on-demand module loading."), None);
    }
}
