//! What holds for any bytes that arrive as a query, or as an upstream's answer.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hickory_proto::op::Message;

use hedgerow::config::{Forwarder, Trust};
use hedgerow::device::Claim;
use hedgerow::message::query::options;
use hedgerow::message::{Answer, Decoded, Extra, Query, Question, Reply, Ttl, ede, rcode};
use hedgerow::name::NameBuf;

/// Nothing panics; whatever we send can be read by another codec, repeats id and question, is a
/// response, never says AA or AD, and keeps to its limit.
pub(crate) fn check(bytes: &[u8]) {
    match Query::decode(bytes) {
        Decoded::Silence => assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
        Decoded::Error(refusal) => {
            let mut out = Vec::new();
            Reply::to_refused(&refusal, &mut out).finish(512, Extra::default());
            check_reply(bytes, &out, 512);
        }
        Decoded::Ask(query) => check_query(&query, bytes),
    }
    check_answer(bytes);
}

fn check_query(query: &Query<'_>, bytes: &[u8]) {
    let limit = query.udp_limit(1232);
    assert!((512..=1232).contains(&limit));
    let mut out = Vec::new();
    let mut reply = Reply::to_query(query, rcode::NXDOMAIN, &mut out);
    reply.address([192, 0, 2, 1].into(), 60);
    reply.soa(10);
    let extra = Extra {
        error: Some((ede::FILTERED, "for the child's sake")),
        ..Extra::default()
    };
    reply.finish(limit, extra);
    check_reply(bytes, &out, limit);
    let parsed = Message::from_vec(&out).expect("another codec reads it");
    let asked = &parsed.queries[0];
    assert_eq!(u16::from(asked.query_type()), query.question.qtype);
    assert_eq!(parsed.edns.is_some(), query.edns.is_some());
    check_options(query);
}

/// Options that were let in are read to their end, and what they claim says nothing that a terminal
/// would act upon.
fn check_options(query: &Query<'_>) {
    let read = options(query.options).map(|(_, value)| 4 + value.len());
    assert_eq!(read.sum::<usize>(), query.options.len());
    let mut forwarder = Forwarder {
        addresses: vec![],
        macs: vec![],
        trust: Trust::default(),
        subscriber_option: 65_280,
        proxy: false,
    };
    assert_eq!(Claim::read(query, &forwarder), None);
    forwarder.trust = Trust {
        mac: true,
        cpe_id: true,
        subscriber: true,
        client_subnet: true,
    };
    if let Some(claim) = Claim::read(query, &forwarder) {
        assert!(
            claim
                .to_string()
                .bytes()
                .all(|it| matches!(it, b' '..=b'~'))
        );
        assert!(!claim.is_void || claim == Claim::VOID);
    }
}

fn check_reply(query: &[u8], out: &[u8], limit: usize) {
    assert!(out.len() <= limit, "{} octets, {limit} allowed", out.len());
    assert_eq!(out[..2], query[..2], "the id");
    assert_eq!(out[2] & 0x84, 0x80, "a response, not authoritative");
    assert_eq!(out[3] & 0x20, 0, "nothing was checked");
    if out[5] == 1 {
        let end = out.len().min(query.len()).min(13);
        assert_eq!(out[12..end], query[12..end], "the question as it came");
    }
}

/// Takes the bytes as the answer to the question in them.
fn check_answer(bytes: &[u8]) {
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
        dnssec_ok: bytes.len().is_multiple_of(2),
        checking_disabled: false,
        via: 0,
    };
    let Ok(answer) = Answer::from_upstream(bytes, &question) else {
        return;
    };
    let ours = answer.facts().addresses().count();
    let mut message = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&bytes[12..12 + used]);
    message.extend_from_slice(&[high, low, 0, 1]);
    let Decoded::Ask(query) = Query::decode(&message) else {
        // A type that is no data: never asked, so never answered.
        return;
    };
    let mut out = Vec::new();
    answer.write(
        &query,
        Ttl::FRESH,
        usize::from(u16::MAX),
        Extra::default(),
        &mut out,
    );
    assert_eq!(out[2] & 0x84, 0x80);
    assert!(out.len() <= usize::from(u16::MAX) && out[..2] == [1, 2]);
    // What we hand on is what was judged: read again it gives the same facts.
    let again = Answer::from_upstream(&out, &question).expect("what we kept can be read again");
    assert_eq!(again.facts().addresses().count(), ours);
    assert!(again.facts().eq(answer.facts()));
}
