//! Evidence of who is who, gathered from the machine this runs on.
//!
//! Each witness is a module of its own that enters what it knows into [`crate::device::Neighbours`].
//! None is asked by a query, and each may be missing.

pub mod leases;
