//! The way from a trust anchor down to what an answer holds, and the verdict on it.

use std::sync::Arc;
use std::time::Duration;

use super::ahead::{self, Ahead};
use super::anchors::Kind;
use super::denial::{self, Below, Denial, NSEC, NSEC3, Proof};
use super::effort::{DS_PER_ZONE, Effort, KEYS_PER_TAG, SIGNATURES_PER_SET, Spent};
use super::fault::{Fault, Flaw};
use super::key::{Ds, Key, that_count};
use super::points::{Context, Point};
use super::rrset::{self, Rrset, Rrsig};
use super::{Dates, Fetch, Judged, Memory, SKEW, Stop, Validator, crypto};
use crate::message::{Answer, Question, rcode, rtype};
use crate::name::{NameBuf, NameRef};

/// Links of an alias; the same as where answers are read.
const MAX_LINKS: usize = 17;
/// The longest that what was found out on the way is kept.
const LONGEST: u32 = 86_400;
/// How long a proof without a TTL of its own is kept, and whatever was found out without a time.
const SHORT: u32 = 60;
/// Extended DNS Errors of what is insecure for want of something here (RFC 8914, RFC 9276).
const EDE_ALGORITHM: u16 = 1;
const EDE_DIGEST: u16 = 2;
const EDE_ITERATIONS: u16 = 27;

/// One check.
pub(super) struct Walk<'a, F: Fetch> {
    validator: &'a Validator,
    fetch: &'a F,
    /// Whose resolvers are asked.
    via: u8,
    memory: Memory,
    /// What dates are held against.
    dates: Dates,
    effort: Effort,
    ceiling: u32,
    is_secure: bool,
    note: Option<u16>,
    /// What of the authority section was right, by its place in the message.
    proofs: Vec<usize>,
    /// What is asked already.
    ahead: Ahead<'a, F::Error>,
}

/// Where a name lies.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and not for long"
)]
enum Place {
    /// In a zone with these keys.
    Zone(NameBuf, Arc<[Key]>),
    /// Where nothing is signed.
    Unsigned(Option<u16>),
}

/// A signature was right.
struct Verified {
    /// Seconds for which that holds.
    ttl: u32,
    /// The records came out of the wildcard below this name.
    encloser: Option<NameBuf>,
}

type Outcome<T, F> = Result<T, Stop<<F as Fetch>::Error>>;

impl<'a, F: Fetch> Walk<'a, F> {
    pub(super) const fn new(
        validator: &'a Validator,
        fetch: &'a F,
        memory: Memory,
        dates: Dates,
    ) -> Self {
        Self {
            validator,
            fetch,
            via: 0,
            memory,
            dates,
            effort: Effort::new(),
            ceiling: u32::MAX,
            is_secure: true,
            note: None,
            proofs: Vec::new(),
            ahead: Ahead::new(),
        }
    }

    pub(super) const fn signatures_checked(&self) -> u32 {
        self.effort.signatures_checked()
    }

