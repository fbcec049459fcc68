//! Compressed lists: gzip and zstd, in bounded memory and to a bounded length.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Limits, ListFault, sniff};

/// The largest window of a zstd frame: what `zstd` uses up to level 19. Each frame may ask for this
/// much memory, whatever its length.
const MAX_WINDOW: u64 = 8 * 1024 * 1024;
/// Text that may come out before the ratio counts: a list of zeros is no attack yet.
const FREE_OF_RATIO: u64 = 1024 * 1024;

/// `source` as text or archive: unpacked if it is compressed, and cut off with an error where it
/// passes a limit.
///
/// # Errors
/// [`ListFault::Compressed`] for formats that nothing here unpacks, [`ListFault::Nested`] for what
/// is compressed twice, [`ListFault::Unpack`], [`ListFault::Read`].
pub(super) fn open<'s>(
    mut source: impl Read + 's,
    limits: &Limits,
) -> Result<Box<dyn Read + 's>, ListFault> {
    let magic = peek(&mut source)?;
    let packing = sniff::packing(&magic);
    let packed = Rc::new(Cell::new(0));
    let counted = Counted {
        source: Cursor::new(magic).chain(source),
        count: Rc::clone(&packed),
    };
    let unpacked: Box<dyn Read + 's> = match packing {
        None => {
            return Ok(Box::new(Bounded {
                source: counted,
                given: 0,
                packed: None,
                limits: *limits,
            }));
        }
        Some("gzip") => Box::new(MultiGzDecoder::new(BufReader::new(counted))),
        Some("zstd") => Box::new(Zstd::new(BufReader::new(counted))),
        Some(name) => return Err(ListFault::Compressed(name)),
    };
    let mut bounded = Bounded {
        source: unpacked,
        given: 0,
        packed: Some(packed),
        limits: *limits,
    };
    let magic = peek(&mut bounded)?;
    if let Some(name) = sniff::packing(&magic) {
        return Err(ListFault::Nested(name));
    }
    Ok(Box::new(Cursor::new(magic).chain(bounded)))
}

/// The first octets, by which a format is known.
fn peek(source: &mut impl Read) -> Result<Vec<u8>, ListFault> {
    let mut first = Vec::new();
    source
        .take(8)
        .read_to_end(&mut first)
        .map_err(|error| fault(&error))?;
    Ok(first)
}

/// What an error of a stream that [`open`] gave means for the list.
pub(super) fn fault(error: &io::Error) -> ListFault {
    let inner = error.get_ref();
    if let Some(Passed(fault)) = inner.and_then(|inner| inner.downcast_ref()) {
        return fault.clone();
    }
    let is_damage = inner.is_some_and(|inner| inner.is::<FrameDecoderError>())
        || matches!(
            error.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        );
    if is_damage {
        ListFault::Unpack(error.to_string())
    } else {
        ListFault::Read(error.to_string())
    }
}

/// A limit was passed.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct Passed(ListFault);

/// Counts what is read through it.
struct Counted<R> {
    source: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Ends in an error where a limit is passed.
struct Bounded<R> {
    source: R,
    given: u64,
    /// How much was read to give it, where that is not the same.
    packed: Option<Rc<Cell<u64>>>,
    limits: Limits,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.given += read as u64;
        let max = self.limits.max_bytes;
        if self.given > max {
            return Err(io::Error::other(Passed(ListFault::TooLarge { max })));
        }
        if let Some(packed) = &self.packed {
            let ratio = self.limits.max_ratio;
            let most = packed.get().saturating_mul(ratio.into());
            if self.given > most.saturating_add(FREE_OF_RATIO) {
                return Err(io::Error::other(Passed(ListFault::Bomb { ratio })));
            }
        }
        Ok(read)
    }
}

