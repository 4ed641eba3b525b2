//! Lanes: for one function at a time one deployment, and who comes first gets it first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The lanes of one process. Clones are the same lanes.
#[derive(Debug, Clone, Default)]
pub struct Lanes(Arc<Mutex<HashMap<String, Weak<Turn<()>>>>>);

/// The right to be in one lane, until it is dropped.
#[derive(Debug)]
pub struct Lane {
    _turn: OwnedMutexGuard<()>,
}

impl Lanes {
    /// Takes the lane if nobody is in it or waits for it.
    pub fn try_enter(&self, key: &str) -> Option<Lane> {
        self.lane(key).try_lock_owned().ok().map(|turn| Lane { _turn: turn })
    }

    /// Waits until all who came before have left the lane.
    pub async fn enter(&self, key: &str) -> Lane {
        Lane { _turn: self.lane(key).lock_owned().await }
    }

    fn lane(&self, key: &str) -> Arc<Turn<()>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| lane.strong_count() > 0);
        if let Some(lane) = lanes.get(key).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::default();
        lanes.insert(key.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_in_the_order_of_their_coming() {
        let lanes = Lanes::default();
        let first = lanes.try_enter("a").unwrap();
        assert!(lanes.clone().try_enter("a").is_none(), "it is taken");
        assert!(lanes.try_enter("b").is_some(), "another lane is free");
        let order = Arc::new(Mutex::new(Vec::new()));
        let enter = |number: u32| {
            let (lanes, order) = (lanes.clone(), Arc::clone(&order));
            async move {
                let _lane = lanes.enter("a").await;
                order.lock().unwrap().push(number);
            }
        };
        let leave = async { drop(first) };
        tokio::join!(biased; enter(1), enter(2), enter(3), leave);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert!(lanes.try_enter("a").is_some(), "all have left");
    }
}
