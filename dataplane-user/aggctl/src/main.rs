//! `aggctl`: link aggregation in which eBPF programs choose the port.
//!
//! `cli` (what was typed) → `commands` (what is meant) → `api` (a live controller, or the pinned maps alone) →
//! `controller` (the loop) → the engine (which decides) and the kernel crate (which does).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod api;
mod background;
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments are the help there, and brackets mean what may be left out"
)]
mod cli;
mod commands;
mod controller;
mod diagnosis;
mod elsewhere;
mod failure;
mod guardian;
mod holder;
mod operation;
mod output;
mod remains;
mod service;
mod timekeeper;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::try_parse().unwrap_or_else(|error| cli::echo::shortened(error).exit());
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}
