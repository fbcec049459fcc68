//! Answers we make ourselves: to what is blocked, to names that mean something only here, to ANY,
//! and to failures.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::BlockAnswer;
use crate::device::HomeAnswer;
use crate::discovery::{Designated, Designation};
use crate::language::Sentence;
use crate::message::{Extra, Query, Reply, Structured, ede, rcode, rtype};
use crate::policy::{self, SpecialUse};
use crate::profile::Profile;
use crate::verdict::{Cause, Reason, Tier};

/// How long a client may keep what we say of special-use names.
const SPECIAL_USE_TTL: u32 = 3600;
/// How long a client may keep the answer to ANY (RFC 8482 section 4.3 leaves it to us).
const ANY_TTL: u32 = 3600;

/// How long a client may keep what we say of devices in the home: their addresses change.
const HOME_TTL: u32 = 30;

/// How long a client may keep what we say of our own encrypted DNS: the certificate may change.
const DESIGNATION_TTL: u32 = 300;

/// What the OPT of every answer to one query carries, and how long the answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'t> {
    /// The most octets.
    pub limit: usize,
    /// Cookie and keep-alive.
    pub extra: Extra<'t>,
    /// Seconds for which what is answered may be kept at most: the rules change then.
    pub ceiling: u32,
}

/// Answers `query` as `profile` answers blocks, with `reason` as Extended DNS Error.
pub fn block(
    query: &Query<'_>,
    profile: &Profile,
    reason: &Reason,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let ttl = profile.block_ttl.min(frame.ceiling);
    // A canary must hear "no such name": any address, a null one too, would mean "go ahead".
    let answer = if policy::is_canary(query.question.qname.as_ref()) {
        &BlockAnswer::NxDomain
    } else {
        &profile.block_answer
    };
    let code = match answer {
        BlockAnswer::NxDomain => rcode::NXDOMAIN,
        BlockAnswer::Refused => rcode::REFUSED,
        BlockAnswer::Null | BlockAnswer::NoData | BlockAnswer::Addresses(_) => rcode::NOERROR,
    };
    let mut reply = Reply::to_query(query, code, out);
    let mut answered = false;
    let mut add = |address: IpAddr| {
        let kind = if address.is_ipv4() {
            rtype::A
        } else {
            rtype::AAAA
        };
        if kind == query.question.qtype {
            reply.address(address, ttl);
            answered = true;
        }
    };
    match answer {
        BlockAnswer::Null => {
            add(Ipv4Addr::UNSPECIFIED.into());
            add(Ipv6Addr::UNSPECIFIED.into());
        }
        BlockAnswer::Addresses(addresses) => addresses.iter().copied().for_each(add),
        BlockAnswer::NxDomain | BlockAnswer::NoData | BlockAnswer::Refused => {}
    }
    if !answered && code != rcode::REFUSED {
        reply.soa(ttl);
    }
    let mut text = ShortText::default();
    // Whoever does not speak EDNS hears no reason.
    if query.edns.is_some() {
        // Cannot fail: what does not fit is cut.
        let _cut = write!(text, "{reason}");
    }
    let extra = Extra {
        error: Some((error_code(reason), text.as_str())),
        structured: Some(structured(profile, reason)),
        ..frame.extra
    };
    reply.finish(frame.limit, extra);
    code
}

/// The Extended DNS Error code for a block (RFC 8914 sections 4.16 to 4.18).
pub const fn error_code(reason: &Reason) -> u16 {
    match reason.tier {
        Tier::Sealed => ede::CENSORED,
        Tier::Security => ede::BLOCKED,
        Tier::Lifeline | Tier::Household | Tier::ChildSafety | Tier::Lists => ede::FILTERED,
    }
}

/// What a program is told of a block.
fn structured(profile: &Profile, reason: &Reason) -> Structured<'static> {
    let speech = &profile.speech;
    Structured {
        contacts: speech.contacts,
        justification: speech.language.say(Sentence::about(reason)),
        language: speech.language.tag,
        sub_error: sub_error(reason),
    }
}

