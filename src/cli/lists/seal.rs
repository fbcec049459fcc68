//! `hedgerow lists seal`: from names to a list that nobody can read.

use std::io::{Read, Write};

use super::super::{Failure, Output};
use super::{SealArguments, failed, refused};
use crate::clock::Clock;
use crate::files::Files;
use crate::lists::sealed::{Day, Edition, KeyDelivery, SealKey, seal};
use crate::name::Name;

/// The most that is read of names.
const MAX_INPUT: u64 = 256 << 20;

pub(super) fn run(
    arguments: &SealArguments,
    input: impl Read,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let files = Files::disk();
    let key = files.read(&arguments.key, 4096).map_err(failed)?;
    let key = str::from_utf8(&key)
        .ok()
        .and_then(|text| SealKey::parse(text.trim()));
    let Some(key) = key else {
        // Nothing of the file is repeated.
        let path = arguments.key.display();
        return Err(refused(
            format!("{path}: not a key"),
            "a key is 32 hexadecimal digits, as `openssl rand -hex 16` prints",
        ));
    };
    let names = read_names(input)?;
    let edition = Edition {
        title: arguments.title.clone(),
        issuer: arguments.issuer.clone(),
        serial: arguments.serial,
        date: Day::of(Clock::system().wall()),
        expires: arguments.expires,
    };
    let delivery = if arguments.with_key {
        KeyDelivery::InFeed
    } else {
        KeyDelivery::Apart
    };
    let names = names.iter().map(Name::as_ref);
    let feed = seal(names, &key, delivery, &edition).map_err(failed)?;
    let Some(path) = &arguments.out else {
        output.out.write_all(feed.as_bytes())?;
        return Ok(());
    };
    files.replace(path, feed.as_bytes()).map_err(failed)
}

/// Names, one a line; what is wrong with a line is said without the line, which is a secret.
fn read_names(input: impl Read) -> Result<Vec<Name>, Failure> {
    let mut text = String::new();
    let read = input.take(MAX_INPUT + 1).read_to_string(&mut text);
    read.map_err(|error| failed(format!("standard input: {error}")))?;
    if text.len() as u64 > MAX_INPUT {
        return Err(failed(format!(
            "standard input: more than {MAX_INPUT} bytes"
        )));
    }
    let mut names = Vec::new();
    for (line, number) in text.lines().zip(1_u64..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = Name::parse(line);
        names.push(name.map_err(|error| failed(format!("standard input:{number}: {error}")))?);
    }
    if names.is_empty() {
        return Err(refused(
            "there are no names on standard input".to_owned(),
            "one name a line; `#` begins a comment",
        ));
    }
    Ok(names)
}
