//! Connections over TLS, as a client.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Who has not taken or said something after this time is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How connections are made: whom to trust, what to say.
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Client {
    /// Trusts the certificate in the file `trust`, expects `name` in it, and offers `alpn` (RFC 7301).
    /// Every handshake is a full one.
    pub fn new(trust: &str, name: &str, alpn: &[u8]) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trust)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            name: ServerName::try_from(name.to_owned())?,
        })
    }

    /// What has not said anything yet.
    pub fn begin(&self) -> Result<ClientConnection, rustls::Error> {
        let mut tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        tls.set_buffer_limit(None);
        Ok(tls)
    }

    /// A connection whose handshake is over. Reading and writing wait, up to [`PATIENCE`].
    pub fn connect(&self, from: Ipv4Addr, server: SocketAddrV4) -> io::Result<Connection> {
        let mut socket = tcp(from, server)?;
        let mut tls = self.begin().map_err(io::Error::other)?;
        tls.complete_io(&mut socket)?;
        Ok(Connection { socket, tls })
    }
}

/// A connection in the clear from an address of ours.
pub fn tcp(from: Ipv4Addr, server: SocketAddrV4) -> io::Result<TcpStream> {
    let made = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // A port is chosen when it is known where to: else an address runs out of them.
    setsockopt(&made, sockopt::IpBindAddressNoPort, &true)?;
    let patience = TimeVal::new(PATIENCE.as_secs() as i64, 0);
    setsockopt(&made, sockopt::SendTimeout, &patience)?;
    setsockopt(&made, sockopt::ReceiveTimeout, &patience)?;
    bind(
        made.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(from, 0)),
    )?;
    connect(made.as_raw_fd(), &SockaddrIn::from(server))?;
    let stream = TcpStream::from(made);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection and its keys.
pub struct Connection {
    pub socket: TcpStream,
    pub tls: ClientConnection,
}

impl Connection {
    /// The version and the suite that were agreed on.
    pub fn agreed(&self) -> String {
        let version = self.tls.protocol_version().map(|it| format!("{it:?}"));
        let suite = self.tls.negotiated_cipher_suite();
        let suite = suite.map(|it| format!("{:?}", it.suite()));
        format!(
            "{} {}",
            version.unwrap_or_default(),
            suite.unwrap_or_default()
        )
    }

    /// Puts `octets` into a record of their own, to be sent by [`Self::flush`].
    pub fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(octets)
    }

    /// Sends what was put, as far as there is room for it.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts what has arrived behind `out`; tells whether there was anything.
    ///
    /// # Errors
    /// When the other side has closed, too: nobody here is done before it is.
    pub fn receive(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let begin = out.len();
        out.resize(begin + state.plaintext_bytes_to_read(), 0);
        self.tls.reader().read_exact(&mut out[begin..])?;
        if state.peer_has_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(true)
    }

    /// Sends a message over DoT and waits for the next one.
    pub fn ask(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.put(&framed(message))?;
        self.flush()?;
        let mut input = Vec::new();
        loop {
            if !self.receive(&mut input)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if let Some(reply) = first_message(&input) {
                return Ok(reply.to_vec());
            }
        }
    }
}

/// A message behind its length (RFC 1035 section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = (message.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(message);
    out
}

/// The first message of a stream, if it is there as a whole.
pub fn first_message(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_when_all_of_it_is() {
        let mut stream = framed(b"one");
        stream.extend_from_slice(&framed(b"other"));
        assert_eq!(first_message(&stream), Some(&b"one"[..]));
        assert_eq!(first_message(&stream[..4]), None);
        assert_eq!(first_message(&stream[..1]), None);
        assert_eq!(first_message(&stream[5..]), Some(&b"other"[..]));
    }
}
