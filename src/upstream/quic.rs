//! Asking over QUIC (RFC 9250): one connection, a stream for each question, with id 0. And the
//! QUIC connections under HTTP/3.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, ConnectError, Connection, ConnectionError, Endpoint, ReadExactError,
    TransportConfig, VarInt, WriteError,
};

use super::fault::Fault;
use super::held::{Alive, Grip, Held};
use super::place::Place;
use super::secure::Identity;
use super::wire::Request;
use crate::clock::Clock;

/// The QUIC connection to one server.
#[derive(Debug)]
pub(super) struct Line {
    dial: Dial,
    held: Held<Connection>,
    clock: Clock,
}

/// How to open one.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    place: Arc<Place>,
    config: ClientConfig,
    /// The name its certificate has to be for, or its address.
    name: String,
}

/// The application protocol (RFC 9250 section 4.1.1).
pub(super) const ALPN: &[u8] = b"doq";
/// How long a connection without questions stays open.
const IDLE: Duration = Duration::from_secs(30);
/// Nothing is wrong (RFC 9250 section 4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);

impl Alive for Connection {
    fn is_alive(&self) -> bool {
        self.close_reason().is_none()
    }
}

impl Dial {
    /// To whom `identity` describes; none if its TLS cannot be that of QUIC, which needs 1.3.
    pub(super) fn new(place: Arc<Place>, identity: &Identity) -> Option<Self> {
        let tls = QuicClientConfig::try_from(Arc::clone(&identity.config)).ok()?;
        let mut config = ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        // Below 2^62 by far.
        transport.max_idle_timeout(IDLE.try_into().ok());
        transport.max_concurrent_uni_streams(VarInt::from_u32(8));
        transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
        config.transport_config(Arc::new(transport));
        Some(Self {
            place,
            config,
            name: identity.name.to_str().into_owned(),
        })
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Opens a connection. Nothing is sent before the handshake ends, since what is sent earlier
    /// can be replayed.
    pub(super) async fn open(self) -> Result<Connection, Fault> {
        let (config, name) = (self.config, self.name);
        let place = Arc::clone(&self.place);
        self.place
            .reach(move |address| {
                let (config, name) = (config.clone(), name.clone());
                let place = Arc::clone(&place);
                async move {
                    let _handshake = place.shake_hands();
                    let any = match address {
                        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                    };
                    // A socket for each connection: it goes with it.
                    let endpoint = Endpoint::client(any)?;
                    let connecting = endpoint
                        .connect_with(config, address, &name)
                        .map_err(|error| cannot_connect(&error))?;
                    let opened = connecting.await;
                    place.note_somebody(opened.as_ref().is_err_and(is_somebody_else));
                    opened.map_err(|error| fault_of(&error))
                }
            })
            .await
    }
}

impl Line {
    pub(super) fn new(dial: Dial, clock: Clock) -> Self {
        Self {
            dial,
            held: Held::new(clock.clone()),
            clock,
        }
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        self.dial.place()
    }

    /// Sends `request` and waits for its reply as long as the caller likes; the caller judges it.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn ask(&self, request: &Request, is_retry: bool) -> Result<Vec<u8>, Fault> {
        let grip = self.held.get(is_retry, || self.dial.clone().open()).await?;
        let was_open = grip.was_open;
        match self.say(grip, request).await {
            // It may have been closed for want of use.
            Err(Fault::Io(_)) if was_open => {
                let grip = self.held.get(false, || self.dial.clone().open()).await?;
                self.say(grip, request).await
            }
            done => done,
        }
    }

    /// Whether a second attempt would need another connection.
    pub(super) fn is_doubtful(&self) -> bool {
        self.held.is_doubtful()
    }

    /// Opens a connection unless there is one.
    pub(super) fn warm(&self) {
        self.held.warm(|| self.dial.clone().open());
    }

    async fn say(&self, grip: Grip<Connection>, request: &Request) -> Result<Vec<u8>, Fault> {
        let said = talk(&grip.connection, request.bytes()).await;
        match &said {
            Ok(_) => grip.heard.note(self.clock.now()),
            // It is gone; all else is the stream's fault.
            Err(Fault::Io(_)) => self.held.let_go(grip.number),
            Err(Fault::Said(_)) => {}
        }
        said
    }
}

/// One question and its reply on a stream of their own (RFC 9250 section 4.2).
async fn talk(connection: &Connection, message: &[u8]) -> Result<Vec<u8>, Fault> {
    let (mut send, mut receive) = connection
        .open_bi()
        .await
        .map_err(|error| fault_of(&error))?;
    let mut framed = Vec::with_capacity(2 + message.len());
    // A question has a few hundred octets at most.
    framed.extend((message.len() as u16).to_be_bytes());
    framed.extend(message);
    send.write_all(&framed).await.map_err(|error| match error {
        WriteError::ConnectionLost(error) => fault_of(&error),
        _ => Fault::said("it does not take our question"),
    })?;
    // The end of the stream is the end of the question.
    send.finish().map_err(|_closed| Fault::HUNG_UP)?;
    let mut length = [0; 2];
    receive
        .read_exact(&mut length)
        .await
        .map_err(|error| match error {
            ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => fault_of(&error),
            _ => Fault::said("it ended the stream without an answer"),
        })?;
    // The message is whole when it is as long as it says; some servers leave the stream open.
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    receive
        .read_exact(&mut reply)
        .await
        .map_err(|error| match error {
            ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => fault_of(&error),
            _ => Fault::said("its answer is not as long as it says"),
        })?;
    Ok(reply)
}

fn cannot_connect(error: &ConnectError) -> Fault {
    Fault::said(format!("cannot connect: {error}"))
}

/// Whether a connection failed since the certificate was somebody else's: of that QUIC tells no more
/// than the code of the alert (RFC 9001 section 4.8): bad_certificate, certificate_unknown, unknown_ca
/// and decrypt_error.
fn is_somebody_else(error: &ConnectionError) -> bool {
    const BAD_CERTIFICATE: u64 = 0x100 + 42;
    const CERTIFICATE_UNKNOWN: u64 = 0x100 + 46;
    const UNKNOWN_CA: u64 = 0x100 + 48;
    const DECRYPT_ERROR: u64 = 0x100 + 51;
    let ConnectionError::TransportError(error) = error else {
        return false;
    };
    matches!(
        u64::from(error.code),
        BAD_CERTIFICATE | CERTIFICATE_UNKNOWN | UNKNOWN_CA | DECRYPT_ERROR
    )
}

/// Why a connection ended.
pub(super) fn fault_of(error: &ConnectionError) -> Fault {
    match error {
        ConnectionError::TransportError(error) => {
            // TLS alerts come as codes (RFC 9001 section 4.8), with words where they are ours.
            Fault::said(plain(&error.reason, &error.code.to_string()))
        }
        ConnectionError::ApplicationClosed(closed) if closed.error_code == NO_ERROR => {
            Fault::HUNG_UP
        }
        ConnectionError::TimedOut => Fault::Io(io::ErrorKind::TimedOut),
        ConnectionError::VersionMismatch => Fault::said("it does not speak this QUIC"),
        _ => Fault::HUNG_UP,
    }
}

/// What the other end says, without what a terminal would act on.
fn plain(reason: &str, code: &str) -> String {
    let reason: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect();
    if reason.is_empty() {
        format!("QUIC: {code}")
    } else {
        format!("QUIC: {reason}")
    }
}
