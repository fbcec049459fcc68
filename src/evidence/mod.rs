//! What shows who stands behind an address: each kind of evidence is a small part of its own that
//! reads something of the system and enters what it says into
//! [`Neighbours`](crate::device::Neighbours).
//!
//! Each is optional. What cannot be had is said once, in the log and in `hedgerow status`, and the
//! rest goes on without it. None of them is ever waited for by a query, but for the kernel itself,
//! which must know a client's MAC address before it can deliver the answer.

pub mod leases;
pub mod mdns;
pub mod netlink;

use std::sync::Arc;

use arc_swap::ArcSwap;

/// How an evidence is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is followed.
    Works,
    /// The configuration says that it is not to be used.
    #[default]
    Off,
    /// It cannot be had, and why.
    Missing(String),
}

/// The [`State`] of an evidence, written by its part and read by `status`.
#[derive(Clone, Debug, Default)]
pub struct Condition(Arc<ArcSwap<State>>);

impl Condition {
    /// How it is doing now.
    pub fn get(&self) -> State {
        State::clone(&self.0.load())
    }

    fn set(&self, state: State) {
        self.0.store(Arc::new(state));
    }
}
