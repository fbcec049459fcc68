//! Reading a delta line by line.

use std::io::Read;

use super::DeltaError;
use super::canonical::Summed;
use crate::lists::ListFormat;
use crate::update::sorted::LineReader;

/// The first line of a delta.
pub(super) const MAGIC: &str = "hedgerow-delta 1";

/// What a line of a delta does.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Add,
    Remove,
}

/// A delta that is being read.
pub(super) struct Delta<R> {
    lines: LineReader<R>,
    line: u64,
    format: ListFormat,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) rules: u64,
    /// The last rule, with its sign: the next must come after it.
    last: Vec<u8>,
}

impl<R: Read> Delta<R> {
    /// Reads the first four lines.
    pub(super) fn open(source: R) -> Result<Self, DeltaError> {
        let mut lines = LineReader::new(source);
        let mut word = |key: &str| -> Result<String, DeltaError> {
            let line = lines.next().ok().flatten().unwrap_or_default();
            let text = std::str::from_utf8(line).unwrap_or_default();
            let value = text.strip_prefix(key).ok_or(DeltaError::NotADelta)?;
            Ok(value.trim().to_owned())
        };
        if !word(MAGIC)?.is_empty() {
            return Err(DeltaError::NotADelta);
        }
        let format = match word("format ")?.as_str() {
            "adblock" => ListFormat::Adblock,
            "sealed" => ListFormat::Sealed,
            _ => return Err(DeltaError::NotADelta),
        };
        let (from, _) = sum_and_count(&word("from ")?)?;
        let (to, rules) = sum_and_count(&word("to ")?)?;
        Ok(Self {
            lines,
            line: 4,
            format,
            from,
            to,
            rules,
            last: Vec::new(),
        })
    }

    /// The next change; lines of the head go to `result` on the way.
    pub(super) fn next(
        &mut self,
        result: &mut Summed<'_>,
    ) -> Result<Option<(Change, &[u8])>, DeltaError> {
        loop {
            let line = self.lines.next()?;
            self.line += 1;
            let at = self.line;
            let corrupt = |why| DeltaError::Corrupt { line: at, why };
            let Some((sign, rule)) = line.map(|line| line.split_first().unwrap_or((&0, &[])))
            else {
                return Ok(None);
            };
            let change = match sign {
                b'+' => Change::Add,
                b'-' => Change::Remove,
                // What is no remark would be a rule that nobody counted.
                b'=' if self.last.is_empty()
                    && (self.format == ListFormat::Sealed || rule.starts_with(b"!")) =>
                {
                    result.head(rule)?;
                    continue;
                }
                _ => return Err(corrupt("neither `+` nor `-`")),
            };
            if rule.is_empty() || rule <= self.last.as_slice() {
                return Err(corrupt("not in order"));
            }
            self.last.clear();
            self.last.extend_from_slice(rule);
            return Ok(Some((change, &self.last)));
        }
    }

    /// What is wrong with the line read last.
    pub(super) fn corrupt(&self, why: &'static str) -> DeltaError {
        DeltaError::Corrupt {
            line: self.line,
            why,
        }
    }
}

/// Reads `0f3c… 104211`.
fn sum_and_count(text: &str) -> Result<(String, u64), DeltaError> {
    let (sum, count) = text.split_once(' ').ok_or(DeltaError::NotADelta)?;
    let is_sum = sum.len() == 64 && sum.bytes().all(|octet| octet.is_ascii_hexdigit());
    if !is_sum {
        return Err(DeltaError::NotADelta);
    }
    let count = count.trim().parse().map_err(|_| DeltaError::NotADelta)?;
    Ok((sum.to_ascii_lowercase(), count))
}
