//! What the machine that we run in says about itself.

use std::env;

/// The variable that holds the kernel's version in a virtual machine.
pub const KERNEL_VARIABLE: &str = "AGGCTL_VM_KERNEL";
/// The variable that says how many times slower than a real machine this one is at worst.
pub const PATIENCE_VARIABLE: &str = "AGGCTL_TEST_PATIENCE";

/// Whether we are in a virtual machine of ours, where nothing can be installed and everything is slow.
#[must_use]
pub fn in_virtual_machine() -> bool {
    env::var_os(KERNEL_VARIABLE).is_some()
}

/// How many times longer than on a real machine things may take here.
#[must_use]
pub fn patience() -> u32 {
    let number = env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.parse().ok());
    number.filter(|number| *number > 0).unwrap_or(1)
}