/// The sub-error of the draft's registry, as far as it may stand beside [`error_code`].
fn sub_error(reason: &Reason) -> Option<u8> {
    const MALWARE: u8 = 1;
    const PHISHING: u8 = 2;
    const NETWORK_OPERATOR_POLICY: u8 = 5;
    match (error_code(reason), reason.cause) {
        // Not to be used with a censor's word.
        (ede::CENSORED, _) => None,
        (_, Cause::List { category, .. }) => match category {
            "malware" => Some(MALWARE),
            "phishing" => Some(PHISHING),
            _ => None,
        },
        (ede::BLOCKED, _) => Some(NETWORK_OPERATOR_POLICY),
        _ => None,
    }
}

/// Answers with an error of our own.
pub fn error(
    query: &Query<'_>,
    code: u16,
    why: Option<(u16, &str)>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let extra = Extra {
        error: why,
        ..frame.extra
    };
    Reply::to_query(query, code, out).finish(frame.limit, extra);
    code
}

/// Answers ANY with little, whatever there is (RFC 8482 section 4.2): a household's resolver must
/// be no lever for a flood.
pub fn any(query: &Query<'_>, frame: Frame<'_>, out: &mut Vec<u8>) -> u16 {
    let mut reply = Reply::to_query(query, rcode::NOERROR, out);
    reply.record_of_question(rtype::HINFO, ANY_TTL.min(frame.ceiling), b"\x07RFC8482\x00");
    reply.finish(frame.limit, frame.extra);
    rcode::NOERROR
}

/// Answers a query for a name that is never asked of an upstream.
pub fn special_use(
    special: SpecialUse,
    query: &Query<'_>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let code = match special {
        SpecialUse::Localhost | SpecialUse::NoData => rcode::NOERROR,
        SpecialUse::Nowhere => rcode::NXDOMAIN,
    };
    let mut reply = Reply::to_query(query, code, out);
    match (special, query.question.qtype) {
        (SpecialUse::Localhost, rtype::A) => {
            reply.address(Ipv4Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
        }
        (SpecialUse::Localhost, rtype::AAAA) => {
            reply.address(Ipv6Addr::LOCALHOST.into(), SPECIAL_USE_TTL);
        }
        _ => reply.soa(SPECIAL_USE_TTL),
    }
    reply.finish(frame.limit, frame.extra);
    code
}

/// Answers a query of `client` about our own encrypted DNS.
pub fn designated(
    what: Designated,
    designation: &Designation,
    client: IpAddr,
    query: &Query<'_>,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let mut reply = Reply::to_query(query, rcode::NOERROR, out);
    let mut is_answered = false;
    match what {
        Designated::Services => {
            for record in designation.records() {
                reply.record_of_question(rtype::SVCB, DESIGNATION_TTL, record);
                is_answered = true;
            }
        }
        Designated::OurName => {
            for address in designation.addresses_for(client) {
                let kind = if address.is_ipv4() {
                    rtype::A
                } else {
                    rtype::AAAA
                };
                if kind == query.question.qtype {
                    reply.address(address, HOME_TTL);
                    is_answered = true;
                }
            }
        }
    }
    if !is_answered {
        reply.soa(HOME_TTL);
    }
    reply.finish(frame.limit, frame.extra);
    rcode::NOERROR
}

/// Answers a query about a device in the home.
pub fn home(answer: &HomeAnswer, query: &Query<'_>, frame: Frame<'_>, out: &mut Vec<u8>) -> u16 {
    let code = match answer {
        HomeAnswer::Nowhere => rcode::NXDOMAIN,
        _ => rcode::NOERROR,
    };
    let mut reply = Reply::to_query(query, code, out);
    match answer {
        HomeAnswer::Addresses(addresses) => {
            for address in addresses {
                reply.address(*address, HOME_TTL);
            }
        }
        HomeAnswer::Pointer(name) => {
            reply.record_of_question(rtype::PTR, HOME_TTL, name.as_ref().as_wire());
        }
        HomeAnswer::NoData | HomeAnswer::Nowhere => reply.soa(HOME_TTL),
    }
    reply.finish(frame.limit, frame.extra);
    code
}

