//! One connection that many questions share: opened once, by a task of its own, so that a question
//! that has its answer from elsewhere does not end what others wait for.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fault::Fault;
use crate::clock::{Clock, Moment};

/// The connection to a server, if there is one.
#[derive(Debug)]
pub(super) struct Held<C> {
    clock: Clock,
    current: Mutex<Option<Opening<C>>>,
    /// How many were opened; each has a number.
    opened: AtomicU64,
}

/// A connection that is open or on its way.
#[derive(Debug)]
struct Opening<C> {
    number: u64,
    outcome: watch::Receiver<Option<Result<C, Fault>>>,
    heard: Heard,
}

/// When a connection was opened or last brought a reply, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Heard(Arc<AtomicU64>);

/// What a question goes out on.
#[derive(Debug)]
pub(super) struct Grip<C> {
    /// The connection.
    pub(super) connection: C,
    /// Whether it was open before: the server may have closed it meanwhile.
    pub(super) was_open: bool,
    /// To be told of replies.
    pub(super) heard: Heard,
    /// Which connection it is, for [`Held::let_go`].
    pub(super) number: u64,
}

/// Silence after which a second attempt does not trust a connection any more.
pub(super) const DOUBT: Duration = Duration::from_secs(1);

/// What can be used as long as it is alive.
pub(super) trait Alive {
    /// Whether a question can still be sent.
    fn is_alive(&self) -> bool;
}

impl Heard {
    pub(super) fn new(now: Moment) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_micros())))
    }

    /// A reply came.
    pub(super) fn note(&self, now: Moment) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Whether nothing was heard for so long that a second attempt needs another connection.
    pub(super) fn is_doubtful(&self, now: Moment) -> bool {
        now.since(Moment::from_micros(self.0.load(Ordering::Relaxed))) >= DOUBT
    }
}

impl<C: Alive + Clone + Send + Sync + 'static> Held<C> {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            current: Mutex::new(None),
            opened: AtomicU64::new(0),
        }
    }

    /// The open connection, or the one that `open` opens. `is_retry` says that an earlier attempt
    /// is still without reply.
    ///
    /// # Errors
    /// What `open` said.
    pub(super) async fn get<F>(
        &self,
        is_retry: bool,
        open: impl FnOnce() -> F,
    ) -> Result<Grip<C>, Fault>
    where
        F: Future<Output = Result<C, Fault>> + Send + 'static,
    {
        let (mut outcome, heard, number) = self.current_or(is_retry, open);
        let was_open = outcome.borrow().is_some();
        let opened = match outcome.wait_for(Option::is_some).await {
            Ok(opened) => opened.clone(),
            // Its task ended with the runtime it ran on.
            Err(_) => None,
        };
        match opened {
            Some(Ok(connection)) => Ok(Grip {
                connection,
                was_open,
                heard,
                number,
            }),
            Some(Err(fault)) => Err(fault),
            None => Err(Fault::HUNG_UP),
        }
    }

    /// Opens a connection unless there is one, and waits for nothing.
    pub(super) fn warm<F>(&self, open: impl FnOnce() -> F)
    where
        F: Future<Output = Result<C, Fault>> + Send + 'static,
    {
        drop(self.current_or(false, open));
    }

    /// Whether a second attempt would need another connection.
    pub(super) fn is_doubtful(&self) -> bool {
        let current = self.lock();
        let is_open = |opening: &&Opening<C>| opening.outcome.borrow().is_some();
        let opening = current.as_ref().filter(is_open);
        opening.is_some_and(|opening| opening.heard.is_doubtful(self.clock.now()))
    }

    /// Lets go of what failed us, so that the next question opens anew; whoever still uses it may. That
    /// it knows of its own end by now cannot be relied on.
    pub(super) fn let_go(&self, failed: u64) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|it| it.number == failed) {
            *current = None;
        }
    }

    fn current_or<F>(
        &self,
        is_retry: bool,
        open: impl FnOnce() -> F,
    ) -> (watch::Receiver<Option<Result<C, Fault>>>, Heard, u64)
    where
        F: Future<Output = Result<C, Fault>> + Send + 'static,
    {
        let now = self.clock.now();
        let mut current = self.lock();
        if let Some(opening) = &*current {
            let is_usable = match &*opening.outcome.borrow() {
                Some(Ok(connection)) => connection.is_alive(),
                Some(Err(_)) => false,
                // On its way, unless its task is gone.
                None => opening.outcome.has_changed().is_ok(),
            };
            if is_usable && !(is_retry && opening.heard.is_doubtful(now)) {
                let heard = opening.heard.clone();
                return (opening.outcome.clone(), heard, opening.number);
            }
        }
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let (tell, outcome) = watch::channel(None);
        let heard = Heard::new(now);
        let (opening, clock, when) = (open(), self.clock.clone(), heard.clone());
        tokio::spawn(async move {
            let opened = opening.await;
            when.note(clock.now());
            // Nobody listens when it was given up meanwhile.
            drop(tell.send(Some(opened)));
        });
        *current = Some(Opening {
            number,
            outcome: outcome.clone(),
            heard: heard.clone(),
        });
        (outcome, heard, number)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opening<C>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
