//! The tables of options in the documents: written from the table of options, and the same as it.
//!
//! `cargo xtask docs` runs this test with `AGGCTL_WRITE_DOCS` set: it then writes the tables instead of comparing them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{env, fs, path::Path};

use aggctl_engine::{
    config::{AggregateConfig, PortConfig},
    doctor::{FindingKind, KINDS},
    hold_down::FlapRule,
    options::{GROUPS, HasOptions, Live, LiveRequests, OptionGroup, OptionRow, find},
    watches::{WatchConfig, WatchKind},
};

/// A table, by the name of its markers.
type Table = (&'static str, fn() -> String);

/// The tables of each page.
const PAGES: &[(&str, &[Table])] = &[
    ("command-line.md", &[("options", options), ("ports", ports), ("orders", orders), ("names", names)]),
    ("doctor.md", &[("findings", findings)]),
    ("active-backup.md", &[("hold-down", nested::<FlapRule>)]),
    ("watches.md", &[("settings", nested::<WatchConfig>)]),
    (
        "json.md",
        &[
            ("options", json::<AggregateConfig>),
            ("ports", json::<PortConfig>),
            ("watch settings", json::<WatchConfig>),
            ("hold-down settings", json::<FlapRule>),
        ],
    ),
];

#[test]
fn the_tables_of_the_documents_are_those_of_the_options() {
    let write = env::var_os("AGGCTL_WRITE_DOCS").is_some();
    for (page, tables) in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let old = fs::read_to_string(&path).unwrap();
        let new = tables.iter().fold(old.clone(), |text, (name, table)| between_markers(&text, name, &table()));
        if write {
            fs::write(&path, new).unwrap();
        } else {
            assert_eq!(old, new, "{page} is not current: run `cargo xtask docs`");
        }
    }
}

/// The page with this table in its place.
fn between_markers(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: made by `cargo xtask docs` -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}\n{table}\n{end}{after}")
}

fn options() -> String {
    let head =
        "| option | what it is | values | default | live | other names |\n| --- | --- | --- | --- | --- | --- |\n";
    let options = AggregateConfig::rows().filter(|row| row.is_built()).map(|row| option(row, &syntax(row)));
    head.to_owned() + &options.collect::<String>()
}

fn ports() -> String {
    let head =
        "| setting | what it is | values | default | live | other names |\n| --- | --- | --- | --- | --- | --- |\n";
    let setting = |row: &OptionRow<PortConfig>| match row.kind.bare() {
        Some(_) => option(row, &format!("{}`, `no{}", row.name, row.name)),
        None => option(row, &format!("{}={}", row.name, row.kind.metavar())),
    };
    head.to_owned() + &PortConfig::rows().filter(|row| row.is_built()).map(setting).collect::<String>()
}

/// Settings within the value of an option.
fn nested<C: HasOptions>() -> String {
    let line = |row: &OptionRow<C>| {
        let default = row.kind.text(&C::default());
        let default = match default.as_str() {
            _ if C::REQUIRED => "must be given".to_owned(),
            "" => default,
            _ => format!("`{default}`"),
        };
        let syntax = escaped(&format!("{}={}", row.name, row.kind.metavar()));
        format!("| `{syntax}` | {} | {} | {default} | {} |\n", escaped(row.help), row.kind.range(), other_names(row))
    };
    let lines: String = C::rows().map(line).collect();
    format!("| setting | what it is | values | default | other names |\n| --- | --- | --- | --- | --- |\n{lines}")
}

fn findings() -> String {
    let line = |kind: &&FindingKind| {
        let severities = kind.severities.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        format!("| `{}` | {severities} | {} | {} |\n", kind.id, escaped(kind.looks_at), escaped(kind.remedy))
    };
    let lines: String = KINDS.iter().map(line).collect();
    format!("| id | severity | what is looked at | what to do |\n| --- | --- | --- | --- |\n{lines}")
}

fn orders() -> String {
    let line = |row: &OptionRow<LiveRequests>| {
        let syntax = format!("{}={}", row.name, row.kind.metavar());
        format!("| `{syntax}` | {} | {} |\n", explained(row), code(row.aliases.iter().copied()))
    };
    let lines: String = LiveRequests::rows().map(line).collect();
    format!("| key | what it does | other names |\n| --- | --- | --- |\n{lines}")
}

