//! A thread with one socket and nothing else to do waits in the kernel for what comes there.
//!
//! The runtime waits for many things at once, which costs a query that comes alone a call more, and
//! another look at everything it might have been. Where the task that serves the socket is the only one
//! of its thread's runtime it may sleep in the call that receives. Nothing else of the runtime goes on
//! meanwhile: no clock, no other descriptor. So whoever has one there has a task there, and who calls the
//! thread from another one wakes it ([`Sleeper`]) or can do without its answer ([`Life`]).

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// What is known of a thread that is asked whether it lives.
#[derive(Debug)]
pub struct Life {
    /// The last question it answered.
    answered: AtomicU64,
    is_asleep: AtomicBool,
}

impl Life {
    /// Of a thread that need not answer what was `asked` before.
    pub const fn since(asked: u64) -> Self {
        Self {
            answered: AtomicU64::new(asked),
            is_asleep: AtomicBool::new(false),
        }
    }

    /// The thread lives, and has heard what was `asked`.
    pub fn answer(&self, asked: u64) {
        self.answered.store(asked, Ordering::Relaxed);
    }

    /// Whether the thread has answered what was `asked`, or needs not since it sleeps.
    pub fn is_shown(&self, asked: u64) -> bool {
        // Whoever wakes answers first: one that was not asleep just now has.
        self.is_asleep.load(Ordering::Acquire) || self.answered.load(Ordering::Relaxed) == asked
    }
}

/// What the only task of a runtime with one thread has to know before it may sleep.
#[derive(Debug)]
pub struct Alone {
    runtime: Handle,
    asked: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    life: Arc<Life>,
}

impl Alone {
    /// For a task of `runtime` that answers in `life` what its thread is `asked`, and ends after it is
    /// `stopped`.
    pub const fn new(
        runtime: Handle,
        asked: watch::Receiver<u64>,
        stopped: watch::Receiver<bool>,
        life: Arc<Life>,
    ) -> Self {
        Self {
            runtime,
            asked,
            stopped,
            life,
        }
    }

    /// Whether nobody needs this thread but the caller.
    pub fn may_sleep(&mut self) -> bool {
        self.answer();
        let is_called = !matches!(self.stopped.has_changed(), Ok(false));
        !is_called && self.runtime.metrics().num_alive_tasks() <= 1
    }

    /// A thread whose only task runs is alive, and nobody else may have a turn to say so.
    fn answer(&mut self) {
        if matches!(self.asked.has_changed(), Ok(true)) {
            self.life.answer(*self.asked.borrow_and_update());
        }
    }

    /// Runs `wait`, which may take for ever.
    pub fn sleep<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.life.is_asleep.store(true, Ordering::Relaxed);
        let came = wait();
        self.answer();
        self.life.is_asleep.store(false, Ordering::Release);
        came
    }
}

/// Ends the sleep of a thread at its socket, for good, when it is dropped: nobody waits there any more. A
/// socket that is closed already stays so.
#[derive(Debug)]
pub struct Sleeper(Weak<UdpSocket>);

impl Sleeper {
    /// Of whoever sleeps at `socket`, which nobody may have that wants to receive there later on.
    pub fn at(socket: &Arc<UdpSocket>) -> Self {
        Self(Arc::downgrade(socket))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(socket) = self.0.upgrade() {
            // The kernel says that there is no connection to shut, and wakes who waits for one all the
            // same (`inet_shutdown` has done so since it is there).
            let _said = rustix::net::shutdown(&socket, rustix::net::Shutdown::Read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::socket::batch::Inbox;

    struct Thread {
        ask: watch::Sender<u64>,
        stop: watch::Sender<bool>,
        life: Arc<Life>,
    }

    fn thread() -> (Thread, Alone) {
        let (ask, asked) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let life = Arc::new(Life::since(0));
        let alone = Alone::new(Handle::current(), asked, stopped, Arc::clone(&life));
        (Thread { ask, stop, life }, alone)
    }

    #[tokio::test]
    async fn it_sleeps_only_while_nobody_else_has_something_to_do() {
        let (thread, mut alone) = thread();
        let serving = tokio::spawn(async move {
            assert!(alone.may_sleep(), "nobody else is here");
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            let other = tokio::spawn(told);
            assert!(!alone.may_sleep(), "another task waits for something");
            tell.send(()).unwrap();
            other.await.unwrap().unwrap();
            assert!(alone.may_sleep(), "it has ended");
            thread.stop.send_replace(true);
            assert!(!alone.may_sleep(), "it is to end");
            assert!(!alone.may_sleep(), "for good");
            alone
        });
        let mut alone = serving.await.unwrap();
        assert!(
            !alone.may_sleep(),
            "nobody can say any more that it is to end"
        );
    }

    #[tokio::test]
    async fn a_thread_shows_that_it_lives_asleep_or_awake() {
        let (thread, mut alone) = thread();
        let Thread { ask, life, .. } = &thread;
        assert!(life.is_shown(0));
        ask.send_replace(1);
        assert!(!life.is_shown(1), "it was not heard since");
        assert!(alone.may_sleep());
        assert!(life.is_shown(1), "who may sleep lives");
        alone.sleep(|| {
            ask.send_replace(2);
            assert!(life.is_shown(2), "it sleeps");
            ask.send_replace(3);
            assert!(life.is_shown(3), "it still does");
        });
        assert!(life.is_shown(3), "it has just woken");
        ask.send_replace(4);
        assert!(
            !life.is_shown(4),
            "it was not heard since it was asked again"
        );
    }

    #[test]
    fn a_sleeping_thread_wakes_for_a_datagram_and_when_it_is_woken() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = Arc::new(UdpSocket::bind(address).unwrap());
            let to = socket.local_addr().unwrap();
            let client = UdpSocket::bind(address).unwrap();
            let sleeper = Sleeper::at(&socket);
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
            let next = || -> io::Result<Vec<Vec<u8>>> {
                told.recv_timeout(Duration::from_secs(10)).unwrap()
            };
            client.send_to(b"a query", to).unwrap();
            assert_eq!(next().unwrap(), [b"a query"]);
            drop(sleeper);
            assert!(
                next().unwrap().is_empty(),
                "what comes from nobody is nothing"
            );
            assert!(next().unwrap().is_empty(), "it does not fall asleep again");
            serving.join().unwrap();
        }
    }

    #[test]
    fn who_may_wake_a_thread_keeps_no_socket_open() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = socket.local_addr().unwrap();
        let sleeper = Sleeper::at(&socket);
        drop(socket);
        // Its port is free, and what comes there is for others: at once, but for what another test has
        // just started and that has all our sockets until it is another program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = UdpSocket::bind(address) {
            assert!(Instant::now() < deadline, "{address}: {error}");
            std::thread::yield_now();
        }
        drop(sleeper);
    }
}
