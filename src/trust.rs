//! Whom we believe about a server's certificate, on machines whose clock may not be set.
//!
//! A router without a battery believes it is 1970 until the network time arrives, and may never
//! hear it. No certificate was valid then. So while the clock shows a time that cannot be, before this
//! program was released or decades after, the dates are checked the other way round: there must be an instant
//! since then, or since the newest signed thing that came here ([`Clock::earliest`]), at which the whole
//! chain was valid. Names and signatures are checked as ever. What is
//! given up is noticing that a certificate expired since the release.
//!
//! A clock that is ahead looks right. What is right in all but its end says that it may be, and what is
//! valid that it may not ([`Clock::note_ended`], [`Clock::note_valid`]); a certificate that is over is not
//! believed for that.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::clock::{Clock, Timestamp, can_be};
use crate::tls;

/// The authorities that web browsers trust, as they were at the release.
pub(crate) fn built_in() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// Takes the certificates in `pem` into `roots`; how many there were.
///
/// # Errors
/// What is wrong with the first that cannot be read.
pub(crate) fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|error| error.to_string())?;
        roots.add(root).map_err(|error| error.to_string())?;
        count += 1;
    }
    Ok(count)
}

/// Takes the certificates in `pem` into `roots` that can be; how many there were, and how many could
/// not: a system's collection must not be void for one of them.
pub(crate) fn add_good(roots: &mut RootCertStore, pem: &[u8]) -> (usize, usize) {
    /// More than any system has.
    const MOST: usize = 10_000;
    let (mut good, mut bad) = (0, 0);
    for root in CertificateDer::pem_slice_iter(pem).take(MOST) {
        match root.is_ok_and(|root| roots.add(root).is_ok()) {
            true => good += 1,
            false => bad += 1,
        }
    }
    (good, bad)
}

/// The client's side of TLS 1.2 and 1.3 that believes `roots`.
///
/// # Errors
/// When `roots` holds nobody.
pub(crate) fn client_config(roots: RootCertStore, clock: &Clock) -> Result<ClientConfig, String> {
    let provider = tls::provider();
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_details(provider, Arc::new(WallTime(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier {
            chain,
            clock: clock.clone(),
        }))
        .with_no_client_auth();
    Ok(config)
}

/// The household's clock for rustls.
#[derive(Debug)]
struct WallTime(Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.wall().as_second()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            seconds,
        )))
    }
}

impl Verifier {
    /// What is said of a certificate that is over: that it is somebody else's, where it is that too. A
    /// login page's often is. Where it was right until then, the clock may be ahead.
    fn over(
        &self,
        error: rustls::Error,
        check: impl Fn(UnixTime) -> Result<ServerCertVerified, rustls::Error>,
    ) -> rustls::Error {
        let mut over = error.clone();
        // Each step passes the end of one more certificate of the chain.
        for _ in 0..CHAIN {
            let rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            }) = over
            else {
                break;
            };
            over = match check(not_after) {
                Err(rustls::Error::InvalidCertificate(fault)) if is_foreign(&fault) => {
                    return fault.into();
                }
                Err(other) => other,
                Ok(_) => {
                    if let Some(end) = time_of(not_after) {
                        self.clock.note_ended(end);
                    }
                    break;
                }
            };
        }
        error
    }

    /// Notes that the certificate of a server is valid, and when it began: before any other fault the checks
    /// find that it did not hold in 1970.
    fn note_valid(
        &self,
        server: &ServerName<'_>,
        check: impl Fn(UnixTime) -> Result<ServerCertVerified, rustls::Error>,
    ) {
        let in_1970 = check(UnixTime::since_unix_epoch(std::time::Duration::ZERO));
        if let Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before,
            ..
        })) = in_1970
            && let Some(beginning) = time_of(not_before)
        {
            self.clock.note_valid(beginning, &server.to_str());
        }
    }
}

/// Certificates of one chain whose dates are passed.
const CHAIN: usize = 8;