    /// The verdict: along the aliases, link by link.
    pub(super) async fn judge(
        &mut self,
        answer: &Answer,
        question: &Question,
    ) -> Outcome<Judged, F> {
        self.via = question.via;
        if question.qtype == rtype::RRSIG {
            // Signatures are not signed.
            return Ok(Judged {
                is_secure: false,
                proofs: Vec::new(),
                note: None,
                ceiling: u32::MAX,
            });
        }
        let sets = read(answer, question.qname.as_ref(), question.qtype)?;
        let mut name = question.qname;
        // Those of the answer section that were checked, or follow from one that was.
        let mut seen = Vec::new();
        for _ in 0..MAX_LINKS {
            let at = |kind, owner: NameBuf| {
                let mut sets = sets.iter().filter(|it| it.is_answer);
                sets.find(|it| it.rtype == kind && it.owner == owner)
            };
            if let Some(set) = at(question.qtype, name) {
                self.check(set, &sets).await?;
                seen.push((set.owner, set.rtype));
                self.is_all(&sets, &seen)?;
                if self.is_secure && answer.rcode() != rcode::NOERROR {
                    return Err(fault(Flaw::Bogus, name.as_ref(), question.qtype));
                }
                return Ok(self.judged(&sets));
            }
            let Some(alias) = at(rtype::CNAME, name) else {
                self.check_absence(name, question.qtype, answer.rcode(), &sets)
                    .await?;
                self.is_all(&sets, &seen)?;
                return Ok(self.judged(&sets));
            };
            let target = name_in(alias);
            let renaming = sets
                .iter()
                .filter(|it| it.is_answer && it.rtype == rtype::DNAME);
            // What lies above a trust anchor has no say in what lies below.
            let above = self.validator.anchors.above(name.as_ref());
            let anchor = above.map_or(NameRef::ROOT, |(anchor, _)| anchor);
            let renaming = renaming
                .filter(|it| name != it.owner && name.as_ref().is_within(it.owner.as_ref()))
                .filter(|it| it.owner.as_ref().is_within(anchor))
                .max_by_key(|it| it.owner.as_ref().label_count());
            match renaming {
                // Made of the DNAME by whoever answered, and so not signed (RFC 6672 section 5.3.1).
                Some(renaming) if alias.signatures.is_empty() => {
                    self.check(renaming, &sets).await?;
                    seen.push((renaming.owner, renaming.rtype));
                    if target.is_none() || renamed(name.as_ref(), renaming) != target {
                        return Err(fault(Flaw::Bogus, name.as_ref(), rtype::CNAME));
                    }
                }
                _ => self.check(alias, &sets).await?,
            }
            seen.push((alias.owner, alias.rtype));
            name = target.ok_or_else(|| fault(Flaw::Bogus, name.as_ref(), rtype::CNAME))?;
        }
        Err(fault(
            Flaw::Indeterminate,
            question.qname.as_ref(),
            question.qtype,
        ))
    }

    /// Whether the answer section holds nothing but what was `seen`: what nobody checked must not be
    /// handed out among what was.
    fn is_all(&self, sets: &[Rrset], seen: &[(NameBuf, u16)]) -> Outcome<(), F> {
        let mut others = sets.iter().filter(|it| {
            it.is_answer && !seen.contains(&(it.owner, it.rtype)) && it.rtype != rtype::RRSIG
        });
        match others.next().filter(|_| self.is_secure) {
            Some(stray) => Err(fault(Flaw::Bogus, stray.owner.as_ref(), stray.rtype)),
            None => Ok(()),
        }
    }

    fn judged(&self, sets: &[Rrset]) -> Judged {
        let is_right = |set: &Rrset| self.proofs.contains(&set.index);
        let mut proofs = Vec::new();
        for set in sets.iter().filter(|it| is_right(it)) {
            let is_same = |it: &&Rrset| {
                (it.owner, it.rtype, it.is_answer) == (set.owner, set.rtype, set.is_answer)
            };
            let kind = (set.owner, set.rtype);
            if !proofs.contains(&kind) && sets.iter().filter(is_same).all(is_right) {
                proofs.push(kind);
            }
        }
        Judged {
            is_secure: self.is_secure,
            proofs,
            note: self.note,
            ceiling: self.ceiling.min(self.longest()),
        }
    }

    /// The longest that something may be kept: it is looked at again once there is a time.
    const fn longest(&self) -> u32 {
        if self.dates.is_known { u32::MAX } else { SHORT }
    }

    fn note_insecure(&mut self, note: Option<u16>) {
        self.is_secure = false;
        self.note = self.note.or(note);
    }

    /// Checks one RRset of the answer section.
    async fn check(&mut self, set: &Rrset, all: &[Rrset]) -> Outcome<(), F> {
        let signers = set.signers().map(|it| (it, true)).collect();
        let (zone, keys) = match self.place_of(set.owner, set.rtype, signers).await? {
            Place::Unsigned(note) => {
                self.note_insecure(note);
                return Ok(());
            }
            Place::Zone(zone, keys) => (zone, keys),
        };
        let verified = self.verify(set, zone.as_ref(), &keys).await?;
        self.ceiling = self.ceiling.min(verified.ttl);
        let Some(encloser) = verified.encloser else {
            return Ok(());
        };
        let (proofs, why) = self.right_proofs(zone.as_ref(), &keys, all).await?;
        let mut denial = Denial::new(zone.as_ref(), &proofs);
        let owner = set.owner.as_ref();
        let proof = denial.no_closer(owner, encloser.as_ref(), &mut self.effort);
        self.conclude(proof, why, owner, set.rtype)
    }

