//! Moving the state of an aggregate to the new name of its interface.

use std::{fs, path::Path};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{StateError, Store, error::failed};

impl Store {
    /// Moves the state to a new name, after the interface was renamed. What lies there without a record goes; the state
    /// of another aggregate, whose interface lost that name, gets the name that this one had.
    ///
    /// # Errors
    /// [`StateError::Locked`] if somebody controls that other aggregate: its own controller will follow its interface.
    /// Else if a directory cannot be renamed. Nothing was renamed then.
    pub fn rename(&mut self, name: impl Into<String>) -> Result<(), StateError> {
        let new = Self::new(self.cookie, name);
        if new.name == self.name {
            return Ok(());
        }
        if new.dir().exists() || new.pins().exists() {
            if let Some(pid) = new.holder() {
                return Err(StateError::Locked { name: new.name, pid });
            }
            if !new.has_record() {
                new.remove()?;
            }
        }
        swap(&self.dir(), &new.dir())?;
        if let Err(error) = swap(&self.pins(), &new.pins()) {
            swap(&new.dir(), &self.dir())?;
            return Err(error);
        }
        *self = new;
        Ok(())
    }
}

/// Renames a directory. One that has the new name already gets the old one.
fn swap(from: &Path, to: &Path) -> Result<(), StateError> {
    if to.exists() {
        renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE).map_err(|errno| failed("rename", from)(errno.into()))
    } else {
        fs::rename(from, to).map_err(failed("rename", from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_the_way_gets_the_other_name() {
        let place = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| place.path().join(name));
        for dir in [&one, &two] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("mine"), dir.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        swap(&one, &two).unwrap();
        assert_eq!(fs::read(two.join("mine")).unwrap(), b"one");
        assert_eq!(fs::read(one.join("mine")).unwrap(), b"two");
        fs::remove_dir_all(&one).unwrap();
        swap(&two, &one).unwrap();
        assert_eq!(fs::read(one.join("mine")).unwrap(), b"one");
        assert!(!two.exists());
        assert!(swap(&two, &one).is_err(), "it is not there");
    }
}
