//! The kernels that machines boot.

use std::{
    fmt, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    apt::PackageLists,
    cache::Cache,
    modules::{self, Index},
    packed,
};
use aggctl_tools::process;

/// The package that depends on the packages of the newest kernel of a suite.
const PACKAGE: &str = "linux-image-amd64";
/// The kernel out of its image, in the root of an unpacked package in the cache.
const UNPACKED: &str = "vmlinux";

/// A kernel as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelChoice {
    /// A series that is kept in the cache.
    Series(Series),
    /// A `vmlinuz` or the root of an unpacked kernel package.
    Path(PathBuf),
}

/// A series of kernels in Debian's archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// 6.1, of Debian 12.
    V6_1,
    /// 6.12, of Debian 13, and of Debian 12's backports.
    V6_12,
    /// The newest in the archive at the time it was fetched.
    Newest,
}

impl Series {
    /// All series, the oldest first.
    pub const ALL: [Self; 3] = [Self::V6_1, Self::V6_12, Self::Newest];

    /// As a person names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Newest => "newest",
        }
    }

    /// The suites that have it; a suite that is out of reach is left out by apt.
    const fn suites(self) -> &'static [&'static str] {
        match self {
            Self::V6_1 => &["bookworm"],
            Self::V6_12 => &["bookworm-backports"],
            Self::Newest => &["sid", "trixie-backports"],
        }
    }

    /// What its versions start with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1.",
            Self::V6_12 => "6.12.",
            Self::Newest => "",
        }
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|series| series.name() == text);
        found.ok_or_else(|| "a series is 6.1, 6.12 or newest".to_owned())
    }
}

impl FromStr for KernelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(series) = text.parse() {
            return Ok(Self::Series(series));
        }
        if text.contains('/') {
            return Ok(Self::Path(text.into()));
        }
        Err("a kernel is 6.1, 6.12, newest, or a path with a `/` in it".to_owned())
    }
}

impl fmt::Display for KernelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => f.write_str(series.name()),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// A kernel that is ready to be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What `uname -r` will say.
    pub version: String,
    /// The image.
    pub image: PathBuf,
    /// Its modules, `…/lib/modules/VERSION`, with depmod's index.
    pub modules: PathBuf,
}

impl Kernel {
    /// Finds a kernel, or fetches it into the cache.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched, or something of it is not there.
    pub fn find(choice: &KernelChoice, cache: &Cache) -> Result<Self> {
        match choice {
            KernelChoice::Series(series) => {
                let name = format!("kernels/{}", series.name());
                Self::unpacked(&cache.entry(&name, |place| fetch(*series, place))?)
            }
            KernelChoice::Path(path) => {
                let path = fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
                if path.is_dir() { Self::unpacked(&path) } else { Self::beside(&path) }
            }
        }
    }

    /// The kernel in the root of an unpacked package.
    fn unpacked(root: &Path) -> Result<Self> {
        let modules = only_directory(&root.join("lib/modules"))?;
        let version = version_of(&modules)?;
        let images = [root.join(UNPACKED), root.join(format!("boot/vmlinuz-{version}")), modules.join("vmlinuz")];
        let image = images.into_iter().find(|image| image.is_file());
        let image = image.with_context(|| format!("there is no vmlinuz of {version} in {}", root.display()))?;
        Ok(Self { version, image, modules })
    }

    /// The kernel of an image, with its modules in the same directory (`lib/modules/VERSION/vmlinuz`), or in
    /// `lib/modules` beside it or one level above (`boot/vmlinuz-VERSION`).
    fn beside(image: &Path) -> Result<Self> {
        let directory = image.parent().context("an image is in a directory")?;
        if directory.join("modules.dep").exists() {
            return Ok(Self { version: version_of(directory)?, image: image.into(), modules: directory.into() });
        }
        let name = image.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for root in [Some(directory), directory.parent()].into_iter().flatten() {
            let all = root.join("lib/modules");
            let modules = match name.strip_prefix("vmlinuz-") {
                Some(version) => all.join(version),
                None => only_directory(&all).unwrap_or(all),
            };
            if modules.join("modules.dep").exists() {
                return Ok(Self { version: version_of(&modules)?, image: image.into(), modules });
            }
        }
        bail!("there are no modules (lib/modules/VERSION/modules.dep) beside or above {}", image.display())
    }
}

