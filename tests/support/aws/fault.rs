//! The fault script: what goes wrong with the next call of a kind, and the gate at which a call is held.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::support::PATIENCE;

/// Something that goes wrong with one call.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Refuse without acting: throttling, a server error, or any other answer.
    Refuse { status: u16, error_type: String, message: String, retry_after: Option<u64> },
    /// Close the connection before acting: nothing happened, and the client cannot know.
    CutBefore,
    /// Act, then close the connection without answering: it happened, and the client cannot know.
    CutAfter,
    /// Act, answer with so many bytes of the body, then close the connection.
    CutBody(usize),
    /// Hold the call at the gate, then act.
    HoldBefore(Gate),
    /// Act, then hold the answer at the gate.
    HoldAfter(Gate),
    /// Act, and answer only after this long.
    SlowAnswer(Duration),
    /// The same fault for this many calls.
    Times(usize, Box<Fault>),
}

impl Fault {
    /// `429 TooManyRequestsException`, with `Retry-After` when seconds are given.
    pub(crate) fn throttle(retry_after: Option<u64>) -> Self {
        Self::Refuse {
            status: 429,
            error_type: "TooManyRequestsException".to_owned(),
            message: "Rate exceeded".to_owned(),
            retry_after,
        }
    }

    /// The single faults this one stands for, in order.
    pub(crate) fn flatten(self) -> Vec<Self> {
        match self {
            Self::Times(times, fault) => (0..times).flat_map(|_| fault.as_ref().clone().flatten()).collect(),
            single => vec![single],
        }
    }
}

/// A gate that is shut until the test opens it. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Gate {
    open: Arc<watch::Sender<bool>>,
    reached: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    pub(crate) fn shut() -> Self {
        Self { open: Arc::new(watch::Sender::new(false)), reached: Arc::default() }
    }

    /// Lets every call through that waits or comes later.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Blocks the test until a call stands at the gate.
    pub(crate) fn wait_reached(&self) {
        let (reached, changed) = &*self.reached;
        let (reached, _) =
            changed.wait_timeout_while(reached.lock().unwrap(), PATIENCE, |reached| !*reached).unwrap();
        assert!(*reached, "no call reached the gate within {PATIENCE:?}");
    }

    /// The call's side: report, and wait for the gate to open.
    pub(crate) async fn pass(&self) {
        *self.reached.0.lock().unwrap() = true;
        self.reached.1.notify_all();
        // The sender lives in `self`, so waiting cannot fail.
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}
