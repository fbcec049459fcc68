//! A thread with one socket and nothing else to do waits in the kernel for what comes there.
//!
//! The runtime waits for many things at once, which costs a query that comes alone a call more, and
//! another look at everything it might have been. Where the task that serves the socket is the only one
//! of its thread's runtime it may sleep in the call that receives. Nothing else of the runtime goes on
//! meanwhile: no clock, no other descriptor. So whoever has one there has a task there, and who calls the
//! thread from another one wakes it ([`Sleeper::wake`]) or can do without its answer ([`Alone::is_asleep`]).

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::yield_now;

/// What the only task of a runtime with one thread has to know before it may sleep.
#[derive(Debug)]
pub struct Alone {
    runtime: Handle,
    asked: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    is_asleep: Arc<AtomicBool>,
}

impl Alone {
    /// For a task of `runtime`, which has its turn whenever somebody has `asked` the thread, and ends
    /// after it is `stopped`. `is_asleep` is true while it sleeps, for whoever asks.
    pub const fn new(
        runtime: Handle,
        asked: watch::Receiver<u64>,
        stopped: watch::Receiver<bool>,
        is_asleep: Arc<AtomicBool>,
    ) -> Self {
        Self {
            runtime,
            asked,
            stopped,
            is_asleep,
        }
    }

    /// Whether nobody needs this thread but the caller.
    pub async fn may_sleep(&mut self) -> bool {
        if matches!(self.asked.has_changed(), Ok(true)) {
            self.asked.mark_unchanged();
            // Whoever answers for the thread has its turn.
            yield_now().await;
        }
        let is_called = !matches!(self.stopped.has_changed(), Ok(false));
        !is_called && self.runtime.metrics().num_alive_tasks() <= 1
    }

    /// Runs `wait`, which may take for ever.
    pub fn sleep<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.is_asleep.store(true, Ordering::Relaxed);
        let came = wait();
        self.is_asleep.store(false, Ordering::Relaxed);
        came
    }
}

/// A socket at which a thread may sleep, for whoever ends that.
#[derive(Debug)]
pub struct Sleeper(UdpSocket);

impl Sleeper {
    /// Who sleeps at `socket`, which nobody may have that wants to receive there later on.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub fn at(socket: &UdpSocket) -> std::io::Result<Self> {
        socket.try_clone().map(Self)
    }

    /// Wakes the thread for good: nobody waits at this socket any more.
    pub fn wake(&self) {
        // The kernel says that there is no connection to shut, and wakes who waits for one all the same
        // (`inet_shutdown` has done so since it is there).
        let _said = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Read);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::socket::batch::Inbox;

    struct Thread {
        ask: watch::Sender<u64>,
        stop: watch::Sender<bool>,
        is_asleep: Arc<AtomicBool>,
    }

    fn thread() -> (Thread, Alone) {
        let (ask, asked) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let is_asleep = Arc::<AtomicBool>::default();
        let alone = Alone::new(Handle::current(), asked, stopped, Arc::clone(&is_asleep));
        let thread = Thread {
            ask,
            stop,
            is_asleep,
        };
        (thread, alone)
    }

    #[tokio::test]
    async fn it_sleeps_only_while_nobody_else_has_something_to_do() {
        let (thread, mut alone) = thread();
        let serving = tokio::spawn(async move {
            assert!(alone.may_sleep().await, "nobody else is here");
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            let other = tokio::spawn(told);
            assert!(!alone.may_sleep().await, "another task waits for something");
            tell.send(()).unwrap();
            other.await.unwrap().unwrap();
            assert!(alone.may_sleep().await, "it has ended");
            assert!(alone.sleep(|| thread.is_asleep.load(Ordering::Relaxed)));
            assert!(!thread.is_asleep.load(Ordering::Relaxed), "it is awake");
            thread.ask.send_replace(1);
            assert!(alone.may_sleep().await, "who was called had a turn");
            thread.stop.send_replace(true);
            assert!(!alone.may_sleep().await, "it is to end");
            assert!(!alone.may_sleep().await, "for good");
            alone
        });
        let mut alone = serving.await.unwrap();
        assert!(
            !alone.may_sleep().await,
            "nobody can say any more that it is to end"
        );
    }

    #[tokio::test]
    async fn whoever_is_called_has_a_turn_before_it_sleeps() {
        let (thread, mut alone) = thread();
        let mut asked = thread.ask.subscribe();
        let seen = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            thread.ask.send_replace(1);
            assert!(alone.may_sleep().await);
            assert!(seen.load(Ordering::Relaxed), "nobody had a turn");
            drop(thread.stop);
        });
        // Like the pulse of a worker: not a task, but what the runtime was started with.
        asked.changed().await.unwrap();
        note.store(true, Ordering::Relaxed);
        serving.await.unwrap();
    }

    #[test]
    fn a_sleeping_thread_wakes_for_a_datagram_and_when_it_is_woken() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(address).unwrap();
            let to = socket.local_addr().unwrap();
            let client = UdpSocket::bind(address).unwrap();
            let sleeper = Sleeper::at(&socket).unwrap();
            let (tell, told) = std::sync::mpsc::channel();
            let serving = std::thread::spawn(move || {
                let mut inbox = Inbox::default();
                for _ in 0..3 {
                    let came = inbox.wait(&socket);
                    let octets = inbox.datagrams().map(|(octets, _)| octets.to_vec());
                    tell.send(came.map(|()| octets.collect::<Vec<_>>()))
                        .unwrap();
                }
                let later = inbox.receive(&socket).map(|()| inbox.datagrams().count());
                assert!(!matches!(later, Ok(1..)), "{later:?}: nothing was sent");
            });
            let next = || -> io::Result<Vec<Vec<u8>>> { told.recv().unwrap() };
            client.send_to(b"a query", to).unwrap();
            assert_eq!(next().unwrap(), [b"a query"]);
            sleeper.wake();
            assert!(
                next().unwrap().is_empty(),
                "what comes from nobody is nothing"
            );
            assert!(next().unwrap().is_empty(), "it does not fall asleep again");
            serving.join().unwrap();
        }
    }
}
