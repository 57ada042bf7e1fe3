//! `config`, and where files are.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use aggctl_engine::{
    config::AggregateConfig,
    config_file::{self, ConfigFile},
    names, plan,
};
use aggctl_kernel::state::Store;

use crate::{failure::Failure, operation, output::print};

/// The directory of files, unless [`VARIABLE`] names another.
const DIRECTORY: &str = "/etc/aggctl";
const VARIABLE: &str = "AGGCTL_CONFIG_DIR";
const SUFFIX: &str = "toml";

/// The file of an aggregate.
pub fn path(name: &str) -> PathBuf {
    directory().join(format!("{name}.{SUFFIX}"))
}

fn directory() -> PathBuf {
    env::var_os(VARIABLE).map_or_else(|| DIRECTORY.into(), PathBuf::from)
}

/// What a file says.
#[derive(Debug)]
pub struct FiledAggregate {
    /// The aggregate.
    pub config: AggregateConfig,
    /// Whether the file names a mode.
    pub mode_is_chosen: bool,
}

/// Reads the file of an aggregate. What can be said about it alone was looked at.
///
/// # Errors
/// If it cannot be read, or is wrong.
pub fn read(name: &str) -> Result<FiledAggregate, Failure> {
    names::check(name)?;
    let path = path(name);
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("{}: {why}", path.display()));
    let file = ConfigFile::read(&text).map_err(|mistake| wrong(&mistake))?;
    let config = file.config(name).map_err(|why| wrong(&why))?;
    plan::validate(&config).map_err(|why| wrong(&why))?;
    Ok(FiledAggregate { config, mode_is_chosen: file.options.says("mode") })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let hint =
        if error.kind() == io::ErrorKind::NotFound { "; `aggctl config save` writes one of what runs" } else { "" };
    Failure::Usage(format!("cannot read {}: {error}{hint}", path.display()))
}

/// The aggregates that have a file, or the one that is named.
///
/// # Errors
/// If the directory cannot be read, or nothing is in it.
pub fn names(name: Option<&str>) -> Result<Vec<String>, Failure> {
    if let Some(name) = name {
        return Ok(vec![name.to_owned()]);
    }
    let directory = directory();
    let entries = fs::read_dir(&directory).map_err(|error| unreadable(&directory, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_file = path.extension().is_some_and(|extension| extension == SUFFIX);
        names.extend(path.file_stem().filter(|_| is_file).map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    if names.is_empty() {
        return Err(Failure::Usage(format!("there is no file NAME.{SUFFIX} in {}", directory.display())));
    }
    Ok(names)
}

/// `config check`. All are looked at, whatever is wrong with some.
///
/// # Errors
/// The last mistake; the others were printed.
pub fn check(name: Option<&str>) -> Result<(), Failure> {
    each(&names(name)?, |name| {
        read(name)?;
        print(&format!("{}: nothing is wrong with it", path(name).display()))
    })
}

/// Does something with each; what goes wrong with one keeps nothing from the others.
///
/// # Errors
/// The last failure; the others were printed.
pub fn each(names: &[String], mut act: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut last = Ok(());
    for name in names {
        if let Err(failure) = act(name)
            && let Err(earlier) = std::mem::replace(&mut last, Err(failure))
        {
            earlier.report();
        }
    }
    last
}

/// `config show`.
///
/// # Errors
/// If there is no such aggregate.
pub fn show(store: &Store) -> Result<(), Failure> {
    print(config_file::text(&runs(store)?).trim_end())
}

/// `config save`.
///
/// # Errors
/// If there is no such aggregate, its file is wrong, or cannot be written; the file is as it was then.
pub fn save(store: &Store) -> Result<(), Failure> {
    let runs = runs(store)?;
    let path = path(&runs.name);
    let cannot = |error: io::Error| Failure::Refused(format!("cannot write {}: {error}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(former) => config_file::edit(&former, &runs)
            .map_err(|mistake| Failure::Usage(format!("{}: {mistake}; it stays as it is", path.display())))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => config_file::text(&runs),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    fs::create_dir_all(directory()).map_err(cannot)?;
    // Whole or not at all, also when the power goes.
    let next = path.with_extension("toml.next");
    let written = fs::write(&next, text).and_then(|()| fs::File::open(&next)?.sync_all());
    let written = written.and_then(|()| fs::rename(&next, &path));
    written.map_err(|error| {
        // Nothing is lost if it stays.
        let _ = fs::remove_file(&next);
        cannot(error)
    })
}

/// What runs.
fn runs(store: &Store) -> Result<AggregateConfig, Failure> {
    Ok(store.record()?.ok_or_else(|| operation::not_there(store.name()))?.config)
}
