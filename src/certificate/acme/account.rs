//! Our account at an authority, and orders in its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use instant_acme::{
    Account, AccountCredentials, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
};
use serde::{Deserialize, Serialize};

use super::{AcmeError, AcmeSettings, http};
use crate::certificate::{CertificateError, MAX_FILE};
use crate::clock::Clock;
use crate::files::Files;
use crate::update::Resolve;

/// What an authority says that has forgotten us (RFC 8555 section 6.7).
const UNKNOWN: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// The account at an authority, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    email: Option<String>,
    /// As [`AccountCredentials`] are written.
    credentials: serde_json::Value,
}

/// Orders a certificate for `wanted`, or goes on with the order at the URL `begun` if the authority
/// still knows that and it can come to something; whether it is a new one. `names` says where the
/// authority is.
///
/// # Errors
/// Why the authority takes no order.
pub(super) async fn order(
    settings: &AcmeSettings,
    files: &Files,
    names: Arc<dyn Resolve>,
    clock: &Clock,
    wanted: &[Identifier],
    begun: Option<&str>,
) -> Result<(Order, bool), AcmeError> {
    let path = settings.place().join("acme-account.json");
    let order = NewOrder::new(wanted);
    let account = open(settings, files, &path, Arc::clone(&names), clock).await?;
    if let Some(url) = begun {
        match account.order(url.to_owned()).await {
            Ok(mut order) => {
                // Else it came to nothing.
                if order.state().status != OrderStatus::Invalid {
                    return Ok((order, false));
                }
            }
            // It is forgotten.
            Err(Error::Api(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match account.new_order(&order).await {
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(UNKNOWN) => {
            files.remove(&path)?;
            let account = open(settings, files, &path, names, clock).await?;
            Ok((account.new_order(&order).await?, true))
        }
        done => Ok((done?, true)),
    }
}

/// Our account, made if there is none.
async fn open(
    settings: &AcmeSettings,
    files: &Files,
    path: &Path,
    names: Arc<dyn Resolve>,
    clock: &Clock,
) -> Result<Account, AcmeError> {
    let roots = match &settings.ca {
        Some(path) => files.read(path, MAX_FILE)?,
        None => Vec::new(),
    };
    let client = http::Client::new(&roots, names, clock).map_err(AcmeError::Server)?;
    let builder = Account::builder_with_http(Box::new(client));
    let contact = settings.email.as_ref().map(|it| format!("mailto:{it}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let kept = read(files, path)?;
    if let Some(mut kept) = kept.filter(|it| it.directory == settings.directory) {
        let credentials = AccountCredentials::deserialize(&kept.credentials);
        let credentials = credentials.map_err(|error| broken(path, &error))?;
        let account = builder.from_credentials(credentials).await?;
        if kept.email != settings.email {
            account.update_contacts(&contact).await?;
            kept.email.clone_from(&settings.email);
            write(&kept, files, path)?;
        }
        return Ok(account);
    }
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = settings.directory.clone();
    let (account, credentials) = builder.create(&new, directory.clone(), None).await?;
    let credentials = serde_json::to_value(&credentials).map_err(|it| broken(path, &it))?;
    let kept = Kept {
        directory,
        email: settings.email.clone(),
        credentials,
    };
    write(&kept, files, path)?;
    Ok(account)
}

fn write(kept: &Kept, files: &Files, path: &Path) -> Result<(), AcmeError> {
    let text = serde_json::to_vec(kept).map_err(|error| broken(path, &error))?;
    Ok(files.replace_privately(path, &text)?)
}

fn read(files: &Files, path: &Path) -> Result<Option<Kept>, AcmeError> {
    match files.read(path, MAX_FILE) {
        Ok(text) => {
            let read = serde_json::from_slice(&text);
            read.map(Some).map_err(|error| broken(path, &error))
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn broken(path: &Path, error: &serde_json::Error) -> AcmeError {
    let (path, what) = (PathBuf::from(path), error.to_string());
    CertificateError::Broken { path, what }.into()
}
