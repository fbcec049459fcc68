//! Running `nft`, the program that speaks for the kernel's nftables.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Why the table could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// It is not installed.
    #[error("`nft` is not there")]
    Missing,
    /// It cannot be run.
    #[error("`nft` cannot be run: {0}")]
    Run(#[from] io::Error),
    /// It says no.
    #[error("`nft` refuses: {0}")]
    Refused(String),
}

/// Puts the table in place that `script` describes, in one step: all of it or nothing.
///
/// # Errors
/// When there is no `nft`, when this account may not change the firewall, or when the kernel lacks
/// what the table needs.
pub fn apply(script: &str) -> Result<(), NftError> {
    run(script)
}

/// Takes the table away, if there is one.
///
/// # Errors
/// As for [`apply`].
pub fn remove() -> Result<(), NftError> {
    run(&super::removal())
}

fn run(script: &str) -> Result<(), NftError> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NftError::Missing,
            _ => NftError::Run(error),
        })?;
    let written = nft
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
    let output = nft.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // The rest shows the place in a text that nobody typed.
        let first = said.lines().next().unwrap_or_default();
        return Err(NftError::Refused(first.to_owned()));
    }
    Ok(written?)
}
