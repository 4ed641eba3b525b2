//! The settings that may change while a worker runs.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{conventions::Conventions, model::Variable};

/// What may change while a worker runs. A deployment keeps to the end what it began with.
#[derive(Debug)]
pub struct LiveSettings {
    /// The conventions.
    pub conventions: Conventions,
    /// The variables from the worker's own environment.
    pub variables: Vec<Variable>,
    /// How many deployments it runs at a time.
    pub concurrency: NonZeroUsize,
    /// How long a drain may last before what runs is cancelled.
    pub drain_deadline: Duration,
}

/// Those that hold now.
#[derive(Debug, Clone)]
pub struct Live(watch::Receiver<Arc<LiveSettings>>);

/// Sets them anew.
#[derive(Debug)]
pub struct Renewal(watch::Sender<Arc<LiveSettings>>);

impl Live {
    /// Begins with these; they stay as they are once the other half is gone.
    pub fn new(settings: LiveSettings) -> (Self, Renewal) {
        let (sender, receiver) = watch::channel(Arc::new(settings));
        (Self(receiver), Renewal(sender))
    }

    /// As it is where nobody has set anything, but for how many deployments it runs at a time.
    #[cfg(test)]
    pub(super) fn with_room(places: usize) -> Self {
        let settings = LiveSettings {
            conventions: Conventions::load(None).unwrap(),
            variables: Vec::new(),
            concurrency: NonZeroUsize::new(places).unwrap(),
            drain_deadline: Duration::from_mins(1),
        };
        Self::new(settings).0
    }

    /// What holds now, and stays what it is for whoever asked.
    pub fn now(&self) -> Arc<LiveSettings> {
        Arc::clone(&self.0.borrow())
    }

    /// Returns when they have changed since this was last asked; never where nobody can change them.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Renewal {
    /// From now on.
    pub fn set(&self, settings: LiveSettings) {
        self.0.send_replace(Arc::new(settings));
    }
}
