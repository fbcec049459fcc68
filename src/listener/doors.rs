//! Doors that are opened again.
//!
//! What serves a door may end: its socket cannot be read any more, or a fault of ours or of a library ends
//! the task. Then the door is opened again, at once at first and after longer and longer pauses while that
//! does not help, and [`Closed`] says so meanwhile.
//!
//! It is the same socket each time. A new one could not be bound: its port may be one for which a right is
//! needed that was given up after the start, and whatever the kernel said of a socket it says once.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// The first pause before a door is opened again, which is doubled until the last.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// The doors that are closed now, and why.
#[derive(Debug, Default)]
pub struct Closed(Mutex<BTreeMap<String, String>>);

impl Closed {
    /// What somebody should know, a sentence for each.
    pub fn warnings(&self) -> Vec<String> {
        let closed = self.closed();
        let warnings = closed.iter();
        warnings
            .map(|(door, why)| format!("{door} is closed and will be opened again: {why}"))
            .collect()
    }

    fn closed(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves `door` by what `open` gives, again whenever that ended, until the task is dropped.
pub(super) async fn keep_open<F>(door: String, closed: &Closed, mut open: impl FnMut() -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut pause = PAUSE;
    loop {
        let opened = Instant::now();
        // A task of its own, so that a panic in it ends nothing else; it ends with this one.
        let mut serving = JoinSet::new();
        serving.spawn(open());
        // There is nothing to say before it is known whether it stays open.
        let ended = tokio::select! {
            ended = serving.join_next() => ended,
            () = sleep(PAUSE), if closed.closed().contains_key(&door) => {
                closed.closed().remove(&door);
                info!(door, "opened again");
                serving.join_next().await
            }
        };
        if opened.elapsed() >= LONGEST {
            pause = PAUSE;
        }
        let why = why(ended);
        warn!(door, why, again_in = ?pause, "one way of encrypted DNS is closed");
        closed.closed().insert(door.clone(), why);
        sleep(pause).await;
        pause = LONGEST.min(pause * 2);
    }
}

/// Why a task ended that should not.
fn why(ended: Option<Result<io::Result<()>, JoinError>>) -> String {
    match ended {
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(error)) if error.is_panic() => "it broke".to_owned(),
        _ => "it ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A socket of QUIC that was gone was once told of in the log, and stayed so until a restart.
    #[tokio::test(start_paused = true)]
    async fn a_door_is_opened_again_after_longer_and_longer_pauses() {
        let closed = Arc::new(Closed::default());
        let opened: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let start = Instant::now();
        let keeping = {
            let (closed, opened) = (Arc::clone(&closed), Arc::clone(&opened));
            async move {
                let open = || {
                    let mut opened = opened.lock().unwrap();
                    opened.push(start.elapsed());
                    let times = opened.len();
                    async move {
                        match times {
                            1 => panic!("as a library might"),
                            // It serves for a while.
                            10 => sleep(2 * LONGEST).await,
                            12 => std::future::pending().await,
                            _ => {}
                        }
                        Err(io::Error::other("the socket is gone"))
                    }
                };
                keep_open("doq at 192.0.2.1:853".to_owned(), &closed, open).await;
            }
        };
        let keeping = tokio::spawn(keeping);
        let seconds = |moments: &[Duration]| -> Vec<u64> {
            let pairs = moments.windows(2);
            pairs.map(|it| (it[1] - it[0]).as_secs()).collect()
        };
        sleep(PAUSE / 2).await;
        let said = "doq at 192.0.2.1:853 is closed and will be opened again: ";
        assert_eq!(closed.warnings(), [format!("{said}it broke")]);
        sleep(PAUSE).await;
        assert_eq!(closed.warnings(), [format!("{said}the socket is gone")]);
        // 1 + 2 + 4 + 8 + 16 + 32 + 3 * 60 seconds, and it stays open for a while.
        sleep(Duration::from_secs(245)).await;
        assert!(closed.warnings().is_empty());
        sleep(3 * LONGEST).await;
        assert!(closed.warnings().is_empty(), "it is open");
        let pauses = seconds(&opened.lock().unwrap());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 121, 2]);
        keeping.abort();
    }

    /// What served a door must not go on beside what serves it next, or without it.
    #[tokio::test]
    async fn nothing_is_served_when_a_door_is_kept_no_more() {
        struct Count(Arc<AtomicU32>);
        impl Drop for Count {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let ended = Arc::new(AtomicU32::new(0));
        let (open, opened) = tokio::sync::oneshot::channel();
        let mut open = Some(open);
        let count = Arc::clone(&ended);
        let keeping = tokio::spawn(async move {
            let closed = Closed::default();
            let serve = || {
                let count = Count(Arc::clone(&count));
                let open = open.take();
                async move {
                    let _count = count;
                    if let Some(open) = open {
                        open.send(()).unwrap();
                    }
                    std::future::pending().await
                }
            };
            keep_open("dot".to_owned(), &closed, serve).await;
        });
        opened.await.unwrap();
        keeping.abort();
        assert!(keeping.await.unwrap_err().is_cancelled());
        while ended.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    }
}
