//! What happened in the home that somebody may want to hear of at once: the place where later
//! notifications listen. The log is told besides.

use tokio::sync::broadcast;

use crate::control::api::NewDevice;

/// Something that happened in the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody asked whom nobody named; told once for each.
    NewDevice(Box<NewDevice>),
}

/// How many events wait for a listener that is slow.
const KEPT: usize = 64;

/// Where events are told and heard.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Events {
    /// Tells all who listen now.
    pub(super) fn tell(&self, event: Event) {
        // That nobody listens is no mistake.
        let _heard = self.0.send(event);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
