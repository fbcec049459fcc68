//! Questions that are asked before their answers are needed: the way down from a trust anchor has two for
//! each zone, and one after the other they would take as many round trips.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::message::{Answer, rtype};
use crate::name::{NameBuf, NameRef};

/// The answer to one of them.
pub(super) type Said<E> = Result<Answer, E>;
/// One that is being asked.
pub(super) type Asking<'a, E> = Pin<Box<dyn Future<Output = Said<E>> + Send + 'a>>;

/// Questions asked ahead, and their answers until somebody takes them.
pub(super) struct Ahead<'a, E>(Vec<Asked<'a, E>>);

struct Asked<'a, E> {
    name: NameBuf,
    qtype: u16,
    state: State<'a, E>,
}

enum State<'a, E> {
    UnderWay(Asking<'a, E>),
    Said(Said<E>),
}

/// Names whose delegations are asked for ahead; a deeper name is walked to from there.
const NAMES: usize = 6;
/// A name of so many labels that has a zone below it is most likely one itself, as `uk` and `co.uk` are.
const LIKELY_ZONES: usize = 2;

impl<'a, E> Ahead<'a, E> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether the question is asked already.
    pub(super) fn has(&self, name: NameRef<'_>, qtype: u16) -> bool {
        self.position(name, qtype).is_some()
    }

    /// Takes up a question that `asking` asks.
    pub(super) fn add(&mut self, name: NameRef<'_>, qtype: u16, asking: Asking<'a, E>) {
        self.0.push(Asked {
            name: name.into(),
            qtype,
            state: State::UnderWay(asking),
        });
    }

    /// The answer to a question, as soon as it is there; none where it was not asked.
    pub(super) async fn take(&mut self, name: NameRef<'_>, qtype: u16) -> Option<Said<E>> {
        let index = self.position(name, qtype)?;
        poll_fn(|context| {
            self.go_on(context);
            match self.0.get(index).map(|it| &it.state) {
                Some(State::UnderWay(_)) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        match self.0.swap_remove(index).state {
            State::Said(said) => Some(said),
            State::UnderWay(_) => None,
        }
    }

    /// Waits for `other`, while the questions go on.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|context| {
            self.go_on(context);
            other.as_mut().poll(context)
        })
        .await
    }

    /// All of them: they are under way side by side.
    fn go_on(&mut self, context: &mut Context<'_>) {
        for asked in &mut self.0 {
            if let State::UnderWay(asking) = &mut asked.state
                && let Poll::Ready(said) = asking.as_mut().poll(context)
            {
                asked.state = State::Said(said);
            }
        }
    }

    fn position(&self, name: NameRef<'_>, qtype: u16) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|it| it.qtype == qtype && it.name.as_ref() == name)
    }
}

/// What will be asked on the way from `start`, a zone whose keys are known, down to `name`; `is_zone` says
/// whether somebody says that it is a zone, who signed for it. For a name nobody signed it goes as far
/// as delegations usually do.
pub(super) fn on_the_way(
    start: NameRef<'_>,
    name: NameRef<'_>,
    is_zone: bool,
) -> Vec<(NameBuf, u16)> {
    let end = if is_zone {
        name
    } else {
        name.registrable_guess()
    };
    let down: Vec<NameRef<'_>> = end.suffixes().collect();
    let down = down.into_iter().rev().skip(start.label_count());
    let mut questions = Vec::new();
    for below in down.take(NAMES) {
        questions.push((below.into(), rtype::DS));
        let is_last = below == end;
        if is_last && is_zone || !is_last && below.label_count() <= LIKELY_ZONES {
            questions.push((below.into(), rtype::DNSKEY));
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They stood still while the walk waited for something else.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_ahead_goes_on_while_something_else_is_waited_for() {
        let mut ahead: Ahead<'_, &str> = Ahead::new();
        let (tell, heard) = tokio::sync::oneshot::channel();
        let asking = async move {
            tell.send(()).unwrap();
            Err("no answer")
        };
        ahead.add(NameRef::ROOT, rtype::DNSKEY, Box::pin(asking));
        // Time passes as soon as nothing else happens.
        let patience = std::time::Duration::from_secs(1);
        let beside = tokio::time::timeout(patience, ahead.beside(heard)).await;
        assert_eq!(beside, Ok(Ok(())), "what is asked ahead goes on");
        let said = ahead.take(NameRef::ROOT, rtype::DNSKEY).await;
        assert_eq!(said.unwrap().unwrap_err(), "no answer");
    }

    #[test]
    fn what_is_asked_on_the_way() {
        let asked = |start: &str, name: &str, is_zone| -> Vec<String> {
            let parse = |text: &str| NameBuf::parse(text).unwrap();
            let questions = on_the_way(parse(start).as_ref(), parse(name).as_ref(), is_zone);
            let text = |(name, kind): &(NameBuf, u16)| {
                let kind = if *kind == rtype::DS { "DS" } else { "KEY" };
                format!("{} {kind}", name.as_ref())
            };
            questions.iter().map(text).collect()
        };
        let all = ["test DS", "test KEY", "example.test DS", "example.test KEY"];
        assert_eq!(asked(".", "example.test", true), all);
        assert_eq!(asked(".", "a.b.example.test", false), all[..3]);
        assert_eq!(asked("test", "example.test", true), all[2..]);
        assert_eq!(asked("example.test", "example.test", true), [""; 0]);
        assert_eq!(asked("example.test", "www.example.test", false), [""; 0]);
        assert_eq!(asked(".", "test", false), ["test DS"]);
        let deep = vec!["a"; 40].join(".");
        assert_eq!(asked(".", &deep, true).len(), NAMES + LIKELY_ZONES);
    }
}
