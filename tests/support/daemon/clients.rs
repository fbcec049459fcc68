//! The programs people ask with.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;

use super::programs;

/// Whether tests may be left out for want of a client.
fn may_skip() -> bool {
    std::env::var_os("HEDGEROW_SKIP_CLIENTS").is_some()
}

/// Runs a client; none when it is missing and may be.
fn run(program: &OsStr, package: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if may_skip() => {
            eprintln!("skipped: {}: {error}", program.display());
            return None;
        }
        Err(error) => panic!(
            "`{}` is needed (Debian and Ubuntu: apt install {package}); \
             HEDGEROW_SKIP_CLIENTS=1 leaves its tests out: {error}",
            program.display()
        ),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\n{text}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

/// What `dig` shows.
pub fn dig(to: SocketAddr, from: &str, arguments: &[&str]) -> Option<String> {
    let (server, port) = (format!("@{}", to.ip()), to.port().to_string());
    let mut all = vec![
        server.as_str(),
        "-p",
        &port,
        "+time=10",
        "+tries=1",
        "+noall",
    ];
    if !from.is_empty() {
        all.extend(["-b", from]);
    }
    all.extend(["+comments", "+answer", "+authority"]);
    all.extend(arguments);
    run("dig".as_ref(), "bind9-dnsutils", &all)
}

/// What `kdig` shows.
pub fn kdig(to: SocketAddr, from: &str, arguments: &[&str]) -> Option<String> {
    let (server, port) = (format!("@{}", to.ip()), to.port().to_string());
    let mut all = vec![server.as_str(), "-p", &port, "+timeout=10", "+retry=0"];
    if !from.is_empty() {
        all.extend(["-b", from]);
    }
    all.extend(arguments);
    run(&programs::program("kdig"), "knot-dnsutils", &all)
}

/// What a Python program prints that has dnspython at hand and the daemon's port in `PORT`.
pub fn dnspython(to: SocketAddr, program: &str) -> Option<String> {
    let Some(python) = programs::python("dns.query, dns.message, dns.edns") else {
        assert!(
            may_skip(),
            "dnspython is needed (Debian and Ubuntu: apt install python3-dnspython); \
             HEDGEROW_SKIP_CLIENTS=1 leaves its tests out"
        );
        eprintln!("skipped: dnspython is missing");
        return None;
    };
    let program = format!("PORT = {}\n{program}", to.port());
    run(&python, "python3-dnspython", &["-c", &program])
}

/// The `status:` of dig's or kdig's comments.
pub fn status(text: &str) -> &str {
    let after = text.split("status: ").nth(1).unwrap_or_default();
    after.split([',', ';']).next().unwrap_or_default()
}

/// The records in dig's or kdig's output as `type data`.
pub fn records(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty())
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let class = words.iter().position(|word| *word == "IN")?;
            Some(words[class + 1..].join(" "))
        })
        .collect()
}