/// The usual checks, at an instant that can be.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    clock: Clock,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let check = |at: UnixTime| {
            self.chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        // A clock that starts at the time of some file is behind and looks true. That a certificate holds
        // from later on protects nobody from anything, so it is no fault whatever the clock says.
        let earliest = self.clock.earliest().as_second().unsigned_abs();
        let earliest = UnixTime::since_unix_epoch(std::time::Duration::from_secs(earliest));
        let begun = match time_of(now).is_some_and(can_be) {
            true => now.max(earliest),
            false => earliest,
        };
        let mut at = begun;
        // Each step passes the beginning of one more certificate of the chain.
        for _ in 0..CHAIN {
            match check(at) {
                Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before > at => at = not_before,
                Err(error) => return Err(self.over(error, check)),
                done => {
                    if at == begun {
                        self.note_valid(server_name, check);
                    } else if let Some(beginning) = time_of(at) {
                        self.clock.note_begun(beginning);
                    }
                    return done;
                }
            }
        }
        check(at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether a connection failed since the certificate was somebody else's: for another name, or signed
/// by nobody we trust.
pub(crate) fn is_somebody_else(error: &std::io::Error) -> bool {
    let inner = error.get_ref();
    let fault = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(fault, Some(rustls::Error::InvalidCertificate(fault)) if is_foreign(fault))
}

/// Whether a certificate is for another name, or by nobody we trust. Devices with a login page like to
/// sign for themselves, as an authority or in the version of 1988.
fn is_foreign(fault: &CertificateError) -> bool {
    use CertificateError::{
        BadSignature, NotValidForName, NotValidForNameContext, Other, UnknownIssuer,
    };
    match fault {
        NotValidForName | NotValidForNameContext { .. } | UnknownIssuer | BadSignature => true,
        // These two have no name of their own in `rustls`.
        Other(other) => matches!(
            other.0.downcast_ref(),
            Some(webpki::Error::CaUsedAsEndEntity | webpki::Error::UnsupportedCertVersion)
        ),
        _ => false,
    }
}

/// What is wrong with a server's certificate, for an admin. Says nothing that changes from one
/// attempt to the next, so that the same fault is told once.
pub(crate) fn explain(error: &rustls::Error) -> String {
    use CertificateError::{
        ExpiredContext, NotValidForNameContext, NotValidYetContext, UnknownIssuer,
    };
    let rustls::Error::InvalidCertificate(fault) = error else {
        return error.to_string();
    };
    match fault {
        NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate is for no name at all".to_owned()
        }
        NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().take(5).map(|name| bare(name)).collect();
            format!("its certificate is for other names: {}", names.join(", "))
        }
        ExpiredContext { not_after, .. } => format!(
            "its certificate was valid until {}, or this machine's clock is wrong",
            day(*not_after)
        ),
        NotValidYetContext { not_before, .. } => format!(
            "its certificate is valid from {}, or this machine's clock is wrong",
            day(*not_before)
        ),
        UnknownIssuer => "no authority we trust signed its certificate".to_owned(),
        CertificateError::Other(other) if is_own_authority(other) => {
            "its certificate is an authority's own, which no server may show".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

/// Whether what the checks say of a certificate is that it is an authority's own.
fn is_own_authority(other: &OtherError) -> bool {
    matches!(
        other.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

/// The name in `DnsName("lists.example")`, without what a terminal would act on.
fn bare(presented: &str) -> String {
    let inner = presented
        .split_once("(\"")
        .and_then(|(_, rest)| rest.strip_suffix("\")"))
        .unwrap_or(presented);
    inner.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The day of an instant, as in `2026-11-22`.
fn day(instant: UnixTime) -> String {
    time_of(instant).map_or_else(
        || "a day far away".to_owned(),
        |at| at.to_string().chars().take(10).collect(),
    )
}

/// The same instant, where a clock can show it.
fn time_of(instant: UnixTime) -> Option<Timestamp> {
    let seconds = i64::try_from(instant.as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_collection_those_that_can_be_read_count() {
        let authority = |name: &str| {
            let cert = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            cert.cert.pem()
        };
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let pem = [&authority("a.test"), bad, &authority("b.test")].concat();
        let mut roots = RootCertStore::empty();
        assert_eq!(add_good(&mut roots, pem.as_bytes()), (2, 1));
        assert_eq!(roots.len(), 2);
        assert!(add(&mut RootCertStore::empty(), pem.as_bytes()).is_err());
    }
}
