//! `show`.

use std::io::Write;

use aggctl_kernel::{netlink::Netlink, netns, state::Store};

use crate::{failure::Failure, operation, view};

/// Shows one aggregate, or all of this namespace.
///
/// # Errors
/// If the one that was named is not there, or the system cannot be asked.
pub fn run(name: Option<&str>, json: bool, buckets: bool) -> Result<(), Failure> {
    let mut netlink = Netlink::open()?;
    let cookie = netns::cookie()?;
    let text = match name {
        Some(name) => {
            let seen = view::look(&operation::store(name)?, &mut netlink, buckets)?
                .ok_or_else(|| operation::not_there(name))?;
            if json { to_json(&seen)? } else { view::text::render(&seen) }
        }
        None => {
            let mut all = Vec::new();
            for name in Store::names(cookie)? {
                all.extend(view::look(&Store::new(cookie, name), &mut netlink, false)?);
            }
            if json { to_json(&all)? } else { all.iter().map(view::text::render).collect::<Vec<_>>().join("\n") }
        }
    };
    let mut out = std::io::stdout();
    if !text.is_empty() {
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::from)?)
}
