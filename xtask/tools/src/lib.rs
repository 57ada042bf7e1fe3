//! What every command of `cargo xtask` needs: where things are, running other programs, finding and installing tools,
//! building the product.

pub mod build;
pub mod debug_info;
pub mod environment;
pub mod interrupt;
pub mod linker;
pub mod packages;
pub mod process;
pub mod setup;
pub mod toolchain;
pub mod workspace;