    /// Checks that there is nothing at `name`, the end of the alias.
    async fn check_absence(
        &mut self,
        name: NameBuf,
        qtype: u16,
        code: u16,
        all: &[Rrset],
    ) -> Outcome<(), F> {
        let authority = || {
            all.iter()
                .filter(|it| !it.is_answer && is_of_absence(it.rtype))
        };
        let signers = || authority().flat_map(Rrset::signers);
        // Who does not sign says by this where the zone begins.
        let soas = authority().filter(|it| it.rtype == rtype::SOA);
        let soas = soas.map(|it| (it.owner, false));
        let zones = signers().map(|it| (it, true)).chain(soas).collect();
        let place = match self.place_of(name, qtype, zones).await {
            Err(Stop::Fault(fault)) if fault.flaw == Flaw::SignatureMissing => {
                return Err(self::fault(Flaw::ProofMissing, name.as_ref(), qtype));
            }
            other => other?,
        };
        let (zone, keys) = match place {
            Place::Unsigned(note) => {
                self.note_insecure(note);
                return Ok(());
            }
            Place::Zone(zone, keys) => (zone, keys),
        };
        if !signers().any(|it| it == zone) {
            return Err(fault(Flaw::ProofMissing, name.as_ref(), qtype));
        }
        // It says how long the "no" holds.
        for soa in authority().filter(|it| it.rtype == rtype::SOA && it.owner == zone) {
            let verified = self.verify(soa, zone.as_ref(), &keys).await?;
            self.proofs.push(soa.index);
            self.ceiling = self.ceiling.min(verified.ttl);
        }
        let (proofs, why) = self.right_proofs(zone.as_ref(), &keys, all).await?;
        let mut denial = Denial::new(zone.as_ref(), &proofs);
        let proof = match code {
            rcode::NXDOMAIN => denial.no_name(name.as_ref(), &mut self.effort),
            _ => denial.no_data(name.as_ref(), qtype, &mut self.effort),
        };
        self.conclude(proof, why, name.as_ref(), qtype)
    }

    /// What a proof is good for; `why` is what was wrong with the records it would have been made of.
    fn conclude(
        &mut self,
        proof: Result<Proof, Spent>,
        why: Option<Fault>,
        name: NameRef<'_>,
        qtype: u16,
    ) -> Outcome<(), F> {
        match proof {
            Ok(Proof::Holds) => Ok(()),
            Ok(Proof::OptOut) => {
                self.note_insecure(None);
                Ok(())
            }
            Ok(Proof::TooManyIterations) => {
                self.note_insecure(Some(EDE_ITERATIONS));
                Ok(())
            }
            Ok(Proof::Missing) => Err(why
                .map(Stop::Fault)
                .unwrap_or_else(|| fault(Flaw::ProofMissing, name, qtype))),
            Err(Spent) => Err(fault(Flaw::TooCostly, name, qtype)),
        }
    }

