//! Who is asking, through the real binary and several machines: network namespaces with a bridge
//! between them, in which real kernels resolve real addresses.
//!
//! Needs root, or what of it `ip netns` needs; without it the tests say so and pass.
//! `HEDGEROW_CHURN_SECONDS=60` asks for a minute while neighbours change instead of two seconds.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    unreachable_pub,
    reason = "what is used in another file is public there"
)]

#[path = "../support/skip.rs"]
mod skip;

mod dhcp;
mod inside;
mod street;

mod addresses;
mod churn;
mod evidence;
mod forwarder;
mod leases;
mod newcomers;
mod places;
mod reboot;
