//! What stands in for `checked` in a build without the feature `dnssec`: nothing is ever checked.

use std::sync::Arc;

use super::failure::Failure;
use super::group::Group;
use super::server::{Server, Shown};
use super::{Checks, Shared};
use crate::clock::Clock;
use crate::config;
use crate::message::{Answer, Question};
use crate::name::NameRef;

/// There is none.
#[derive(Debug)]
pub(super) enum Checking {}

impl Checking {
    pub(super) const fn new(_: &config::Upstream, _: &config::Limits, _: &Clock) -> Option<Self> {
        None
    }

    #[expect(clippy::unused_async, reason = "the same shape as where it is done")]
    pub(super) async fn ask(
        &self,
        _: &Arc<Shared>,
        _: &Arc<Group>,
        _: &Question,
        _: Shown,
    ) -> Result<(Answer, Arc<Server>), Failure> {
        match *self {}
    }

    pub(super) const fn concerns(&self, _: NameRef<'_>) -> bool {
        match *self {}
    }

    pub(super) const fn checks(&self) -> Checks {
        match *self {}
    }
}
