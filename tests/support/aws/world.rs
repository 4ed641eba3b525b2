//! Everything the fake knows, behind one lock that is never held across an await.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};

use super::action::{Action, Call};
use super::credentials::Credentials;
use super::fault::Fault;
use super::function::{Failure, Function};
use super::limit::Limits;
use super::storage::Bucket;

/// The fake's side of the lock.
pub(super) struct World {
    pub(super) endpoint: String,
    pub(super) region: String,
    state: Mutex<WorldState>,
    pub(super) changed: Condvar,
}

pub(super) struct WorldState {
    pub(super) credentials: Vec<Credentials>,
    /// By ARN.
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) buckets: BTreeMap<String, Bucket>,
    faults: Vec<(Action, Fault)>,
    pub(super) calls: Vec<Call>,
    pub(super) settle_after: usize,
    pub(super) failures: VecDeque<Failure>,
    /// What the simulation of an action says, whatever is allowed.
    pub(super) decisions: Vec<(String, String)>,
    /// How fast it lets itself be asked, when it does not take whatever comes.
    pub(super) limits: Option<Limits>,
}

impl World {
    pub(super) fn new(endpoint: String, region: &str) -> Self {
        let state = WorldState {
            credentials: vec![Credentials::default()],
            functions: BTreeMap::new(),
            buckets: BTreeMap::new(),
            faults: Vec::new(),
            calls: Vec::new(),
            settle_after: 1,
            failures: VecDeque::new(),
            decisions: Vec::new(),
            limits: None,
        };
        Self { endpoint, region: region.to_owned(), state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap()
    }

    pub(super) fn record(&self, state: &mut WorldState, call: Call) {
        state.calls.push(call);
        self.changed.notify_all();
    }

    pub(super) fn arn(&self, account: &str, name: &str) -> String {
        format!("arn:aws:lambda:{}:{account}:function:{name}", self.region)
    }
}

impl WorldState {
    pub(super) fn script(&mut self, action: Action, fault: Fault) {
        self.faults.extend(fault.flatten().into_iter().map(|fault| (action, fault)));
    }

    /// The next fault scripted for such a call, which is then used up.
    pub(super) fn take_fault(&mut self, action: Action) -> Option<Fault> {
        let index = self.faults.iter().position(|(of, _)| *of == action)?;
        Some(self.faults.remove(index).1)
    }

    pub(super) fn forget_faults(&mut self) {
        self.faults.clear();
    }

    /// How many scripted faults no call has met.
    pub(super) fn faults_left(&self) -> usize {
        self.faults.len()
    }
}
