//! The one door into a running daemon: a small HTTP and JSON API on a local socket, for the
//! command line now, for a web page and remote tools later.
//!
//! [`api`] says what goes through the door, [`Household`] is what stands behind it, [`routes`]
//! joins the two. [`socket`] makes the socket, [`server`] bounds what a caller may cost us,
//! [`follow`] streams the log, [`client`] is the caller's side. [`metrics`] is a second, smaller
//! door for Prometheus. There is no HTML here.
//!
//! Who may open the socket may use all of it: the file's mode and group are the access rule.

pub mod api;
pub mod child;
pub mod client;
mod devices;
mod encrypted;
mod explain;
pub mod family;
mod family_routes;
mod follow;
mod lists;
pub mod metrics;
mod request;
mod routes;
pub mod server;
pub mod socket;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod fake_family;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use crate::journal::{LogFilter, LogPage, Top};
use crate::name::NameBuf;

pub use api::ControlError;
pub use devices::{AssignDeviceQuery, DeviceRequest, ForgetDeviceQuery, NameDeviceQuery};
pub use encrypted::{InviteQuery, RevokeQuery};
pub use explain::{Asker, ExplainQuery, ExplainRequest};
pub use family::Family;
pub use lists::{ListSearchQuery, ListUpdateQuery, ListUpdateRequest};
pub use routes::openapi;

/// A future that is boxed so that a trait object can return it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What stands behind the API: the daemon, or a stand-in for tests.
///
/// All methods that return no future answer at once, from memory; they run on the thread that
/// serves the API and must neither wait nor touch a disk.
pub trait Household: Family + Send + Sync + 'static {
    /// How the daemon is doing.
    fn status(&self) -> api::Status;

    /// Why a name would be answered as it would; reads lists again to say which line it was.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for a device nobody knows.
    fn explain(&self, request: ExplainRequest)
    -> Boxed<'_, Result<api::Explanation, ControlError>>;

    /// All devices: those somebody named and those that only asked something.
    fn devices(&self) -> Vec<api::Device>;

    /// Those who asked and whom nobody named.
    fn new_devices(&self) -> Vec<api::NewDevice>;

    /// Changes the file of the devices and puts it in force. A caller that goes away does not stop
    /// it.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for somebody nobody knows, [`ControlError::BadRequest`] for what
    /// would not be a right configuration or stands in another file,
    /// [`ControlError::Unavailable`] when it cannot be written.
    fn change_device(
        &self,
        request: DeviceRequest,
    ) -> Boxed<'_, Result<api::DeviceChange, ControlError>>;

    /// What a device needs to ask us wherever it is; one that has no id yet gets one. A caller that
    /// goes away does not stop it.
    ///
    /// # Errors
    /// As for [`Self::change_device`]; [`ControlError::BadRequest`] where encrypted DNS is not served.
    fn invite(&self, query: InviteQuery) -> Boxed<'_, Result<api::Invitation, ControlError>>;

    /// All profiles.
    fn profiles(&self) -> Vec<api::Profile>;

    /// All lists.
    fn lists(&self) -> Vec<api::List>;

    /// Which lists name `name` or a parent of it; reads them again to say which line it was.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] when they cannot be read.
    fn search_lists(&self, name: NameBuf) -> Boxed<'_, Result<api::ListSearch, ControlError>>;

    /// Looks for new versions of lists and, if there are any, puts them in force. A caller that
    /// goes away does not stop it.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for a list nobody knows or that has no address,
    /// [`ControlError::Unavailable`] when it cannot be done now.
    fn update_lists(
        &self,
        request: ListUpdateRequest,
    ) -> Boxed<'_, Result<api::ListUpdateReport, ControlError>>;

    /// A page of the query log; see [`crate::journal::Journal::log`].
    fn log(&self, after: Option<u64>, limit: usize, filter: &LogFilter) -> LogPage;

    /// Rankings; see [`crate::journal::Journal::top`].
    fn top(&self, limit: usize) -> Top;

    /// Empties the cache.
    fn flush_cache(&self) -> api::Flushed;

    /// Reads configuration and lists again. A caller that goes away does not stop it.
    fn reload(&self) -> Boxed<'_, api::ReloadReport>;

    /// What `/readyz` answers: the reasons why this household is not served yet; none when it is.
    fn not_ready(&self) -> Vec<String>;
}
