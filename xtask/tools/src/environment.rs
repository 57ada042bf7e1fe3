//! What the machine that we run in says about itself.

use std::{env, sync::OnceLock};

/// The variable that holds the kernel's version in a virtual machine.
pub const KERNEL_VARIABLE: &str = "AGGCTL_VM_KERNEL";
/// The variable that says how many times slower than a real machine this one is at worst.
pub const PATIENCE_VARIABLE: &str = "AGGCTL_TEST_PATIENCE";

/// Whether we are in a virtual machine of ours, where nothing can be installed and everything is slow.
#[must_use]
pub fn in_virtual_machine() -> bool {
    env::var_os(KERNEL_VARIABLE).is_some()
}

/// How many times longer than on a real machine things may take here, as [`PATIENCE_VARIABLE`] says; 1 without it.
///
/// It stretches limits, and what tests may lose. What must not be lost at all, what is counted and in which order it
/// comes is the same everywhere.
///
/// # Panics
///
/// If the variable is no whole number above 0.
#[must_use]
pub fn patience() -> u32 {
    static VALUE: OnceLock<u32> = OnceLock::new();
    *VALUE.get_or_init(|| {
        let Some(text) = env::var_os(PATIENCE_VARIABLE) else { return 1 };
        let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        number.unwrap_or_else(|| panic!("{PATIENCE_VARIABLE}={} is no whole number above 0", text.display()))
    })
}