/// Fetches a series and makes it ready in an empty directory.
fn fetch(series: Series, place: &Path) -> Result<()> {
    let name = series.name();
    eprintln!("vm: fetching kernel {name} from Debian's archive (about 100 MB, once)");
    let archive = PackageLists::fetch(series.suites(), place)?;
    let version = archive
        .newest(PACKAGE, series.prefix())?
        .with_context(|| format!("{} has no {PACKAGE} {}", series.suites().join(" and "), series.prefix()))?;
    let mut packages = parts(&archive.dependencies(PACKAGE, &version)?);
    // Since 6.13 or so, image and modules are packages of their own, below one that only depends on them.
    let below =
        packages.iter().map(|package| archive.dependencies(package, &version)).collect::<Result<Vec<_>>>()?.concat();
    packages.extend(parts(&below));
    ensure!(!packages.is_empty(), "{PACKAGE} {version} names no package with a kernel");
    archive.unpack(&packages, &version, place)?;
    drop(archive);
    index(place)
}

/// Those packages that hold parts of a kernel: the ones that have its version in their names.
fn parts(packages: &[String]) -> Vec<String> {
    let prefixes = ["linux-base-", "linux-image-", "linux-binary-", "linux-modules-"];
    let versioned = |name: &str| {
        let version = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    packages.iter().filter(|name| versioned(name)).cloned().collect()
}

/// Makes what was unpacked usable: one layout, an index of the modules, the kernel out of its image, readable by
/// everyone.
fn index(root: &Path) -> Result<()> {
    let library = root.join("lib");
    if !library.exists() {
        symlink("usr/lib", &library).with_context(|| format!("cannot write {}", library.display()))?;
    }
    let version = version_of(&only_directory(&root.join("lib/modules"))?)?;
    let depmod = process::find("depmod").context("depmod (package kmod) is not there")?;
    process::run(Command::new(depmod).arg("-b").arg(root).arg(&version).stdout(Stdio::null()))?;
    let kernel = Kernel::unpacked(root)?;
    // What cannot boot is not kept.
    Index::read(&kernel.modules)?.load_order(modules::TO_BOOT)?;
    let unpacked = root.join(UNPACKED);
    fs::write(&unpacked, packed::kernel(&kernel.image, root)?)
        .with_context(|| format!("cannot write {}", unpacked.display()))?;
    for (path, mode) in [(kernel.image.as_path(), 0o644), (&unpacked, 0o644), (root, 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot make {} readable", path.display()))?;
    }
    Ok(())
}

fn version_of(modules: &Path) -> Result<String> {
    let name = modules.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{} is not named as a kernel version", modules.display()))?.to_owned())
}

/// The one directory in a directory.
fn only_directory(parent: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))?;
    let mut directories: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    match (directories.pop(), directories.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => bail!("{} does not hold the modules of exactly one kernel", parent.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Kernel, KernelChoice, Series, parts};

    #[test]
    fn a_kernel_is_a_series_or_a_path() {
        assert_eq!("6.1".parse(), Ok(KernelChoice::Series(Series::V6_1)));
        assert_eq!("newest".parse(), Ok(KernelChoice::Series(Series::Newest)));
        assert_eq!("./vmlinuz".parse(), Ok(KernelChoice::Path("./vmlinuz".into())));
        assert!("6.2".parse::<KernelChoice>().is_err());
    }

    #[test]
    fn an_unpacked_kernel_is_found_by_its_root_and_by_its_image() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("lib/modules/6.1.0-1");
        let image = root.path().join("boot/vmlinuz-6.1.0-1");
        fs::create_dir_all(&modules).unwrap();
        fs::create_dir(root.path().join("boot")).unwrap();
        fs::write(&image, "").unwrap();
        fs::write(modules.join("modules.dep"), "").unwrap();
        let expected = Kernel { version: "6.1.0-1".to_owned(), image: image.clone(), modules };
        assert_eq!(Kernel::unpacked(root.path()).unwrap(), expected);
        assert_eq!(Kernel::beside(&image).unwrap(), expected);
    }

    #[test]
    fn an_image_may_lie_with_its_modules() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("lib/modules/7.2");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("vmlinuz"), "").unwrap();
        fs::write(modules.join("modules.dep"), "").unwrap();
        let expected = Kernel { version: "7.2".to_owned(), image: modules.join("vmlinuz"), modules: modules.clone() };
        assert_eq!(Kernel::beside(&modules.join("vmlinuz")).unwrap(), expected);
        assert_eq!(Kernel::unpacked(root.path()).unwrap(), expected);
    }

    #[test]
    fn an_image_without_modules_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let image = root.path().join("vmlinuz-6.1");
        fs::write(&image, "").unwrap();
        assert!(Kernel::beside(&image).is_err());
    }

    #[test]
    fn only_packages_of_the_kernel_are_fetched() {
        let all = ["dracut", "linux-base-amd64", "linux-binary-7", "linux-modules-7", "linux-base"].map(str::to_owned);
        assert_eq!(parts(&all), ["linux-binary-7", "linux-modules-7"]);
    }
}