    /// The NSEC and NSEC3 records of `zone` that are right; and what is wrong with the first other.
    async fn right_proofs<'s>(
        &mut self,
        zone: NameRef<'_>,
        keys: &[Key],
        all: &'s [Rrset],
    ) -> Outcome<(Vec<&'s Rrset>, Option<Fault>), F> {
        let mut right = Vec::new();
        let mut wrong = None;
        for set in all
            .iter()
            .filter(|it| !it.is_answer && matches!(it.rtype, NSEC | NSEC3))
        {
            match self.verify(set, zone, keys).await {
                // One that came out of a wildcard says nothing of the name it is shown for.
                Ok(Verified {
                    encloser: Some(_), ..
                }) => {}
                Ok(verified) => {
                    self.ceiling = self.ceiling.min(verified.ttl);
                    self.proofs.push(set.index);
                    right.push(set);
                }
                Err(Stop::Fault(fault)) if fault.flaw != Flaw::TooCostly => {
                    wrong.get_or_insert(fault);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok((right, wrong))
    }

    /// Where records at `owner` lie: in the deepest zone of `zones`, which are said to be some, by a
    /// signature or without one; if none of them is, where they would lie.
    async fn place_of(
        &mut self,
        owner: NameBuf,
        kind: u16,
        mut zones: Vec<(NameBuf, bool)>,
    ) -> Outcome<Place, F> {
        let validator = self.validator;
        // The parent's, and so is the zone it lies in, and what is trusted or not.
        let lies_in = match owner.as_ref().parent() {
            Some(parent) if kind == rtype::DS => parent.into(),
            _ => owner,
        };
        let Some((anchor, Kind::Keys(_))) = validator.anchors.above(lies_in.as_ref()) else {
            return Ok(Place::Unsigned(None));
        };
        zones.retain(|(zone, _)| {
            let zone = zone.as_ref();
            lies_in.as_ref().is_within(zone) && zone.is_within(anchor)
        });
        let depth = |zone: &NameBuf| std::cmp::Reverse(zone.as_ref().label_count());
        zones.sort_by_key(|(zone, signs)| (depth(zone), !signs));
        let mut signers = zones.iter().filter(|(_, signs)| *signs);
        let deepest = signers.next().map(|(zone, _)| *zone);
        zones.dedup_by_key(|(zone, _)| *zone);
        for (said, signs) in zones {
            match self.zone_of(said, signs).await? {
                // It is none.
                Place::Zone(zone, _) if zone != said => {}
                place => return Ok(place),
            }
        }
        match (self.zone_of(lies_in, false).await?, deepest) {
            (unsigned @ Place::Unsigned(_), _) => Ok(unsigned),
            (_, Some(signer)) => Err(fault(Flaw::KeyMissing, signer.as_ref(), rtype::DNSKEY)),
            (_, None) => Err(fault(Flaw::SignatureMissing, owner.as_ref(), kind)),
        }
    }

    /// The deepest zone above `name` that is signed, or that it lies where nothing is; `is_zone` says
    /// whether it is one by what somebody says who signed for it.
    async fn zone_of(&mut self, name: NameBuf, is_zone: bool) -> Outcome<Place, F> {
        let validator = self.validator;
        let Some((anchor, Kind::Keys(keys))) = validator.anchors.above(name.as_ref()) else {
            return Ok(Place::Unsigned(None));
        };
        let now = validator.clock.now();
        let mut start = None;
        let mut is_bogus = false;
        for known in name
            .as_ref()
            .suffixes()
            .take_while(|it| it.is_within(anchor))
        {
            match validator.points.find(known, self.context(), now) {
                Some(Point::Zone(keys)) => {
                    start = Some((NameBuf::from(known), keys));
                    break;
                }
                Some(Point::Unsigned(note)) => return Ok(Place::Unsigned(note)),
                Some(Point::Bogus(_)) => is_bogus = true,
                _ => {}
            }
        }
        if !is_bogus {
            if start.is_none() {
                self.ask_ahead(anchor, rtype::DNSKEY);
            }
            let start = start.as_ref().map_or(anchor, |(zone, _)| zone.as_ref());
            for (below, qtype) in ahead::on_the_way(start, name.as_ref(), is_zone) {
                let known = validator.points.find(below.as_ref(), self.context(), now);
                if known.is_none() {
                    self.ask_ahead(below.as_ref(), qtype);
                }
            }
        }
        let (mut zone, mut keys) = match start {
            Some(start) => start,
            None => match self.point_of_anchor(anchor, keys).await? {
                Point::Zone(keys) => (anchor.into(), keys),
                _ => return Ok(Place::Unsigned(Some(EDE_ALGORITHM))),
            },
        };
        let depth = zone.as_ref().label_count();
        let longer: Vec<NameRef<'_>> = name.as_ref().suffixes().collect();
        let longer = longer.iter().rev().skip(depth);
        for child in longer {
            match self.point_below(zone.as_ref(), &keys, *child).await? {
                Point::Zone(its) => (zone, keys) = (NameBuf::from(*child), its),
                Point::Unsigned(note) => return Ok(Place::Unsigned(note)),
                Point::Inside => {}
                Point::Nothing => break,
                Point::Bogus(fault) => return Err(Stop::Fault(fault)),
            }
        }
        Ok(Place::Zone(zone, keys))
    }

    /// The keys of a zone that is trusted by configuration.
    async fn point_of_anchor(&mut self, zone: NameRef<'_>, ds: &[Ds]) -> Outcome<Point, F> {
        if let Some(known) = self.known(zone)? {
            return Ok(known);
        }
        if ds.is_empty() {
            return Ok(Point::Unsigned(Some(EDE_ALGORITHM)));
        }
        let found = self.keys_of(zone, ds).await;
        self.learn(zone, found)
    }

    /// What `child` is to `zone`, which lies directly above it or further up without a cut between.
    async fn point_below(
        &mut self,
        zone: NameRef<'_>,
        keys: &[Key],
        child: NameRef<'_>,
    ) -> Outcome<Point, F> {
        if let Some(known) = self.known(child)? {
            return Ok(known);
        }
        let found = self.look_below(zone, keys, child).await;
        self.learn(child, found)
    }

    /// For whom, and by which time, what is found out holds.
    const fn context(&self) -> Context {
        Context {
            via: self.via,
            generation: self.dates.generation,
            is_dated: self.dates.is_known,
        }
    }

    /// What was found out about `name` before.
    fn known(&self, name: NameRef<'_>) -> Outcome<Option<Point>, F> {
        let validator = self.validator;
        match validator
            .points
            .find(name, self.context(), validator.clock.now())
        {
            Some(Point::Bogus(_)) if self.memory == Memory::Doubted => Ok(None),
            Some(Point::Bogus(fault)) => Err(Stop::Fault(fault)),
            other => Ok(other),
        }
    }

    /// Keeps what was found out about `name`, for as long as it said.
    fn learn(&self, name: NameRef<'_>, found: Outcome<(Point, u32), F>) -> Outcome<Point, F> {
        let points = &self.validator.points;
        let now = self.validator.clock.now();
        let (point, ttl) = match found {
            Ok(found) => found,
            Err(stop) => {
                // What one query could not pay for another can.
                if let Stop::Fault(fault) = &stop
                    && !matches!(fault.flaw, Flaw::TooCostly | Flaw::Indeterminate)
                {
                    points.keep_bogus(name, self.context(), fault.clone(), now);
                }
                return Err(stop);
            }
        };
        let seconds = Duration::from_secs(ttl.min(LONGEST).min(self.longest()).into());
        points.keep(name, self.context(), point.clone(), now.after(seconds));
        Ok(point)
    }

    async fn look_below(
        &mut self,
        zone: NameRef<'_>,
        keys: &[Key],
        child: NameRef<'_>,
    ) -> Outcome<(Point, u32), F> {
        let answer = self.fetch(child, rtype::DS).await?;
        let sets = read(&answer, child, rtype::DS)?;
        let at_child = |kind| {
            let mut sets = sets.iter().filter(|it| it.is_answer);
            sets.find(|it| it.rtype == kind && it.owner.as_ref() == child)
        };
        if let Some(set) = at_child(rtype::DS) {
            let verified = self.verify(set, zone, keys).await?;
            if verified.encloser.is_some() {
                return Err(fault(Flaw::Bogus, child, rtype::DS));
            }
            let all: Vec<Ds> = set.data.iter().filter_map(|data| Ds::read(data)).collect();
            let knows_algorithm = all.iter().any(|it| crypto::knows_algorithm(it.algorithm));
            let ds = that_count(all);
            if ds.is_empty() {
                let note = if knows_algorithm {
                    EDE_DIGEST
                } else {
                    EDE_ALGORITHM
                };
                return Ok((Point::Unsigned(Some(note)), verified.ttl));
            }
            let (point, ttl) = self.keys_of(child, &ds).await?;
            return Ok((point, ttl.min(verified.ttl)));
        }
        let ttl = answer.ttl().unwrap_or(SHORT);
        if let Some(alias) = at_child(rtype::CNAME) {
            // No zone begins at an alias. One that a DNAME made is not signed, but the DNAME is.
            let renames = |it: &&Rrset| it.rtype == rtype::DNAME && it.is_answer;
            let renaming = sets.iter().find(renames);
            let signed = renaming.filter(|_| alias.signatures.is_empty());
            let verified = self.verify(signed.unwrap_or(alias), zone, keys).await?;
            return Ok((Point::Inside, ttl.min(verified.ttl)));
        }
        let before = (
            std::mem::replace(&mut self.ceiling, u32::MAX),
            self.proofs.len(),
        );
        let proofs = self.right_proofs(zone, keys, &sets).await;
        let ttl = ttl.min(std::mem::replace(&mut self.ceiling, before.0));
        // Those are of another message.
        self.proofs.truncate(before.1);
        let (proofs, why) = proofs?;
        let mut denial = Denial::new(zone, &proofs);
        let point = match denial.child(child, &mut self.effort) {
            Ok(Below::Unsigned) => Point::Unsigned(None),
            Ok(Below::TooManyIterations) => Point::Unsigned(Some(EDE_ITERATIONS)),
            Ok(Below::Inside) => Point::Inside,
            Ok(Below::Nothing) => Point::Nothing,
            Ok(Below::Unproved) => {
                let missing = || fault(Flaw::ProofMissing, child, rtype::DS);
                return Err(why.map_or_else(missing, Stop::Fault));
            }
            Err(Spent) => return Err(fault(Flaw::TooCostly, child, rtype::DS)),
        };
        Ok((point, ttl))
    }

    /// The keys of `zone`, of which `ds` were vouched for.
    async fn keys_of(&mut self, zone: NameRef<'_>, ds: &[Ds]) -> Outcome<(Point, u32), F> {
        let answer = self.fetch(zone, rtype::DNSKEY).await?;
        let sets = read(&answer, zone, rtype::DNSKEY)?;
        let mut its = sets
            .iter()
            .filter(|it| it.is_answer && it.owner.as_ref() == zone);
        let missing = |flaw| fault(flaw, zone, rtype::DNSKEY);
        let set = its.find(|it| it.rtype == rtype::DNSKEY);
        let set = set.ok_or_else(|| missing(Flaw::KeyMissing))?;
        let keys: Vec<Key> = set.data.iter().filter_map(|data| Key::read(data)).collect();
        let mut flaw = Flaw::KeyMissing;
        let mut vouched: Vec<Key> = Vec::new();
        // Those of keys that are not there cost nothing, and hide none that is.
        let that_mean = ds
            .iter()
            .filter(|ds| keys.iter().any(|key| ds.may_mean(key)));
        for ds in that_mean.take(DS_PER_ZONE) {
            let meant = keys
                .iter()
                .filter(|key| ds.may_mean(key))
                .take(KEYS_PER_TAG);
            for key in meant.filter(|key| ds.means(key, zone)) {
                if !key.may_sign() {
                    flaw = Flaw::NoZoneKey;
                } else if !key.is_revoked() && !vouched.contains(key) {
                    vouched.push(key.clone());
                }
            }
        }
        if vouched.is_empty() {
            return Err(missing(flaw));
        }
        // Keys too large to be checked are no other case than algorithms that are not known (RFC 4035 section
        // 5.2): the parent vouches for them and for no others, so that nobody else can say so. Who hides
        // one that can be checked does not get away with it, and one too large beside it changes nothing.
        if !vouched.iter().any(Key::is_known) {
            if !ds
                .iter()
                .all(|ds| vouched.iter().any(|key| ds.may_mean(key)))
            {
                return Err(missing(Flaw::KeyMissing));
            }
            return Ok((Point::Unsigned(Some(EDE_ALGORITHM)), set.ttl.min(SHORT)));
        }
        let verified = self.verify(set, zone, &vouched).await?;
        let of_use = |key: &Key| key.may_sign() && !key.is_revoked() && key.is_known();
        let keys: Vec<Key> = keys.into_iter().filter(of_use).collect();
        Ok((Point::Zone(keys.into()), verified.ttl))
    }

    /// Has a question asked that will be needed, if there is room for it.
    fn ask_ahead(&mut self, name: NameRef<'_>, qtype: u16) {
        let is_asked = self.ahead.has(name, qtype);
        if !is_asked && self.effort.can_ask_ahead() && self.effort.send().is_ok() {
            let asking = self.fetch.fetch(question(name, qtype));
            self.ahead.add(name, qtype, Box::pin(asking));
        }
    }

    async fn fetch(&mut self, name: NameRef<'_>, qtype: u16) -> Outcome<Answer, F> {
        if let Some(said) = self.ahead.take(name, qtype).await {
            return said.map_err(Stop::Fetch);
        }
        let spent = |Spent| fault(Flaw::Indeterminate, name, qtype);
        self.effort.send().map_err(spent)?;
        let asking = self.fetch.fetch(question(name, qtype));
        let said = self.ahead.beside(asking).await;
        said.map_err(Stop::Fetch)
    }

    /// Whether trust begins at `zone`.
    fn is_anchor(&self, zone: NameRef<'_>) -> bool {
        let above = self.validator.anchors.above(zone);
        above.is_some_and(|(anchor, kind)| anchor == zone && matches!(kind, Kind::Keys(_)))
    }

    /// Checks the signatures of `set` by `zone` until one is right.
    async fn verify(
        &mut self,
        set: &Rrset,
        zone: NameRef<'_>,
        keys: &[Key],
    ) -> Outcome<Verified, F> {
        let owner = set.owner.as_ref();
        let too_costly = |Spent| fault(Flaw::TooCostly, owner, set.rtype);
        let is_wildcard = owner.labels().next() == Some(b"*");
        let labels = owner.label_count() - usize::from(is_wildcard);
        // The most telling of what was wrong with each.
        let mut flaw = Flaw::SignatureMissing;
        let mut worse = |found: Flaw| {
            if weight(found) > weight(flaw) {
                flaw = found;
            }
        };
        if !owner.is_within(zone) {
            return Err(fault(Flaw::Bogus, owner, set.rtype));
        }
        let is_past = |it: &&Rrsig| is_before(it.expiration.wrapping_add(SKEW), self.dates.now);
        let by_zone = set.signatures.iter();
        let by_zone = by_zone.filter(|it| it.signer.as_ref() == zone);
        let mut by_zone: Vec<&Rrsig> = by_zone.take(SIGNATURES_PER_SET).collect();
        // What may still hold comes first: an old one beside it costs nothing and says nothing.
        by_zone.sort_by_key(is_past);
        let tells_all = self.is_anchor(zone) && set.rtype == rtype::DNSKEY;
        let mut ended = None;
        for signature in by_zone {
            if usize::from(signature.labels) > labels {
                worse(Flaw::Bogus);
                continue;
            }
            if !crypto::knows_algorithm(signature.algorithm) {
                continue;
            }
            let Dates { now, ahead, .. } = self.dates;
            let is_over = is_before(signature.expiration.wrapping_add(SKEW), now);
            if is_over {
                worse(Flaw::Expired);
                // Looked at all the same where trust begins: nobody signs there too late, so that the clock
                // is ahead if it is right.
                if !tells_all {
                    continue;
                }
            }
            let is_early = is_before(now.wrapping_add(SKEW), signature.inception);
            // Nobody but the clock can be behind then.
            let tells_time = is_early && ahead != Some(SKEW) && self.is_anchor(zone);
            let is_too_early =
                ahead.is_some_and(|it| is_before(now.wrapping_add(it), signature.inception));
            if is_too_early && !tells_time {
                worse(Flaw::NotYetValid);
                continue;
            }
            // Fewer labels than the owner has: out of a wildcard (RFC 4035 section 5.3.2).
            let missing = labels - usize::from(signature.labels);
            let encloser = (missing > 0).then(|| {
                let mut above = owner.suffixes().skip(usize::from(is_wildcard) + missing);
                NameBuf::from(above.next().unwrap_or(NameRef::ROOT))
            });
            let written = encloser.and_then(|it| denial::wildcard_of(it.as_ref()));
            if encloser.is_some() && written.is_none() {
                worse(Flaw::Bogus);
                continue;
            }
            let written = written.unwrap_or(set.owner);
            let made = |key: &&Key| {
                key.tag == signature.tag && key.algorithm == signature.algorithm && key.may_sign()
            };
            let mut data = None;
            for key in keys.iter().filter(made).take(KEYS_PER_TAG) {
                self.effort.check_signature().map_err(too_costly)?;
                let data = data.get_or_insert_with(|| set.signed_data(signature, written.as_ref()));
                let is_right = key.signed(data, &signature.signature);
                // A check costs what hundreds of answers cost; they have their turn in between.
                self.ahead.beside(tokio::task::yield_now()).await;
                if is_right && is_over {
                    ended = Some(signature.expiration);
                    break;
                }
                if is_right {
                    if tells_all {
                        self.validator.note_in_force();
                    }
                    if tells_time {
                        self.validator
                            .note_inception(signature.inception, &self.dates);
                        self.dates = self.validator.dates();
                    }
                    let left = signature.expiration.wrapping_sub(now);
                    // Past it by less than the skew.
                    let left = if left > u32::MAX / 2 { 1 } else { left.max(1) };
                    return Ok(Verified {
                        ttl: set.ttl.min(signature.original_ttl).min(left),
                        encloser,
                    });
                }
                self.effort.note_failure().map_err(too_costly)?;
                worse(Flaw::Bogus);
            }
            if data.is_none() {
                worse(Flaw::KeyMissing);
            }
        }
        if let Some(expiration) = ended {
            self.validator.note_end(expiration, &self.dates);
        }
        Err(fault(flaw, owner, set.rtype))
    }
}

/// The question for a key or a delegation.
fn question(name: NameRef<'_>, qtype: u16) -> Question {
    Question {
        qname: name.into(),
        qtype,
        dnssec_ok: true,
        checking_disabled: true,
        via: 0,
    }
}

/// Which of several flaws is told.
const fn weight(flaw: Flaw) -> u8 {
    match flaw {
        Flaw::SignatureMissing => 0,
        Flaw::KeyMissing => 1,
        Flaw::NotYetValid => 2,
        Flaw::Expired => 3,
        _ => 4,
    }
}

/// Whether `left` is before `right`, as serial numbers are compared (RFC 1982 section 3.2).
const fn is_before(left: u32, right: u32) -> bool {
    (left.wrapping_sub(right) as i32) < 0
}

/// Whether records of this type say that something is not there.
const fn is_of_absence(kind: u16) -> bool {
    matches!(kind, NSEC | NSEC3 | rtype::SOA)
}

fn fault<E>(flaw: Flaw, owner: NameRef<'_>, kind: u16) -> Stop<E> {
    Stop::Fault(Fault::new(flaw, owner, kind))
}

/// The RRsets of an answer; what cannot be read cannot be checked.
fn read<E>(answer: &Answer, qname: NameRef<'_>, qtype: u16) -> Result<Vec<Rrset>, Stop<E>> {
    rrset::sets(answer).map_err(|_| fault(Flaw::Indeterminate, qname, qtype))
}

/// The name in the first record, whose data is one.
fn name_in(set: &Rrset) -> Option<NameBuf> {
    // Two aliases of one name are none (RFC 2181 section 10.1).
    let [data] = &*set.data else {
        return None;
    };
    NameBuf::read_wire(data).ok().map(|(name, _)| name)
}

/// What `renaming`, a DNAME, makes of `name` (RFC 6672 section 2.2).
fn renamed(name: NameRef<'_>, renaming: &Rrset) -> Option<NameBuf> {
    let target = name_in(renaming)?;
    let kept = name.as_wire().len() - renaming.owner.as_ref().as_wire().len();
    let wire = [&name.as_wire()[..kept], target.as_ref().as_wire()].concat();
    NameBuf::read_wire(&wire).ok().map(|(name, _)| name)
}