/// A zstd file: frames one after another, some of which may hold nothing for us.
struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    /// Whether a frame has begun.
    is_inside: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MAX_WINDOW);
        Self {
            source,
            frame,
            is_inside: false,
        }
    }

    /// Begins the next frame; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.frame.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = self.source.by_ref().take(length.into());
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Whether what came out is what went in, as far as the frame says.
    fn check(&self) -> io::Result<()> {
        match self.frame.get_checksum_from_data() {
            Some(stored) if Some(stored) != self.frame.get_calculated_checksum() => Err(
                io::Error::new(io::ErrorKind::InvalidData, "a checksum does not match"),
            ),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_inside {
                if !self.begin()? {
                    return Ok(0);
                }
                self.is_inside = true;
            }
            let read = self.frame.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            if self.frame.is_finished() {
                self.check()?;
                self.is_inside = false;
            } else {
                // One block is at most 128 KiB of text.
                self.frame
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    /// All of a source, or why not.
    fn all(packed: &[u8], limits: &Limits) -> Result<Vec<u8>, ListFault> {
        let mut text = Vec::new();
        open(packed, limits)?
            .read_to_end(&mut text)
            .map_err(|error| fault(&error))?;
        Ok(text)
    }

    #[test]
    fn packed_lists_read_like_others() {
        let text: Vec<u8> = (0..50_000)
            .flat_map(|number| format!("n{number}.example\n").into_bytes())
            .collect();
        let (one, two) = text.split_at(text.len() / 3);
        let limits = Limits::default();
        // A skippable frame, as `pzstd` writes them.
        let skipped = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(two)].concat();
        for packed in [
            text.clone(),
            gzip(&text),
            zstd(&text),
            [gzip(one), gzip(two)].concat(),
            [zstd(one), zstd(two)].concat(),
            [zstd(one), skipped].concat(),
        ] {
            assert_eq!(all(&packed, &limits).unwrap(), text);
        }
        assert_eq!(all(&gzip(b""), &limits).unwrap(), b"");
        assert_eq!(all(b"", &limits).unwrap(), b"");
    }

    #[test]
    fn a_bomb_is_defused() {
        let limits = Limits {
            max_bytes: 20_000_000,
            max_ratio: 200,
        };
        let zeros = vec![b'0'; 10_000_000];
        assert_eq!(
            all(&gzip(&zeros), &limits),
            Err(ListFault::Bomb { ratio: 200 })
        );
        assert_eq!(
            all(&zstd(&zeros), &limits),
            Err(ListFault::Bomb { ratio: 200 })
        );
        // Little is harmless, whatever the ratio.
        assert!(all(&gzip(&zeros[..1_000_000]), &limits).is_ok());
        let limits = Limits {
            max_bytes: 5_000_000,
            max_ratio: 1_000_000,
        };
        for packed in [zeros.clone(), gzip(&zeros), zstd(&zeros)] {
            assert_eq!(
                all(&packed, &limits),
                Err(ListFault::TooLarge { max: 5_000_000 })
            );
        }
    }

    #[test]
    fn damage_is_noticed() {
        let limits = Limits::default();
        let text = b"example.org\n".repeat(1000);
        for packed in [gzip(&text), zstd(&text)] {
            for end in 8..packed.len() {
                assert!(all(&packed[..end], &limits).is_err(), "{end}");
            }
        }
        let mut packed = gzip(&text);
        let at = packed.len() - 6;
        packed[at] ^= 1;
        assert!(matches!(all(&packed, &limits), Err(ListFault::Unpack(_))));
        // A checksum of the frame: the descriptor says there is one, and it is wrong.
        let mut packed = zstd(&text);
        packed[4] |= 4;
        packed.extend(*b"\0\0\0\0");
        assert!(all(&packed, &limits).is_err());
    }

    #[test]
    fn a_frame_may_not_ask_for_all_the_memory() {
        // A frame with a window of 128 MiB and one empty block.
        let wide = b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00";
        let fault = all(wide, &Limits::default()).unwrap_err();
        assert!(fault.to_string().contains("too big"), "{fault}");
        // One of 8 MiB.
        let usual = b"\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00";
        assert_eq!(all(usual, &Limits::default()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_packed_otherwise_is_refused_by_its_name() {
        for (start, name) in [
            (&b"PK\x03\x04rest"[..], "zip"),
            (b"BZh91AY&", "bzip2"),
            (b"\xfd7zXZ\0rest", "xz"),
            (b"7z\xbc\xaf\x27\x1crest", "7z"),
        ] {
            let refused = all(start, &Limits::default());
            assert_eq!(refused, Err(ListFault::Compressed(name)));
        }
        let twice = all(&gzip(&gzip(b"example.org\n")), &Limits::default());
        assert_eq!(twice, Err(ListFault::Nested("gzip")));
        let zipped = all(&zstd(b"PK\x03\x04rest"), &Limits::default());
        assert_eq!(zipped, Err(ListFault::Nested("zip")));
    }
}
