//! Keeping lists up to date.
//!
//! A list is fetched ([`fetch`]) into a working file in memory, its signature is checked
//! ([`signature`]), it is read under guard ([`crate::lists::guard`]), and only then it replaces the
//! last good copy, in one step. Where a server offers deltas, one of them is tried first ([`delta`]).
//! What is known of each list is kept in a small file ([`state`]); when it is looked for again rests
//! on the monotonic clock alone ([`schedule`]). Whatever goes wrong, the last good copy stays and
//! the cause is told once.
//!
//! Nothing here is asynchronous: an [`Updater`] runs on a thread of its own. Read [`attempt`] first.

mod address;
mod attempt;
mod delta;
mod fault;
mod fetch;
mod lookup;
mod schedule;
mod signature;
mod sorted;
mod spec;
mod state;
mod tls;
mod updater;
mod url;

pub use attempt::UpdateError;
pub use delta::{DeltaError, DeltaSummary, apply, diff, version};
pub use fault::{FetchError, Phase};
pub use fetch::Timeouts;
pub use lookup::{Resolve, SystemResolve};
pub use signature::{SignatureError, Version};
pub use sorted::Workshop;
pub use spec::{ListUpdateSpec, SignatureSpec};
pub use state::{ListState, state_of_copy, sum_of_copy};
pub use tls::client_config as tls_client_config;
pub use updater::{Outcome, UpdateResult, UpdateSettings, Updater};
pub use url::UrlFault;
