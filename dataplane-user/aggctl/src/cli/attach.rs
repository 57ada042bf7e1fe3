//! The arguments of `attach`, made from the table of options.

use aggctl_engine::{
    config::AggregateConfig,
    options::{self, GROUPS, GivenOptions, GivenPort, HasOptions, OptionGroup, OptionRow, ValueKind},
};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, value_parser};

use super::{Limit, syntax};
use crate::{failure::Failure, operation::PortChecks};

/// Arguments of `attach`.
#[derive(Debug)]
pub struct AttachArguments {
    name: String,
    ports: Vec<GivenPort>,
    /// Options and groups by their names, as they were typed.
    options: Vec<(&'static str, String)>,
    manner: Manner,
}

/// How it is attached.
#[derive(Args, Clone, Copy, Debug)]
pub struct Manner {
    /// Undo everything after so many seconds unless `aggctl confirm` is run
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    confirm: Option<u32>,
    /// Take interfaces of any kind as ports (bridges, bonds, tunnels)
    #[arg(long)]
    force: bool,
    /// Refuse, rather than warn, if anything else works on a port: rules, tunnels and sockets that name it, managers
    #[arg(long)]
    strict: bool,
    /// If it is attached already, take it over as it runs, and warn of what was asked for and is otherwise
    #[arg(long)]
    or_adopt: bool,
    /// Wait for ports that are not there yet: so many seconds at most, or `infinity`
    #[arg(long, value_name = "SECONDS")]
    wait: Option<Limit>,
    /// Stay in the foreground, without a guardian (for service managers)
    #[arg(long)]
    foreground: bool,
}

/// What `attach` is asked to do.
#[derive(Debug)]
pub struct AttachRequest {
    /// The aggregate, without what follows from the device of its name if that is a driver's.
    pub config: AggregateConfig,
    /// Whether a mode was chosen.
    pub mode_is_chosen: bool,
    /// Seconds until it is undone unless confirmed.
    pub confirm: Option<u32>,
    /// What is said about the ports.
    pub checks: PortChecks,
    /// An aggregate that runs already is taken over, whatever its options.
    pub or_adopt: bool,
    /// How long ports that are not there yet are waited for.
    pub wait: Option<Limit>,
    /// Without a guardian.
    pub foreground: bool,
}

impl AttachArguments {
    /// What was typed, understood.
    ///
    /// # Errors
    /// Values that are wrong, options that are not built yet, or said twice.
    pub fn request(self) -> Result<AttachRequest, Failure> {
        let ports = self.ports.iter().map(GivenPort::config).collect::<Result<_, _>>()?;
        let mut said = GivenOptions::default();
        for (key, value) in &self.options {
            said.option(key, value)?;
        }
        let mut config = AggregateConfig::new(self.name, ports);
        options::apply(&mut config, &said.options)?;
        let mode_is_chosen = said.says("mode");
        Ok(self.manner.request(config, mode_is_chosen))
    }
}

impl Manner {
    /// Whether the controller stays in the foreground.
    pub const fn foreground(self) -> bool {
        self.foreground
    }

    /// An attach in this manner.
    pub fn request(self, config: AggregateConfig, mode_is_chosen: bool) -> AttachRequest {
        let Self { confirm, force, strict, or_adopt, wait, foreground } = self;
        let checks = PortChecks { force, strict };
        AttachRequest { config, mode_is_chosen, confirm, checks, or_adopt, wait, foreground }
    }
}

impl Args for AttachArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        let name = Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("Name of the aggregate's interface: a new one, or a bonding or team device that is there");
        let port = Arg::new("port").long("port").value_name(syntax::port()).action(ArgAction::Append);
        let port = port
            .value_parser(GivenPort::read)
            .help("A port, and its settings; repeat for each. Those of a bond or team that is there are its members");
        let groups = GROUPS.iter().map(group);
        let command = command.args([name, port]).args(AggregateConfig::rows().map(option)).args(groups);
        Manner::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AttachArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let names = AggregateConfig::rows().map(|row| row.name).chain(GROUPS.iter().map(|group| group.name));
        let said =
            |name| matches.get_many::<String>(name).into_iter().flatten().map(move |value| (name, value.clone()));
        Ok(Self {
            name: matches.get_one::<String>("name").cloned().unwrap_or_default(),
            ports: matches.get_many::<GivenPort>("port").into_iter().flatten().cloned().collect(),
            options: names.flat_map(said).collect(),
            manner: Manner::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `--NAME VALUE`. An option that belongs to a group is told with it.
fn option(row: &'static OptionRow<AggregateConfig>) -> Arg {
    let in_group = GROUPS.iter().any(|group| group.keys.iter().any(|(_, option)| *option == row.name));
    Arg::new(row.name)
        .long(row.name)
        .aliases(row.names().flat_map(spellings).filter(|name| name != row.name))
        .value_name(metavar(row.kind))
        .help(syntax::help(row))
        .hide(in_group || !row.is_built())
}

/// `--NAME [HEAD,]KEY=VALUE,…`.
fn group(group: &'static OptionGroup) -> Arg {
    let defaults = group.keys.iter().filter_map(|(key, option)| {
        let row = options::find::<AggregateConfig>(option)?;
        Some(format!("{key}={}", row.kind.text(&AggregateConfig::default())))
    });
    let defaults: Vec<_> = defaults.collect();
    let help = format!("{} [default: {}]", group.help, defaults.join(","));
    // What cannot be said twice is refused where it is understood.
    Arg::new(group.name).long(group.name).value_name(group.syntax()).help(help).action(ArgAction::Append)
}

/// A name as it is, and with `-` for `_`.
fn spellings(name: &'static str) -> impl Iterator<Item = String> {
    let dashed = name.replace('_', "-");
    let other = (dashed != name).then_some(dashed);
    std::iter::once(name.to_owned()).chain(other)
}

/// What stands for a value in the help: the words are in the line behind it.
fn metavar(kind: &dyn ValueKind<AggregateConfig>) -> String {
    if kind.synonyms().is_empty() { kind.metavar() } else { "WORD".to_owned() }
}
