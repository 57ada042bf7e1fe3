//! What people run to develop: `cargo xtask setup`, `build`, `test`, `demo`, `bench`.

mod build;
mod linker;
mod packages;
mod process;
mod setup;
mod toolchain;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and shows aggctl.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find what building and testing needs, and install what is not there
    Setup,
    /// Build the eBPF object and the aggctl binary
    Build {
        /// Optimise the binary (the eBPF object always is)
        #[arg(long)]
        release: bool,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Command::Setup => {
            let build = setup::all()?;
            println!("compiler of the eBPF programs: {}", build.toolchain);
            println!("linker: {}", build.linker.display());
            Ok(())
        }
        Command::Build { release } => {
            let binary = build::all(&Workspace::locate()?, release)?;
            println!("{}", binary.display());
            Ok(())
        }
    }
}
