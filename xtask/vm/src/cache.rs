//! Where kernels are kept: outside the tree, for all checkouts of a user.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::fs::FlockOperation;

/// The variable that names another place.
const VARIABLE: &str = "AGGCTL_CACHE";

/// The directory of everything that is kept.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    /// `$AGGCTL_CACHE`, else `$XDG_CACHE_HOME/aggctl`, else `~/.cache/aggctl`. It is made if it is not there.
    ///
    /// # Errors
    ///
    /// When none of these variables is set or the directory cannot be made.
    pub fn open() -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = set(VARIABLE)
            .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("aggctl")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/aggctl")))
            .with_context(|| format!("there is no place for kernels: set {VARIABLE} or HOME"))?;
        let directory = std::path::absolute(directory)?;
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(Self(directory))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns `name` in the cache, after `make` has made it if it is not there. `make` works at another place, which
    /// takes the name when it is complete; of several processes that want the same thing, one makes it.
    ///
    /// # Errors
    ///
    /// When `make` fails or the cache cannot be written.
    pub fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let place = self.path(name);
        if place.exists() {
            return Ok(place);
        }
        let file = |ending: &str| self.path(&format!("{name}.{ending}"));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let lock = file("lock");
        let held = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
        rustix::fs::flock(&held, FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock {}", lock.display()))?;
        if !place.exists() {
            let part = file("part");
            // Left by a process that was ended.
            if part.exists() {
                fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
            }
            fs::create_dir(&part).with_context(|| format!("cannot create {}", part.display()))?;
            make(&part)?;
            fs::rename(&part, &place).with_context(|| format!("cannot write {}", place.display()))?;
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::bail;

    use super::Cache;

    #[test]
    fn an_entry_is_made_once_and_only_when_complete() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache(directory.path().into());
        let failed = cache.entry("kernels/a", |part| {
            fs::write(part.join("half"), "")?;
            bail!("no network")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no network");
        assert!(!cache.path("kernels/a").exists());
        let place = cache.entry("kernels/a", |part| Ok(fs::write(part.join("whole"), "")?)).unwrap();
        assert!(place.join("whole").exists() && !place.join("half").exists());
        assert_eq!(cache.entry("kernels/a", |_| bail!("made twice")).unwrap(), place);
    }
}
