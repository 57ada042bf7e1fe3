//! What can be typed.

mod attach;
mod capture;
pub mod echo;
mod flow;
mod limit;
mod syntax;

use aggctl_engine::options::GivenPort;
pub use attach::{AttachArguments, AttachRequest, Manner};
pub use capture::CaptureArguments;
use clap::{Parser, Subcommand};
pub use flow::FlowFields;
pub use limit::Limit;

/// What the exit status of `doctor` means.
const DOCTOR_EXIT: &str =
    "Exit status: 0, nothing was found but hints; 1, errors or warnings were; 2, it could not look.";

/// Where files are.
const FILES: &str = "Files: /etc/aggctl/NAME.toml; another directory by the variable AGGCTL_CONFIG_DIR.";

/// Link aggregation whose choice of the port is an eBPF program.
#[derive(Debug, Parser)]
#[command(name = "aggctl", version, max_term_width = 110, disable_help_subcommand = true, infer_subcommands = true)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join ports into an aggregate; their addresses and routes move to it
    #[command(after_help = syntax::nested())]
    Attach(Box<AttachArguments>),
    /// Make an aggregate what its file says: attach it, or change what differs, all or nothing
    #[command(after_help = FILES)]
    Apply {
        /// The aggregate; without it, each that has a file
        name: Option<String>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// How it is attached if it does not run yet
        #[command(flatten)]
        manner: Manner,
    },
    /// The files of aggregates
    #[command(after_help = FILES)]
    Config {
        /// What to do
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Undo an attach: addresses, routes and settings go back to the ports
    Detach {
        /// The aggregate
        name: String,
        /// Also when the port that gets the addresses has no link, when the aggregate is in use (by a bridge, a VLAN
        /// device, …), or when the controller does not answer
        #[arg(long)]
        force: bool,
    },
    /// Start a controller for an aggregate that runs without one
    Adopt {
        /// The aggregate
        name: String,
        /// Stay in the foreground, without a guardian (for service managers)
        #[arg(long)]
        foreground: bool,
    },
    /// Keep an aggregate that was attached with --confirm
    Confirm {
        /// The aggregate
        name: String,
    },
    /// Show the aggregates of this network namespace
    #[command(visible_aliases = ["list", "status"])]
    Show {
        /// Only this one
        name: Option<String>,
        /// As JSON, for programs (an array; with NAME one object)
        #[arg(long)]
        json: bool,
        /// Also the port of each bucket of the hash table
        #[arg(long, requires = "name")]
        buckets: bool,
    },
    /// Look for known faults of aggregates, host and switch, and say what to do about each
    #[command(after_help = DOCTOR_EXIT)]
    Doctor {
        /// Only this aggregate
        name: Option<String>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Say which port a flow takes, and which it would take if ports failed
    Explain {
        /// The aggregate
        name: String,
        /// The flow:
        /// src=ADDRESS,dst=ADDRESS[,proto=udp|tcp|…|N][,sport=N][,dport=N][,src-mac=MAC][,dst-mac=MAC][,vlan=VID]
        /// [,dscp=N][,flow-label=N][,mark=N][,queue=N][,skb-hash=N]
        #[arg(long, value_name = "KEY=VALUE,…")]
        flow: FlowFields,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Change options of a live aggregate
    #[command(after_help = syntax::keys())]
    Set {
        /// The aggregate
        name: String,
        /// What to change; all or nothing
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Add, remove or change ports of a live aggregate
    Port {
        /// What to do
        #[command(subcommand)]
        action: PortAction,
    },
    /// Print events as they happen
    Monitor {
        /// Only this aggregate
        name: Option<String>,
        /// One JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Capture the frames of all ports, in both directions, into one file
    #[command(after_help = capture::HELP)]
    Capture(CaptureArguments),
    /// Internal: watch over the controller of an aggregate
    #[command(name = "guardian", hide = true)]
    Guardian {
        /// The aggregate
        name: String,
        /// Take over what is there rather than read a wish from standard input
        #[arg(long)]
        adopt: bool,
    },
    /// Internal: control an aggregate
    #[command(name = "controller", hide = true)]
    Controller {
        /// The aggregate
        name: String,
        /// Take over what is there rather than read a wish from standard input
        #[arg(long)]
        adopt: bool,
    },
    /// Internal: undo an attach that nobody confirms
    #[command(name = "timekeeper", hide = true)]
    Timekeeper {
        /// The aggregate
        name: String,
    },
}

/// What can be done with files.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say whether a file can be applied, as far as the file alone tells
    Check {
        /// The aggregate; without it, each that has a file
        name: Option<String>,
    },
    /// Print what runs, as a file
    Show {
        /// The aggregate
        name: String,
    },
    /// Write what runs into its file; what stays as it is keeps its place and its comments
    Save {
        /// The aggregate
        name: String,
    },
}

/// What can be done to a port.
#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub enum PortAction {
    /// Add a port
    Add {
        /// The aggregate
        name: String,
        /// The port and its settings
        #[arg(value_name = syntax::port(), value_parser = GivenPort::read)]
        port: GivenPort,
        /// Take an interface of any kind (a bridge, a bond, a tunnel)
        #[arg(long)]
        force: bool,
        /// Refuse, rather than warn, if anything else works on the port
        #[arg(long)]
        strict: bool,
    },
    /// Remove a port; it gets its settings back
    #[command(visible_aliases = ["del", "delete"])]
    Remove {
        /// The aggregate
        name: String,
        /// The port
        #[arg(value_name = "IF")]
        port: String,
    },
    /// Change a port's settings
    Set {
        /// The aggregate
        name: String,
        /// The port and what to change; `no` before the name of a switch turns it off
        #[arg(value_name = syntax::port(), value_parser = GivenPort::read)]
        port: GivenPort,
    },
}
