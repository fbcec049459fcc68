//! Compiling behind everybody else.

#![allow(
    unsafe_code,
    reason = "nothing we use gives a process another priority or policy"
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

/// Lets every other process of the machine go first, and at once: whoever wakes up has the processor
/// then, where it may otherwise wait for the rest of our turn, some milliseconds. Where others
/// leave nothing next to nothing is to be had. It cannot be taken back either.
///
/// # Errors
/// What the system said.
pub fn take_what_others_leave() -> io::Result<()> {
    // What the kernel calls `struct sched_param`; some C libraries give theirs other fields, and have
    // no such call.
    let priority: nix::libc::c_int = 0;
    let call = nix::libc::SYS_sched_setscheduler;
    // SAFETY: the kernel reads one number behind the pointer, which lives longer than the call, and
    // touches no other memory of ours.
    match unsafe { nix::libc::syscall(call, 0, nix::libc::SCHED_IDLE, &raw const priority) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
