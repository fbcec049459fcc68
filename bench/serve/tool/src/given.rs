//! What stands on the command line: pairs of `--key value`.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::ParseIntError;

/// Pairs that nobody has taken yet.
pub struct Given<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Given<'a> {
    pub fn parse(words: &[&'a str]) -> Result<Self, Box<dyn Error>> {
        let mut given = BTreeMap::new();
        for pair in words.chunks(2) {
            match *pair {
                [key, value] if key.starts_with("--") => given.insert(&key[2..], value),
                _ => return Err(format!("`{}`: needs a key and a value", pair.join(" ")).into()),
            };
        }
        Ok(Self(given))
    }

    /// The value of a key, or what holds otherwise.
    pub fn take(&mut self, key: &str, otherwise: &str) -> String {
        self.0.remove(key).unwrap_or(otherwise).to_owned()
    }

    /// Whatever was not taken is a mistake.
    pub fn end(&self) -> Result<(), Box<dyn Error>> {
        match self.0.keys().next() {
            Some(key) => Err(format!("no option `--{key}`").into()),
            None => Ok(()),
        }
    }
}

/// Numbers with commas between them.
pub fn numbers(text: &str) -> Result<Vec<u32>, ParseIntError> {
    text.split_terminator(',').map(str::parse).collect()
}
