//! Whom we believe about a server's certificate, on machines whose clock may not be set.
//!
//! A router without a battery believes it is 1970 until the network time arrives, and may never
//! hear it. No certificate was valid then. So while the clock shows a time before this program was
//! released, which cannot be, the dates are checked the other way round: there must be an instant
//! since then at which the whole chain was valid. Names and signatures are checked as ever. What is
//! given up is noticing that a certificate expired since the release.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::clock::{Clock, RELEASED, Timestamp};
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
        .with_custom_certificate_verifier(Arc::new(Verifier { chain }))
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

/// The usual checks, at an instant that can be.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
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
        if now.as_secs() >= RELEASED {
            return check(now);
        }
        let mut at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(RELEASED));
        // Each step passes the beginning of one more certificate of the chain.
        for _ in 0..8 {
            match check(at) {
                Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before > at => at = not_before,
                done => return done,
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
        other => format!("its certificate is not accepted: {other}"),
    }
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
    i64::try_from(instant.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "a day far away".to_owned(),
            |at| at.to_string().chars().take(10).collect(),
        )
}
