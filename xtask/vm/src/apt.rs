//! Packages of Debian's archive, fetched and unpacked without being installed.
//!
//! apt runs with sources, lists and cache of our own, and no root is needed. Of the host's nothing is changed, and
//! nothing read but which mirror it uses. The archive's signatures are checked with the keys of
//! `debian-archive-keyring`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use aggctl_tools::process;

/// The variable that names a mirror, where the host's own apt knows none of Debian's or another is wanted.
const MIRROR_VARIABLE: &str = "AGGCTL_DEBIAN_MIRROR";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Our configuration of apt, in an archive's directory.
const CONFIGURATION: &str = "apt.conf";

/// The mirror of Debian's archive that the host's apt uses.
fn host_mirror() -> Result<String> {
    let targets = ["indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"];
    let output = process::read(Command::new("apt-get").args(targets))?;
    let mirror = output.lines().find_map(|line| line.strip_prefix("Debian|"));
    mirror.map(str::to_owned).with_context(|| {
        format!("apt knows no mirror of Debian's archive: run `apt-get update`, or name one in {MIRROR_VARIABLE}")
    })
}

/// Some suites of the archive, with their lists.
pub struct PackageLists {
    directory: TempDir,
}

impl PackageLists {
    /// Fetches the lists of `suites`, for example `bookworm-backports`, to a directory below `place`.
    ///
    /// # Errors
    ///
    /// When the mirror cannot be reached or its signatures are wrong.
    pub fn fetch(suites: &[&str], place: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("apt-").tempdir_in(place)?;
        let archive = Self { directory };
        for name in ["sources", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(archive.path(name))?;
        }
        let mirror = env::var(MIRROR_VARIABLE).or_else(|_| host_mirror())?;
        let sources = format!(
            "Types: deb\nURIs: {mirror}\nSuites: {}\nComponents: main\nArchitectures: amd64\nSigned-By: {KEYRING}\n",
            suites.join(" ")
        );
        fs::write(archive.path("sources/debian.sources"), sources)?;
        fs::write(archive.path(CONFIGURATION), configuration(archive.directory.path()))?;
        process::run(archive.command("apt-get").arg("update").stdout(Stdio::null()))?;
        Ok(archive)
    }

    /// The newest version of a package that starts with `prefix`, or `None`.
    ///
    /// # Errors
    ///
    /// When apt fails.
    pub fn newest(&self, package: &str, prefix: &str) -> Result<Option<String>> {
        let output = process::read(self.command("apt-cache").args(["madison", package]))?;
        Ok(newest(&output, prefix).map(str::to_owned))
    }

    /// The names of the packages that a version of a package depends on.
    ///
    /// # Errors
    ///
    /// When there is no such version.
    pub fn dependencies(&self, package: &str, version: &str) -> Result<Vec<String>> {
        let output = process::read(self.command("apt-cache").args(["show", &format!("{package}={version}")]))?;
        Ok(dependencies(&output).map(str::to_owned).collect())
    }

    /// Fetches a version of packages and unpacks them into a directory.
    ///
    /// # Errors
    ///
    /// When they cannot be fetched or unpacked.
    pub fn unpack(&self, packages: &[String], version: &str, into: &Path) -> Result<()> {
        let place = self.path("packages");
        fs::create_dir_all(&place)?;
        let wanted = packages.iter().map(|package| format!("{package}={version}"));
        let mut download = self.command("apt-get");
        process::run(download.arg("download").args(wanted).current_dir(&place).stdout(Stdio::null()))?;
        for file in fs::read_dir(&place)? {
            let file = file?.path();
            process::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(into).stdout(Stdio::null()))?;
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }

    /// Fetches the newest version of one package and unpacks it into a directory.
    ///
    /// # Errors
    ///
    /// When there is none, or as [`PackageLists::unpack`].
    pub fn unpack_newest(&self, package: &str, into: &Path) -> Result<()> {
        let Some(version) = self.newest(package, "")? else { bail!("the archive has no package {package}") };
        self.unpack(&[package.to_owned()], &version, into)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).arg("-qq").arg("-c").arg(self.path(CONFIGURATION));
        command
    }
}

/// What apt must do otherwise than the host's configuration says, of which we keep proxies and the like.
fn configuration(directory: &Path) -> String {
    let place = directory.display();
    // The hooks are for the host's own lists. As root, apt would give up its rights for downloads, and complain where
    // the cache is in root's home.
    format!(
        "Dir::Etc::SourceList \"/dev/null\";\n\
         Dir::Etc::SourceParts \"{place}/sources\";\n\
         Dir::State::Lists \"{place}/lists\";\n\
         Dir::Cache \"{place}/cache\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         APT::Sandbox::User \"\";\n"
    )
}

/// The first version with a prefix in the output of `apt-cache madison`, which is ordered.
fn newest<'a>(madison: &'a str, prefix: &str) -> Option<&'a str> {
    madison.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).find(|version| version.starts_with(prefix))
}

/// The names in the field `Depends` of the output of `apt-cache show`; of alternatives the first.
fn dependencies(show: &str) -> impl Iterator<Item = &str> {
    let field = show.lines().find_map(|line| line.strip_prefix("Depends:")).unwrap_or_default();
    field.split(',').filter_map(|one| one.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::{dependencies, newest};

    #[test]
    fn the_newest_version_of_a_series_is_found() {
        let madison = "linux-image-amd64 | 7.2.13-1 | http://x sid/main amd64 Packages\n\
                       linux-image-amd64 | 6.12.95-1~bpo12+1 | http://x bookworm-backports/main amd64 Packages\n\
                       linux-image-amd64 |  6.1.176-1 | http://x bookworm/main amd64 Packages\n";
        assert_eq!(newest(madison, ""), Some("7.2.13-1"));
        assert_eq!(newest(madison, "6.1."), Some("6.1.176-1"));
        assert_eq!(newest(madison, "6.12."), Some("6.12.95-1~bpo12+1"));
        assert_eq!(newest(madison, "5.10."), None);
    }

    #[test]
    fn dependencies_are_named_without_versions() {
        let show =
            "Package: a\nPre-Depends: z\nDepends: dracut | initramfs-tools (>= 0.1), linux-binary-7 (= 7-1), b\n";
        assert_eq!(dependencies(show).collect::<Vec<_>>(), ["dracut", "linux-binary-7", "b"]);
    }
}
