//! Answers from upstream: what is read of them, kept and handed out.

use super::*;
use crate::message::Decoded;

fn question(name: &str, qtype: u16) -> Question {
    Question {
        qname: NameBuf::parse(name).unwrap(),
        qtype,
        dnssec_ok: false,
        checking_disabled: false,
        via: 0,
    }
}

/// A response in the making.
struct Response(Vec<u8>);

impl Response {
    fn to(question: &Question, code: u8) -> Self {
        let mut out = vec![0xab, 0xcd, 0x85, 0xa0 | code, 0, 1, 0, 0, 0, 0, 0, 0];
        out.extend_from_slice(question.qname.as_ref().as_wire());
        out.extend_from_slice(&question.qtype.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        Self(out)
    }

    fn record(mut self, section: usize, owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Self {
        self.0.extend_from_slice(owner);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&[0, 1]);
        self.0.extend_from_slice(&ttl.to_be_bytes());
        self.0.extend_from_slice(&(data.len() as u16).to_be_bytes());
        self.0.extend_from_slice(data);
        self.0[5 + 2 * section] += 1;
        self
    }
}

const SELF: &[u8] = &[0xc0, 12];

fn hand_out(answer: &Answer, name: &str, age: Ttl, limit: usize) -> Vec<u8> {
    let mut raw = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let name = NameBuf::parse(name).unwrap();
    raw.extend(name.as_ref().as_wire().iter().map(u8::to_ascii_uppercase));
    raw.extend_from_slice(&[0, 1, 0, 1]);
    let Decoded::Ask(query) = Query::decode(&raw) else {
        panic!("not a query");
    };
    let mut out = Vec::new();
    answer.write(&query, age, limit, Extra::default(), &mut out);
    out
}

#[test]
fn an_answer_leaves_with_the_clients_id_case_and_falling_ttl() {
    let question = question("www.example.org", 1);
    let wire = Response::to(&question, 0)
        .record(1, SELF, 1, 300, &[192, 0, 2, 1])
        .0;
    let answer = Answer::from_upstream(&wire, &question).unwrap();
    assert_eq!(answer.ttl(), Some(300));
    assert_eq!(
        answer.facts().collect::<Vec<_>>(),
        [Fact::Address("192.0.2.1".parse().unwrap())]
    );
    let age = Ttl {
        age: 100,
        ..Ttl::FRESH
    };
    let out = hand_out(&answer, "www.example.org", age, 512);
    assert_eq!(
        out[..4],
        [7, 7, 0x81, 0x80],
        "id, RD, RA; neither AA nor AD"
    );
    assert_eq!(&out[12..28], b"\x03WWW\x07EXAMPLE\x03ORG");
    let record = Record::read(&out, out.len() - 16).unwrap();
    assert_eq!((record.ttl, record.data(&out)), (200, &[192, 0, 2, 1][..]));
}

#[test]
fn records_outside_the_bailiwick_are_dropped_and_pointers_stay_true() {
    let question = question("www.example.org", 1);
    let wire = Response::to(&question, 0)
        .record(1, b"\x04evil\x04test\x00", 1, 9, &[203, 0, 113, 9])
        .record(1, SELF, 5, 60, b"\x03cdn\xc0\x10")
        .record(1, b"\x03cdn\xc0\x10", 1, 30, &[192, 0, 2, 1])
        .0;
    let answer = Answer::from_upstream(&wire, &question).unwrap();
    let out = hand_out(&answer, "www.example.org", Ttl::FRESH, 512);
    let mut at = usize::from(answer.head().question_end);
    let mut seen = Vec::new();
    while at < out.len() {
        let record = Record::read(&out, at).unwrap();
        seen.push((record.owner(&out).unwrap().to_string(), record.rtype));
        at = record.end;
    }
    assert_eq!(
        seen,
        [
            ("www.example.org".to_owned(), 5),
            ("cdn.example.org".to_owned(), 1)
        ]
    );
    assert_eq!(answer.facts().count(), 2);
    assert_eq!(answer.ttl(), Some(30));
}

#[test]
fn a_circle_of_aliases_is_no_answer() {
    let question = question("a.test", 1);
    let wire = Response::to(&question, 0)
        .record(1, SELF, 5, 60, b"\x01b\xc0\x0e")
        .record(1, b"\x01b\xc0\x0e", 5, 60, SELF)
        .0;
    assert_eq!(
        Answer::from_upstream(&wire, &question),
        Err(AnswerError::Chain)
    );
}

#[test]
fn a_no_is_kept_for_the_smaller_of_soa_ttl_and_minimum() {
    let question = question("none.example.org", 1);
    let mut soa = vec![0, 0];
    for value in [1_u32, 2, 3, 4, 77] {
        soa.extend_from_slice(&value.to_be_bytes());
    }
    let wire = Response::to(&question, 3)
        .record(2, b"\xc0\x11", 6, 900, &soa)
        .0;
    let answer = Answer::from_upstream(&wire, &question).unwrap();
    assert_eq!((answer.rcode(), answer.ttl()), (3, Some(77)));
    let bare = Response::to(&question, 3).0;
    assert_eq!(Answer::from_upstream(&bare, &question).unwrap().ttl(), None);
}

#[test]
fn service_records_give_up_their_targets_and_hints() {
    let question = question("example.org", 65);
    let data = b"\x00\x01\x04pool\x04test\x00\x00\x04\x00\x08\xc0\x00\x02\x01\xc0\x00\x02\x02";
    let wire = Response::to(&question, 0).record(1, SELF, 65, 60, data).0;
    let answer = Answer::from_upstream(&wire, &question).unwrap();
    assert_eq!(
        answer.facts().collect::<Vec<_>>(),
        [
            Fact::SvcbTarget(NameBuf::parse("pool.test").unwrap().as_ref()),
            Fact::SvcbHint("192.0.2.1".parse().unwrap()),
            Fact::SvcbHint("192.0.2.2".parse().unwrap()),
        ]
    );
    let cut = Response::to(&question, 0)
        .record(1, SELF, 65, 60, &data[..20])
        .0;
    assert!(matches!(
        Answer::from_upstream(&cut, &question),
        Err(AnswerError::Malformed(_))
    ));
}

/// What hides a name goes, all else stays as it was, whatever stands around it.
#[test]
fn an_answer_leaves_without_what_leads_round_the_filter() {
    let question = question("www.example.org", rtype::HTTPS);
    let head = b"\0\x01\0\0\x01\0\x03\x02h2";
    let ech = b"\0\x05\0\x04\xfe\x0d\0\0";
    let hint = b"\0\x04\0\x04\xc0\0\x02\x01";
    let tail = b"\0\x06\0\x10aaaaaaaaaaaaaaaa";
    let whole = [&head[..], hint, ech, tail].concat();
    let cut = [&head[..], hint, tail].concat();
    let demands = b"\0\x01\0\0\0\0\x02\0\x05\0\x05\0\x01x".to_vec();
    let resolver = b"\0\x01\0\0\x07\0\x01/".to_vec();
    for (records, expected) in [
        (vec![whole.clone()], vec![cut.clone()]),
        (
            vec![whole.clone(), whole.clone()],
            vec![cut.clone(), cut.clone()],
        ),
        (vec![demands.clone(), whole.clone()], vec![cut.clone()]),
        (vec![demands], vec![]),
        (vec![resolver], vec![]),
        (vec![[&head[..], ech].concat()], vec![head.to_vec()]),
    ] {
        // Behind an alias whose target is written once and pointed at from there on.
        let mut response = Response::to(&question, 0).record(
            1,
            SELF,
            rtype::CNAME,
            60,
            b"\x03cdn\x07example\x03net\0",
        );
        let alias = [0xc0, 12 + 17 + 4 + 12];
        for data in &records {
            response = response.record(1, &alias, rtype::HTTPS, 60, data);
        }
        let answer = Answer::from_upstream(&response.0, &question).unwrap();
        assert!(answer.leads_round());
        let raw = [
            &[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
            question.qname.as_ref().as_wire(),
            &[0, 65, 0, 1],
        ]
        .concat();
        let Decoded::Ask(query) = Query::decode(&raw) else {
            panic!("not a query");
        };
        let mut out = Vec::new();
        answer
            .write_without_ech(&query, Ttl::FRESH, 512, Extra::default(), &mut out)
            .unwrap();
        let count = usize::from(read_u16(&out, 6).unwrap());
        assert_eq!(count, 1 + expected.len());
        let mut at = query.question_end;
        for expected in std::iter::once(None).chain(expected.iter().map(Some)) {
            let record = Record::read(&out, at).unwrap();
            at = record.end;
            if let Some(data) = expected {
                let owner = record.owner(&out).unwrap();
                assert_eq!(owner.to_string(), "cdn.example.net");
                assert_eq!((record.rtype, record.data(&out)), (rtype::HTTPS, &data[..]));
            }
        }
        let nothing = expected.is_empty();
        assert_eq!(
            read_u16(&out, 8).unwrap(),
            u16::from(nothing),
            "an SOA for a no"
        );
    }
}

#[test]
fn an_ordinary_service_record_leads_nowhere_else() {
    let question = question("www.example.org", rtype::HTTPS);
    let data = b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x04\xc0\0\x02\x01";
    let response = Response::to(&question, 0).record(1, SELF, rtype::HTTPS, 60, data);
    let answer = Answer::from_upstream(&response.0, &question).unwrap();
    assert!(!answer.leads_round());
    assert_eq!(without_ech(data), Some([&data[..], &[]]));
}

#[test]
fn what_does_not_fit_is_cut_whole_and_says_so() {
    let question = question("big.test", 1);
    let mut response = Response::to(&question, 0);
    for last in 0..60 {
        response = response.record(1, SELF, 1, 60, &[192, 0, 2, last]);
    }
    let answer = Answer::from_upstream(&response.0, &question).unwrap();
    let out = hand_out(&answer, "big.test", Ttl::FRESH, 512);
    assert_eq!((out[2] & 2, out.len(), &out[6..8]), (2, 26, &[0, 0][..]));
    let whole = hand_out(&answer, "big.test", Ttl::FRESH, 65_535);
    assert_eq!((whole[2] & 2, whole[7]), (0, 60));
}

#[test]
fn another_question_is_no_answer() {
    let asked = question("a.test", 1);
    let wire = Response::to(&question("b.test", 1), 0).0;
    assert_eq!(
        Answer::from_upstream(&wire, &asked),
        Err(AnswerError::Question)
    );
    let wire = Response::to(&question("a.test", 28), 0).0;
    assert_eq!(
        Answer::from_upstream(&wire, &asked),
        Err(AnswerError::Question)
    );
}

#[test]
fn whose_answer_it_is_does_not_depend_on_the_case_of_letters() {
    let question = question("www.example.org", 1);
    let mut wire = Response::to(&question, 0)
        .record(1, SELF, 1, 300, &[192, 0, 2, 1])
        .0;
    wire[13..16].copy_from_slice(b"WwW");
    let answer = Answer::from_upstream(&wire, &question).unwrap();
    assert!(answer.is_to(&question));
    for (name, qtype) in [
        ("www.example.org", 28),
        ("wwx.example.org", 1),
        ("www.example.or", 1),
    ] {
        assert!(
            !answer.is_to(&self::question(name, qtype)),
            "{name} {qtype}"
        );
    }
}

#[test]
fn a_question_that_is_a_pointer_is_none() {
    // The id spells a name of one letter: who points there says it in two octets.
    let question = question("a", 1);
    let wire = [
        1, b'a', 0, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 1, 0, 1,
    ];
    let found = Answer::from_upstream(&wire, &question);
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn a_name_that_would_change_on_its_way_out_is_refused() {
    let asked = question("a.test", 1);
    // The alias's name stands in its own TTL, which would be another one a second later.
    let ttl = u32::from_be_bytes([1, b'b', 0, 0]);
    let at = Response::to(&asked, 0).0.len() + 6;
    let through_ttl = [0xc0, at as u8];
    let wire = Response::to(&asked, 0)
        .record(1, SELF, 5, ttl, &through_ttl)
        .0;
    let refused = Answer::from_upstream(&wire, &asked);
    assert!(
        matches!(refused, Err(AnswerError::Malformed(_))),
        "{refused:?}"
    );
    // The same of an owner, behind an honest record.
    let wire = Response::to(&asked, 0)
        .record(1, SELF, 1, ttl, &[192, 0, 2, 1])
        .record(1, &through_ttl, 1, 60, &[192, 0, 2, 2])
        .0;
    assert!(Answer::from_upstream(&wire, &asked).is_err());
}

#[test]
fn a_name_that_runs_out_of_its_record_is_refused() {
    let asked = question("a.example.org", 39);
    let renamed = |target: &[u8]| {
        let wire = Response::to(&asked, 0)
            .record(1, SELF, 39, 60, target)
            // Not kept: what a name would run into.
            .record(1, b"\x01z\0", 1, 60, &[192, 0, 2, 2])
            .0;
        Answer::from_upstream(&wire, &asked)
    };
    assert!(renamed(b"\x03net\0").is_ok());
    assert!(renamed(b"\x04net\0").is_err());
    assert!(renamed(b"\x03net\0\0").is_err());
}
