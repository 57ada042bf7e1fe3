//! What people run to develop: `cargo xtask setup`, `build`, `test`, `kernels`, `demo`, `bench`, `vm`.

mod bench;
mod demo;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use aggctl_lab as lab;
use aggctl_tools::{build, process, setup, workspace::Workspace};
use aggctl_vm as vm;

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
    /// Check formatting and lints, and run every test
    Test(test::TestWish),
    /// Write the tables of options in the documents from the table of options
    Docs,
    /// Write the kernel table of the documents from the report of the last test
    Kernels,
    /// Show an aggregate from attach to detach under live traffic, in network namespaces of its own
    Demo,
    /// Measure traffic through an aggregate as a ratio to a bare veth pair
    Bench,
    /// Compare with the kernel's bonding and team drivers, in instructions for each frame
    Lab(lab::LabWish),
    /// Run a command on another kernel, in a virtual machine with the host's files
    Vm(vm::MachineWish),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        // Without the backtrace that `RUST_BACKTRACE` would add: what failed here is nearly always another program.
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("xtask: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    let done = match command {
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
        Command::Test(wish) => test::run(&wish),
        Command::Docs => write_docs(&Workspace::locate()?),
        Command::Kernels => test::write_kernels(&Workspace::locate()?),
        Command::Demo => demo::run(&Workspace::locate()?),
        Command::Bench => bench::run(&Workspace::locate()?),
        Command::Lab(wish) => lab::run(&wish),
        Command::Vm(wish) => return vm::main(&wish),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The test that compares the documents' tables with the options also writes them.
fn write_docs(workspace: &Workspace) -> Result<()> {
    let mut test = build::cargo(workspace, "test");
    process::run(test.args(["--package", "aggctl-engine", "--test", "documents"]).env("AGGCTL_WRITE_DOCS", "1"))
}
