//! What holds for any bytes that arrive as a signed answer.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hedgerow::dnssec::take_apart;
use hedgerow::message::{Answer, Authenticity, Question};
use hedgerow::name::NameBuf;

/// Nothing panics, whatever stands in keys, signatures and proofs, and it comes to an end; what is handed
/// on after a check can be read again and holds no more than came.
pub(crate) fn check(bytes: &[u8]) {
    let Some(rest) = bytes.get(12..) else {
        return;
    };
    let Ok((qname, used)) = NameBuf::read_wire(rest) else {
        return;
    };
    let Some(&[high, low, ..]) = rest.get(used..) else {
        return;
    };
    let question = Question {
        qname,
        qtype: u16::from_be_bytes([high, low]),
        dnssec_ok: true,
        checking_disabled: true,
        via: 0,
    };
    let sets = take_apart(bytes, &question);
    let Ok(answer) = Answer::from_upstream(bytes, &question) else {
        assert_eq!(sets, 0);
        return;
    };
    for (is_secure, dnssec_ok) in [(true, true), (true, false), (false, true), (false, false)] {
        let authenticity = Authenticity {
            is_secure,
            proofs: &[],
            ceiling: 60,
            note: None,
        };
        let asked = Question {
            dnssec_ok,
            ..question
        };
        let Ok(checked) = answer.checked(&asked, &authenticity) else {
            continue;
        };
        assert!(checked.records().count() <= answer.records().count());
        assert_eq!(checked.is_authentic(), is_secure);
        assert!(checked.ttl().is_none_or(|ttl| ttl <= 60));
        for (_, record) in checked.records() {
            assert!(record.expect("what was kept can be read").ttl <= 60);
        }
    }
}
