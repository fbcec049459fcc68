//! Compiling behind everybody else.

#![allow(
    unsafe_code,
    reason = "nothing we use gives a process another priority"
)]

use std::io;

/// How much later than others we get the processor: a tenth of what they get.
const STEPS: nix::libc::c_int = 10;

/// Lets every other process of the machine go first where it wants the processor. For a process
/// that does nothing but compile: it cannot be taken back.
///
/// # Errors
/// What the system said.
pub fn let_others_go_first() -> io::Result<()> {
    // SAFETY: the call takes a number, gives a number, and touches no memory of ours.
    match unsafe { nix::libc::nice(STEPS) } {
        // One that went before everybody else may end up here, and is told that it failed.
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