/// A line of a table of options.
fn option<C: HasOptions>(row: &OptionRow<C>, syntax: &str) -> String {
    let cells = [
        format!("`{}`", escaped(syntax)),
        explained(row),
        row.kind.range(),
        format!("`{}`", escaped(&row.kind.text(&C::default()))),
        live(row.live).to_owned(),
        other_names(row),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// How it is written in `attach`.
fn syntax(row: &OptionRow<AggregateConfig>) -> String {
    let own = format!("--{} {}", row.name, row.kind.metavar());
    let in_group = |group: &OptionGroup| {
        let (key, _) = group.keys.iter().find(|(_, option)| *option == row.name)?;
        let head = group.heads.first().map_or_else(String::new, |head| format!("{},", head.names[0]));
        Some(format!("--{} {head}{key}={}", group.name, row.kind.metavar()))
    };
    GROUPS.iter().find_map(in_group).map_or(own.clone(), |grouped| format!("{grouped}`, `{own}"))
}

fn explained<C>(row: &OptionRow<C>) -> String {
    let page = if row.page.is_empty() { String::new() } else { format!(" ([more]({}))", row.page) };
    escaped(row.help) + &page
}

fn live(live: Live) -> &'static str {
    match live {
        Live::No => "no",
        Live::Programs => "yes, programs are exchanged",
        Live::Attachments | Live::Controller | Live::After => "yes",
    }
}

/// Its other names, and those of its values.
fn other_names<C>(row: &OptionRow<C>) -> String {
    let values = row.kind.synonyms().into_iter().filter(|(names, built)| *built && names.len() > 1);
    let values = values.map(|(names, _)| format!("`{}`: {}", names[0], code(names[1..].iter().copied())));
    let own = (!row.aliases.is_empty()).then(|| code(row.aliases.iter().copied()));
    own.into_iter().chain(values).collect::<Vec<_>>().join("; ")
}

/// What bonding and teamd call it, and what it is here: each name once.
fn names() -> String {
    fn of<C: HasOptions>(before: &str) -> Vec<(String, String)> {
        let options = C::rows().filter(|row| row.is_built());
        options
            .flat_map(|row| {
                let own = row.aliases.iter().map(move |alias| ((*alias).to_owned(), row.name.to_owned()));
                let words = row.kind.synonyms().into_iter().filter(|(_, built)| *built).flat_map(move |(names, _)| {
                    names[1..]
                        .iter()
                        .map(move |old| (format!("{}={old}", row.name), format!("{}={}", row.name, names[0])))
                });
                own.chain(words)
            })
            .map(|(old, new)| (old, format!("{before}{new}")))
            .collect()
    }
    let heads = GROUPS.iter().flat_map(|group| {
        group.heads.iter().flat_map(move |head| {
            let value = |name: &str| match head.value {
                Some(option) => (format!("{}={name}=MS", group.name), format!("{option}=MS")),
                None => (format!("{}={name}", group.name), format!("{}={}", group.name, head.names[0])),
            };
            head.names.iter().skip(usize::from(head.value.is_none())).map(move |name| value(name))
        })
    });
    let mut pairs: Vec<_> = of::<AggregateConfig>("").into_iter().chain(heads).chain(of::<LiveRequests>("")).collect();
    pairs.extend(of::<PortConfig>("port: "));
    pairs.extend(of::<WatchConfig>("watch: "));
    let kinds = WatchKind::ALL.iter().filter(|(kind, _)| *kind != WatchKind::Link);
    pairs.extend(kinds.flat_map(|(kind, names)| {
        names[1..].iter().map(|old| (format!("watch={old}"), format!("watch={}", kind.name())))
    }));
    pairs.sort();
    let line = |(old, new): (String, String)| format!("| `{old}` | `{new}` |\n");
    format!("| name | here |\n| --- | --- |\n{}", pairs.into_iter().map(line).collect::<String>())
}

fn json<C: HasOptions>() -> String {
    let line = |row: &OptionRow<C>| {
        let own = format!("| `{}` | {} | {} |\n", row.json, row.kind.json_type(), escaped(row.help));
        let nested = row.kind.nested_json_type().map(|kind| {
            format!("| `{0}_settings` | {kind} | The same, by [its settings](#settings-within-options) |\n", row.json)
        });
        own + &nested.unwrap_or_default()
    };
    let lines: String = C::rows().filter(|row| !row.json.is_empty()).map(line).collect();
    format!("| field | type | meaning |\n| --- | --- | --- |\n{lines}")
}

fn code<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn every_group_has_rows_behind_its_keys() {
    for (group, option) in GROUPS.iter().flat_map(|group| group.keys.iter().map(move |(_, option)| (group, option))) {
        assert!(find::<AggregateConfig>(option).is_some(), "{}: {option}", group.name);
    }
}