/// A short text on the stack; what does not fit is cut.
#[derive(Debug)]
struct ShortText {
    octets: [u8; 192],
    length: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            octets: [0; 192],
            length: 0,
        }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        let octets = &self.octets[..self.length];
        match std::str::from_utf8(octets) {
            Ok(text) => text,
            // Cut inside a character: keep what is whole.
            Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.octets[self.length..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Overrides};
    use crate::files::MemoryFiles;
    use crate::lists::IndexBuilder;
    use crate::message::Decoded;
    use crate::verdict::Trigger;

    /// The profile that `text` makes of `mia`.
    fn profile(text: &str) -> Profile {
        let files = MemoryFiles::new();
        files.put("/h.toml", text);
        let path = std::path::Path::new("/h.toml");
        let loaded = config::load_with(&files.files(), path, &Overrides::default());
        let config = loaded.config.unwrap();
        let mia = config.profiles.iter().find(|it| it.name == "mia").unwrap();
        Profile::compile(0, mia, &IndexBuilder::new().build())
    }

    const SPANISH: &str = "[upstream]\nservers = [\"192.0.2.53\"]\n\
        [household]\nlanguage = \"de\"\n\
        contact = [\"mailto:parents@home.example\", \"tel:+49-30-1234567\"]\n\
        [profile.mia]\ninherits = \"schoolchild\"\nlanguage = \"es\"\n";
    const BARE: &str = "[upstream]\nservers = [\"192.0.2.53\"]\n\
        [profile.mia]\ninherits = \"schoolchild\"\n";

    fn listed(tier: Tier, category: &'static str) -> Reason {
        Reason {
            tier,
            cause: Cause::List {
                list: "l",
                category,
                labels: 2,
            },
            trigger: Trigger::Qname,
        }
    }

    /// The Extended DNS Error in the answer to a query with these EDNS options: code and text, and
    /// how long the answer is.
    fn error_of(
        options: &[u8],
        profile: &Profile,
        reason: &Reason,
        limit: usize,
    ) -> (u16, String, usize) {
        let mut raw =
            b"\x07\x07\x01\0\0\x01\0\0\0\0\0\x01\x03bad\x07example\0\0\x01\0\x01".to_vec();
        raw.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8]);
        raw.extend_from_slice(options);
        let Decoded::Ask(query) = Query::decode(&raw) else {
            panic!("not a query");
        };
        let extra = Extra::default();
        let mut out = Vec::new();
        block(
            &query,
            profile,
            reason,
            Frame {
                limit,
                extra,
                ceiling: u32::MAX,
            },
            &mut out,
        );
        // The option is the last of the last record.
        let opt = out
            .windows(5)
            .rposition(|it| it == [0, 0, 41, 4, 208])
            .unwrap();
        let data = &out[opt + 11..];
        let Some(data) = data.strip_prefix(&[0, 15]) else {
            return (0, String::new(), out.len());
        };
        assert_eq!(
            usize::from(u16::from_be_bytes([data[0], data[1]])),
            data.len() - 2
        );
        let code = u16::from_be_bytes([data[2], data[3]]);
        (
            code,
            String::from_utf8(data[4..].to_vec()).unwrap(),
            out.len(),
        )
    }

    /// An Extended DNS Error in the query: "I understand structured ones".
    const ASKS: &[u8] = &[0, 15, 0, 2, 0, 0];

    #[test]
    fn who_asks_for_it_gets_json_with_contact_and_a_sentence_in_its_language() {
        let mia = profile(SPANISH);
        let adult = listed(Tier::ChildSafety, "adult");
        let (code, text, _) = error_of(ASKS, &mia, &adult, 1232);
        assert_eq!(code, ede::FILTERED);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "c": ["mailto:parents@home.example", "tel:+49-30-1234567"],
                "j": "Esta página es solo para adultos.",
                "l": "es",
            })
        );
        assert!(!text.contains(": ") && !text.contains(", "), "{text}");
        let (code, text, _) = error_of(&[], &mia, &adult, 1232);
        assert_eq!((code, text.as_str()), (ede::FILTERED, "adult (list l)"));
    }

    #[test]
    fn codes_and_sub_errors_say_what_kind_of_block_it_is() {
        let mia = profile(BARE);
        let rebinding = Reason {
            tier: Tier::Security,
            cause: Cause::Rebinding,
            trigger: Trigger::Address,
        };
        for (reason, code, sub_error) in [
            (listed(Tier::Security, "malware"), ede::BLOCKED, Some(1)),
            (listed(Tier::Security, "phishing"), ede::BLOCKED, Some(2)),
            (rebinding, ede::BLOCKED, Some(5)),
            (listed(Tier::Lists, "ads"), ede::FILTERED, None),
            (listed(Tier::ChildSafety, "games"), ede::FILTERED, None),
            (listed(Tier::Sealed, "malware"), ede::CENSORED, None),
        ] {
            let (found, text, _) = error_of(ASKS, &mia, &reason, 1232);
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(found, code, "{reason}");
            assert_eq!(
                json.get("s").and_then(serde_json::Value::as_u64),
                sub_error,
                "{reason}"
            );
            assert_eq!(json["l"], "en", "{reason}");
            assert!(json.get("c").is_none(), "{reason}");
        }
    }

    #[test]
    fn a_sealed_block_says_nothing_of_what_it_is_about() {
        let mia = profile(BARE);
        let (_, text, _) = error_of(ASKS, &mia, &listed(Tier::Sealed, "abuse"), 1232);
        assert_eq!(text, r#"{"j":"This page is closed by law.","l":"en"}"#);
    }

    /// First the words go, then the text, then the records; the code stays as long as it can, and no
    /// answer is ever longer than it may be.
    #[test]
    fn what_does_not_fit_is_left_out_in_order() {
        let mia = profile(SPANISH);
        let malware = listed(Tier::Security, "malware");
        let mut seen = Vec::new();
        for limit in (40..400).rev() {
            let (code, text, length) = error_of(ASKS, &mia, &malware, limit);
            assert!(length <= limit.max(40), "{length} of {limit}");
            let stage = match (code, text.as_str()) {
                (0, "") => "nothing",
                (_, "") => "code",
                (_, text) if text.contains("\"j\"") => "all",
                (_, text) => {
                    assert!(text.ends_with(r#"],"s":1}"#), "{text}");
                    "wordless"
                }
            };
            if seen.last() != Some(&stage) {
                seen.push(stage);
            }
        }
        assert_eq!(seen, ["all", "wordless", "code", "nothing"]);
    }

    #[test]
    fn every_sentence_with_three_long_contacts_fits_a_datagram() {
        let mut mia = profile(BARE);
        let long = format!("\"mailto:{}@home.example\"", "x".repeat(60));
        let contacts = crate::intern::intern(&[long.as_str(); 3].join(","));
        mia.speech.contacts = contacts;
        for tag in crate::language::TAGS {
            mia.speech.language = crate::language::Language::find(tag).unwrap();
            for category in ["adult", "self-harm", "phishing", "chat", "unsafe-search"] {
                let reason = listed(Tier::ChildSafety, category);
                let (_, text, length) = error_of(ASKS, &mia, &reason, 1232);
                assert!(text.contains("\"j\"") && length < 700, "{tag} {length}");
            }
        }
    }

    #[test]
    fn a_short_text_is_cut_between_characters() {
        let mut text = ShortText::default();
        write!(text, "{}ü", "x".repeat(191)).unwrap();
        assert_eq!(text.as_str().len(), 191);
    }
}
