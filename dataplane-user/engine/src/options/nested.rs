//! Settings within the value of an option, as in `changes=3,window=10,for=60`: each is a row, as the option itself is.

use super::{HasOptions, Invalid, OptionRow, find};

/// `changes=N,window=S,for=S`
#[must_use]
pub fn syntax<C: HasOptions>() -> String {
    let settings: Vec<_> = C::rows().map(|row| format!("{}={}", row.name, row.kind.metavar())).collect();
    settings.join(",")
}

/// Takes settings over, each by one of its names.
///
/// # Errors
///
/// One that `into` does not have (`unknown` says so), that was said already, whose value is wrong, or that is missing.
pub(super) fn read<'t, C: HasOptions>(
    into: &mut C,
    settings: impl Iterator<Item = (&'t str, &'t str)>,
    unknown: impl Fn(&str) -> Invalid,
) -> Result<(), Invalid> {
    let mut said = Vec::new();
    for (key, value) in settings {
        let row = find::<C>(key).filter(|row| into.has(row)).ok_or_else(|| unknown(key))?;
        if said.contains(&row.name) && !row.kind.is_repeatable() {
            return Err(Invalid::Twice { key: row.name });
        }
        row.kind.set(into, value).map_err(|why| why.of(key, value))?;
        said.push(row.name);
    }
    match C::rows().find(|row| C::REQUIRED && !said.contains(&row.name)) {
        Some(row) => Err(Invalid::Missing { expected: format!("{} of {}", row.name, syntax::<C>()) }),
        None => Ok(()),
    }
}

/// The settings that are not as they are by default, so that [`read`] understands them; all of those that are required.
pub(super) fn texts<C: HasOptions>(of: &C, usual: &C) -> Vec<String> {
    let rows = C::rows().filter(|row| of.has(row));
    let changed = rows.filter(|row| C::REQUIRED || row.kind.texts(of) != row.kind.texts(usual));
    let text =
        |row: &'static OptionRow<C>| row.kind.texts(of).into_iter().map(move |value| format!("{}={value}", row.name));
    changed.flat_map(text).collect()
}
