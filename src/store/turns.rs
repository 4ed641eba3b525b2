//! Claims that wait on this node. All workers of an environment wait for the same thing and each look costs a statement,
//! so one of them is woken, and wakes the next one when there may be more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, broadcast, futures::Notified};

use super::{Change, Session, Store};

/// What a claim would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Something to hand out.
    Work,
    /// Nothing.
    Nothing,
    /// Nothing, since the worker is disabled or takes nothing: somebody else may find something.
    Disabled,
    /// Nothing, and nothing will come: the worker was asked to leave.
    Leaving,
}

/// Where the claims of one environment wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// Those that may be handed anything: any of them will do.
    ready: Notify,
    /// Those of workers that are disabled or take nothing: none of them stands for another.
    resting: Notify,
}

/// How many leave before a claim that was not looking must look for itself.
const LEAVING: usize = 64;

/// The claims of all environments.
#[derive(Debug)]
pub(super) struct Turns {
    queues: Mutex<HashMap<i64, Arc<Queue>>>,
    leaving: broadcast::Sender<i64>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { queues: Mutex::default(), leaving: broadcast::Sender::new(LEAVING) }
    }
}

/// Hears that one worker is to leave.
#[derive(Debug)]
pub struct Leaving {
    machine: i64,
    said: broadcast::Receiver<i64>,
}

impl Leaving {
    /// Waits until there is something to look at; what was said since this was made is heard too.
    pub async fn heard(&mut self) {
        loop {
            match self.said.recv().await {
                Ok(machine) if machine != self.machine => {}
                // Perhaps this one was among those that were missed.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Turns {
    fn of(&self, environment: i64) -> Arc<Queue> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).entry(environment).or_default().clone()
    }

    /// Lets somebody look whom the change may concern.
    pub(super) fn wake(&self, change: Change) {
        match change {
            Change::State => {}
            Change::Environment(environment) => self.of(environment).wake(),
            // Nobody waits, where this fails.
            Change::Leaving(machine) => drop(self.leaving.send(machine)),
            Change::Queue => {
                let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
                queues.values().for_each(|queue| queue.wake());
            }
        }
    }
}

impl Queue {
    fn wake(&self) {
        self.ready.notify_one();
        self.resting.notify_waiters();
    }

    /// Waits to be woken, from the moment that this is enabled.
    pub fn woken(&self, resting: bool) -> Notified<'_> {
        if resting { self.resting.notified() } else { self.ready.notified() }
    }

    /// A turn that nobody gave yet.
    pub fn turn(&self) -> Turn<'_> {
        Turn { queue: self, given: false }
    }
}

/// The turn of one claim. Whatever becomes of a claim that was woken, somebody looks: dropped, a turn that was given is
/// the next one's.
#[derive(Debug)]
pub struct Turn<'a> {
    queue: &'a Queue,
    given: bool,
}

impl Turn<'_> {
    /// This claim was woken.
    pub fn give(&mut self) {
        self.given = true;
    }

    /// It looked, and there is nothing for anybody.
    pub fn end(&mut self) {
        self.given = false;
    }

    /// Somebody else is to look.
    pub fn pass_on(&mut self) {
        self.given = false;
        self.queue.ready.notify_one();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.given {
            self.pass_on();
        }
    }
}

impl Store {
    /// Where the worker's claims wait.
    pub fn queue_of(&self, session: &Session) -> Arc<Queue> {
        self.database.turns.of(session.environment_id)
    }

    /// Hears that the worker is to leave.
    pub fn leaving(&self, session: &Session) -> Leaving {
        Leaving { machine: session.id, said: self.database.turns.leaving.subscribe() }
    }

    /// Wakes whom the change of another node may concern.
    pub fn wake(&self, change: Change) {
        self.database.turns.wake(change);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;

    /// Which of these were woken.
    async fn woken<const N: usize>(mut waiting: [std::pin::Pin<&mut Notified<'_>>; N]) -> [bool; N] {
        std::future::poll_fn(|context| {
            Poll::Ready(std::array::from_fn(|place| waiting[place].as_mut().poll(context).is_ready()))
        })
        .await
    }

    #[tokio::test]
    async fn one_of_an_environment_looks_and_then_the_next_one() {
        let turns = Turns::default();
        let (queue, other) = (turns.of(1), turns.of(2));
        let (mut a, mut b, mut c) =
            (pin!(queue.woken(false)), pin!(queue.woken(false)), pin!(other.woken(false)));
        for waiting in [&mut a, &mut b, &mut c] {
            waiting.as_mut().enable();
        }
        turns.wake(Change::State);
        assert_eq!(woken([a.as_mut(), b.as_mut(), c.as_mut()]).await, [false; 3]);
        turns.wake(Change::Environment(1));
        let mut turn = queue.turn();
        assert_eq!(woken([a.as_mut(), b.as_mut(), c.as_mut()]).await, [true, false, false]);
        turn.give();
        // Its client went away before it could look.
        drop(turn);
        assert_eq!(woken([b.as_mut(), c.as_mut()]).await, [true, false]);
        turns.wake(Change::Queue);
        assert_eq!(woken([c.as_mut()]).await, [true]);
    }

    #[tokio::test]
    async fn who_found_nothing_wakes_nobody_and_the_disabled_keep_nobody_from_a_turn() {
        let turns = Turns::default();
        let queue = turns.of(1);
        let (mut resting, mut ready) = (pin!(queue.woken(true)), pin!(queue.woken(false)));
        resting.as_mut().enable();
        ready.as_mut().enable();
        let mut turn = queue.turn();
        turn.give();
        turn.end();
        drop(turn);
        assert_eq!(woken([resting.as_mut(), ready.as_mut()]).await, [false; 2]);
        turns.wake(Change::Environment(1));
        assert_eq!(woken([resting.as_mut(), ready.as_mut()]).await, [true; 2]);
    }
}
