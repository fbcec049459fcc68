//! Signing as minisign does, for tests: Ed25519 over BLAKE2b-512 of the file.

use rcgen::{KeyPair, PKCS_ED25519, SigningKey};

/// A secret key.
pub(crate) struct Signer {
    key: KeyPair,
    id: [u8; 8],
}

impl Signer {
    /// A new one; tests tell theirs apart by `id`.
    pub(crate) fn new(id: u8) -> Self {
        Self {
            key: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
            id: [id; 8],
        }
    }

    /// The public key as it stands in the configuration.
    pub(crate) fn public(&self) -> String {
        let mut octets = b"Ed".to_vec();
        octets.extend(self.id);
        octets.extend(self.key.public_key_raw());
        base64(&octets)
    }

    /// What belongs into the `.minisig` beside `file`.
    pub(crate) fn sign(&self, file: &[u8], trusted_comment: &str) -> String {
        let signature = self.key.sign(&blake2b_512(file)).unwrap();
        let mut first = b"ED".to_vec();
        first.extend(self.id);
        first.extend(&signature);
        let mut global = signature;
        global.extend(trusted_comment.as_bytes());
        let global = self.key.sign(&global).unwrap();
        format!(
            "untrusted comment: a test\n{}\ntrusted comment: {trusted_comment}\n{}\n",
            base64(&first),
            base64(&global)
        )
    }
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let mut bits = [0; 3];
        bits[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for digit in 0..4 {
            if digit <= three.len() {
                let value = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[value as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// BLAKE2b with 64 octets and no key (RFC 7693).
fn blake2b_512(message: &[u8]) -> [u8; 64] {
    const IV: [u64; 8] = [
        0x6a09_e667_f3bc_c908,
        0xbb67_ae85_84ca_a73b,
        0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1,
        0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b,
        0x5be0_cd19_137e_2179,
    ];
    const SIGMA: [[usize; 16]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ];
    const MIX: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ];
    let mut h = IV;
    h[0] ^= 0x0101_0040;
    let blocks = message.len().div_ceil(128).max(1);
    for block in 0..blocks {
        let begin = block * 128;
        let end = message.len().min(begin + 128);
        let mut padded = [0; 128];
        padded[..end - begin].copy_from_slice(&message[begin..end]);
        let m: Vec<u64> = padded
            .chunks(8)
            .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()))
            .collect();
        let mut v = [0; 16];
        v[..8].copy_from_slice(&h);
        v[8..].copy_from_slice(&IV);
        v[12] ^= end as u64;
        if block + 1 == blocks {
            v[14] = !v[14];
        }
        for round in 0..12 {
            let order = &SIGMA[round % 10];
            for (index, [a, b, c, d]) in MIX.into_iter().enumerate() {
                v[a] = v[a].wrapping_add(v[b]).wrapping_add(m[order[2 * index]]);
                v[d] = (v[d] ^ v[a]).rotate_right(32);
                v[c] = v[c].wrapping_add(v[d]);
                v[b] = (v[b] ^ v[c]).rotate_right(24);
                v[a] = v[a]
                    .wrapping_add(v[b])
                    .wrapping_add(m[order[2 * index + 1]]);
                v[d] = (v[d] ^ v[a]).rotate_right(16);
                v[c] = v[c].wrapping_add(v[d]);
                v[b] = (v[b] ^ v[c]).rotate_right(63);
            }
        }
        for (index, word) in h.iter_mut().enumerate() {
            *word ^= v[index] ^ v[index + 8];
        }
    }
    let mut sum = [0; 64];
    for (place, word) in sum.chunks_mut(8).zip(h) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    sum
}
