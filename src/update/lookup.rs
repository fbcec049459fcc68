//! Finding the server of a list, and staying out of the home while doing so.
//!
//! A name is looked up once, the addresses are checked, and the connection goes to one of those
//! that were checked: a name that points elsewhere a moment later (DNS rebinding) changes nothing.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::address::is_open;
use super::fault::FetchError;

/// Finds the addresses of the servers that lists come from.
///
/// The system's way ([`SystemResolve`]) may lead back to this very daemon where the router is its
/// own resolver. That cannot block it, since updates run on a thread of their own, but the filter
/// then has a say; who runs the daemon hands in something that asks upstream.
pub trait Resolve: Send + Sync + Debug {
    /// The addresses of `host`, found within `patience`.
    ///
    /// # Errors
    /// What went wrong.
    fn resolve(&self, host: &str, patience: Duration) -> io::Result<Vec<IpAddr>>;

    /// Where to connect for `address`, which was checked: there, but in tests, whose open net is on
    /// loopback.
    fn route(&self, address: SocketAddr) -> SocketAddr {
        address
    }
}

/// As the system looks up names.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolve;

impl Resolve for SystemResolve {
    fn resolve(&self, host: &str, patience: Duration) -> io::Result<Vec<IpAddr>> {
        // The C library cannot be interrupted; its own time-outs end a thread left behind.
        let (answer, wait) = mpsc::sync_channel(1);
        let host = host.to_owned();
        std::thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || {
                let found = (host.as_str(), 0).to_socket_addrs();
                let addresses = found.map(|all| all.map(|address| address.ip()).collect());
                // Nobody listens once patience is over.
                drop(answer.send(addresses));
            })?;
        wait.recv_timeout(patience)
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// [`Resolve`] as the HTTP client wants it, with the check in between.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    pub(super) resolve: Arc<dyn Resolve>,
    /// How long a look-up may take where the client sets no end.
    pub(super) patience: Duration,
    /// Whether addresses inside the home will do. Once a server outside was used they will not: a
    /// server of the open net must not send us inside.
    pub(super) inside: AtomicBool,
}

impl CheckedResolver {
    fn find(&self, uri: &Uri, timeout: NextTimeout) -> Result<Vec<SocketAddr>, FetchError> {
        let host = bare_host(uri);
        let port = uri.port_u16().unwrap_or_else(|| {
            if uri.scheme_str() == Some("http") {
                80
            } else {
                443
            }
        });
        let failed = |why: String| FetchError::LookUp {
            host: host.to_owned(),
            why,
        };
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let patience = self.patience.min(*timeout.after);
                self.resolve
                    .resolve(host, patience)
                    .map_err(|cause| failed(cause.to_string()))?
            }
        };
        let inside = found.iter().find(|address| !is_open(**address)).copied();
        let may_be_inside = self.inside.load(Ordering::Relaxed);
        let usable: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| may_be_inside || is_open(*address))
            .map(|address| self.resolve.route(SocketAddr::new(address, port)))
            .collect();
        match (usable.is_empty(), inside) {
            (false, None) => self.inside.store(false, Ordering::Relaxed),
            (false, Some(_)) => {}
            (true, None) => return Err(failed("no address".to_owned())),
            (true, Some(address)) => {
                return Err(FetchError::Inside {
                    host: host.to_owned(),
                    address,
                });
            }
        }
        Ok(usable)
    }
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self
            .find(uri, timeout)
            .map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut addresses = self.empty();
        // As many as the client has room for.
        for address in found.into_iter().take(16) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// The host of `uri` without the brackets of an IPv6 address.
pub(super) fn bare_host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<IpAddr>);

    impl Resolve for Fixed {
        fn resolve(&self, _host: &str, _patience: Duration) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    fn find(url: &str, addresses: &[&str], inside: bool) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let resolver = CheckedResolver {
            resolve: Arc::new(Fixed(addresses)),
            patience: Duration::from_secs(1),
            inside: AtomicBool::new(inside),
        };
        resolver.find(&url.parse().unwrap(), NextTimeout::default())
    }

    #[test]
    fn only_open_addresses_are_connected_to() {
        let mixed = ["192.168.1.1", "192.0.43.8", "::1"];
        assert_eq!(
            find("https://lists.example/a", &mixed, false).unwrap(),
            ["192.0.43.8:443".parse().unwrap()]
        );
        assert_eq!(
            find("http://lists.example:81/a", &["127.0.0.1"], false).unwrap_err(),
            FetchError::Inside {
                host: "lists.example".into(),
                address: IpAddr::from([127, 0, 0, 1]),
            }
        );
        assert_eq!(
            find("https://[::1]/a", &[], false).unwrap_err().to_string(),
            "`::1` is an address inside the home"
        );
        assert!(find("https://lists.example/", &[], false).is_err());
        assert_eq!(find("https://[fd00::1]/", &[], true).unwrap().len(), 1);
    }

    #[test]
    fn who_was_outside_cannot_send_us_inside() {
        let resolver = CheckedResolver {
            resolve: Arc::new(Fixed(Vec::new())),
            patience: Duration::from_secs(1),
            inside: AtomicBool::new(true),
        };
        let find = |url: &str| resolver.find(&url.parse().unwrap(), NextTimeout::default());
        assert!(find("http://192.168.1.1/").is_ok());
        assert!(find("http://192.0.43.8/").is_ok());
        assert!(find("http://192.168.1.1/").is_err());
    }

    #[test]
    fn the_system_finds_this_machine() {
        let found = SystemResolve.resolve("localhost", Duration::from_secs(10));
        assert!(found.unwrap().iter().all(IpAddr::is_loopback));
    }
}
