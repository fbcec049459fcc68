//! `pebble`, the test authority of Let's Encrypt, with everything on loopback.

#![allow(
    dead_code,
    reason = "each test that shares this file uses a part of it"
)]

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::free_port;

/// An authority, and a DNS server that says that every name is at 127.0.0.1. Nothing is slowed down,
/// and each order is looked at anew.
pub(crate) struct Pebble {
    folder: tempfile::TempDir,
    /// The URL of its directory.
    pub(crate) directory: String,
    /// The port at which it looks for pages.
    pub(crate) http: u16,
    /// The port at which it looks for certificates.
    pub(crate) tls: u16,
    /// The port at which its DNS server is told what to say.
    pub(crate) management: u16,
    _running: [Running; 2],
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Pebble {
    /// Starts it; none where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        // Another process may take a port between our look and theirs.
        for _ in 0..5 {
            if let Ok(pebble) = Self::try_start() {
                return pebble;
            }
        }
        panic!("pebble does not come up");
    }

    /// `Ok(None)` where it is not installed, `Err` where it does not come up.
    fn try_start() -> Result<Option<Self>, ()> {
        let folder = tempfile::TempDir::new().unwrap();
        let [acme, admin, http, tls, dns, management] = [(); 6].map(|()| free_port());
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let own = params.self_signed(&key).unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("own.pem"), own.pem()).unwrap();
        std::fs::write(path("own.key"), key.serialize_pem()).unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{admin}"),
            "certificate": path("own.pem"),
            "privateKey": path("own.key"),
            "httpPort": http,
            "tlsPort": tls,
        }});
        std::fs::write(path("pebble.json"), config.to_string()).unwrap();
        let at = |port: u16| format!("127.0.0.1:{port}");
        let (dns, told) = (at(dns), at(management));
        let nothing = [
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv6",
            "",
        ];
        let names = ["-dns01", &dns, "-management", &told];
        let names = [names.as_slice(), &nothing].concat();
        let names = run(folder.path(), "pebble-challtestsrv", &names);
        let config = path("pebble.json").display().to_string();
        let authority = ["-config", &config, "-dnsserver", &dns];
        let authority = run(folder.path(), "pebble", &authority);
        let (Some(names), Some(authority)) = (names, authority) else {
            return Ok(None);
        };
        let mut running = [names, authority];
        for port in [acme, management] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let ended = |it: &mut Running| it.0.try_wait().unwrap().is_some();
                if running.iter_mut().any(ended) {
                    return Err(());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(Some(Self {
            directory: format!("https://127.0.0.1:{acme}/dir"),
            http,
            tls,
            management,
            folder,
            _running: running,
        }))
    }

    /// A file or folder of the test's beside its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("pebble.log")).unwrap()
    }
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Option<Running> {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_AUTHZREUSE", "0")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    child.ok().map(Running)
}
