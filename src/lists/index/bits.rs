//! Bits in a row, the highest of an octet first.

/// Collects bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill an octet yet, in the low end.
    rest: u64,
    /// How many those are: less than eight between calls.
    pending: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `value`, at most 32.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.rest = self.rest << count | u64::from(value) & ((1 << count) - 1);
        self.pending += count;
        while self.pending >= 8 {
            self.pending -= 8;
            // The eight bits above those that stay.
            self.bytes.push((self.rest >> self.pending) as u8);
        }
    }

    /// How many bits there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() * 8 + self.pending as usize
    }

    /// Appends all bits of another.
    pub(super) fn append(&mut self, other: &Self) {
        for octet in &other.bytes {
            self.put(u32::from(*octet), 8);
        }
        self.put(other.rest as u32 & 0xff, other.pending);
    }

    /// The octets, the last one filled up with zeroes.
    pub(super) fn align(&mut self) -> &[u8] {
        if self.pending > 0 {
            self.put(0, 8 - self.pending);
        }
        &self.bytes
    }
}

/// Reads bits; behind the end there are zeroes without end.
#[derive(Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The octet that is loaded next.
    at: usize,
    /// Bits that are loaded, from the highest down. Below them stand bits of the same octets that
    /// are loaded again, or zeroes.
    loaded: u64,
    /// How many of them count.
    count: u32,
}

impl<'a> BitReader<'a> {
    /// At octet `at` of `bytes`.
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        let mut this = Self {
            bytes,
            at,
            loaded: 0,
            count: 0,
        };
        this.load();
        this
    }

    /// All octets it reads of.
    #[inline(always)]
    pub(super) const fn octets(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next 16 bits, which stay.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u16 {
        if self.count < 16 {
            self.load();
        }
        (self.loaded >> 48) as u16
    }

    /// Goes past bits that were seen with [`Self::peek`]: at most 16.
    #[inline(always)]
    pub(super) const fn pass(&mut self, count: u32) {
        self.loaded <<= count;
        self.count = self.count.wrapping_sub(count);
    }

    /// The next `count` bits, at most 32.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if self.count < 32 {
            self.load();
        }
        // None of none: a shift by 64 has no meaning.
        let value = (self.loaded >> 32) >> (32 - count.min(32));
        self.pass(count);
        value as u32
    }

    /// Where the next bit stands, counted from the begin of the octets.
    pub(super) const fn place(&self) -> usize {
        self.at
            .saturating_mul(8)
            .saturating_sub(self.count as usize)
    }

    /// Goes to the bit at `place`.
    #[inline(always)]
    pub(super) fn go_to(&mut self, place: usize) {
        *self = Self::new(self.bytes, place / 8);
        self.pass(place as u32 % 8);
    }

    /// Loads as many octets as there is room for.
    #[inline(always)]
    fn load(&mut self) {
        let next = match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(octets) => u64::from_be_bytes(*octets),
            None => last_octets(self.bytes, self.at),
        };
        self.loaded |= next >> self.count;
        let octets = (63 - self.count) / 8;
        self.at = self.at.saturating_add(octets as usize);
        self.count += octets * 8;
    }
}

/// The `count` bits from `place` on, counted from the begin of the octets; one to 32.
#[inline(always)]
pub(super) fn bits_at(bytes: &[u8], place: usize, count: u32) -> u32 {
    let octets = match bytes.get(place / 8..).and_then(<[u8]>::first_chunk) {
        Some(octets) => u64::from_be_bytes(*octets),
        None => last_octets(bytes, place / 8),
    };
    (octets << (place % 8) >> (64 - count.clamp(1, 32))) as u32
}

/// The last few octets from `at` on, then zeroes.
#[cold]
#[inline(never)]
fn last_octets(bytes: &[u8], at: usize) -> u64 {
    let mut octets = [0; 8];
    let rest = bytes.get(at..).unwrap_or_default();
    for (place, octet) in octets.iter_mut().zip(rest) {
        *place = *octet;
    }
    u64::from_be_bytes(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_and_then_zeroes() {
        let numbers: Vec<(u32, u32)> = (0..500_u32)
            .map(|n| (n.wrapping_mul(0x9e37_79b9), n % 33))
            .map(|(value, count)| ((u64::from(value) & ((1 << count) - 1)) as u32, count))
            .collect();
        let mut writer = BitWriter::default();
        let mut places = Vec::new();
        for (value, count) in &numbers {
            places.push(writer.len());
            writer.put(*value, *count);
        }
        let mut twice = BitWriter::default();
        twice.put(5, 3);
        twice.append(&writer);
        assert_eq!(twice.len(), 3 + writer.len());
        let length = twice.len();
        let bytes = twice.align().to_vec();
        let mut reader = BitReader::new(&bytes, 0);
        assert_eq!(reader.peek() >> 13, 5);
        assert_eq!(reader.take(3), 5);
        for ((value, count), place) in numbers.iter().zip(places) {
            assert_eq!(reader.place(), 3 + place);
            let mut other = BitReader::new(&bytes, 0);
            other.go_to(3 + place);
            assert_eq!(other.take(*count), *value);
            assert!(*count == 0 || bits_at(&bytes, 3 + place, *count) == *value);
            assert_eq!(reader.take(*count), *value);
        }
        assert_eq!(reader.place(), length);
        for _ in 0..20 {
            assert_eq!(reader.take(32), 0);
        }
    }
}
