//! A strict, scripted fake of AWS on the wire, for tests and for the processes they start.
//!
//! It is stricter than AWS where AWS leaves a client room to be lucky: the revision changes again when an
//! update settles, the new code's hash shows before the update has settled, a zip with unreadable entries is
//! refused at once.

mod action;
mod calls;
mod code;
mod credentials;
mod fault;
mod function;
mod limit;
mod refusal;
mod signature;
mod simulation;
mod storage;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;

pub(crate) use action::{Action, Call};
pub(crate) use calls::MAX_BODY;
pub(crate) use code::{MAX_UNZIPPED, code_sha256};
pub(crate) use credentials::{ACCOUNT, Credentials};
pub(crate) use fault::{Fault, Gate};
pub(crate) use function::{FunctionView, Settled};
pub(crate) use storage::Object;

use function::{Failure, Function};
use storage::Bucket;
use world::World;

/// The region of the fake.
pub(crate) const REGION: &str = "eu-west-1";

/// A running fake; dropping it ends its thread and closes its connections.
pub(crate) struct FakeAws {
    world: Arc<World>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl FakeAws {
    /// Starts on a free port, knowing the default credentials and no function.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(World::new(endpoint, REGION));
        let stop = CancellationToken::new();
        let (served, stopped) = (world.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                stopped.run_until_cancelled(wire::serve(listener, served)).await;
            });
        });
        Self { world, stop, thread: Some(thread) }
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub(crate) fn endpoint(&self) -> &str {
        &self.world.endpoint
    }

    pub(crate) fn region(&self) -> &str {
        &self.world.region
    }

    /// One more user whose signature is accepted.
    pub(crate) fn add_credentials(&self, credentials: &Credentials) {
        self.world.state().credentials.push(credentials.clone());
    }

    /// An active function of the default account, with code that is not looked into.
    pub(crate) fn create_function(&self, name: &str, zip: impl Into<Bytes>) {
        let arn = self.arn(name);
        let function = Function::new(&arn, name, zip.into());
        self.world.state().functions.insert(arn, function);
    }

    /// A bucket of the default account, with versions or without, in this region or another.
    pub(crate) fn create_bucket(&self, name: &str, region: &str, is_versioned: bool) {
        self.world.state().buckets.insert(name.to_owned(), Bucket::new(region, is_versioned));
    }

    /// Every object of a bucket with all its versions, the newest last.
    pub(crate) fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<Object>> {
        self.world.state().buckets[bucket].objects()
    }

    /// Somebody else deletes an object with all its versions.
    pub(crate) fn delete_object(&self, bucket: &str, key: &str) {
        self.world.state().buckets.get_mut(bucket).unwrap().delete(key);
    }

    /// The ARN of a function of the default account.
    pub(crate) fn arn(&self, name: &str) -> String {
        self.world.arn(ACCOUNT, name)
    }

    pub(crate) fn function(&self, name: &str) -> FunctionView {
        self.with(name, |function| function.view())
    }

    /// Every call so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.world.state().calls.clone()
    }

    /// The calls of write verbs, refused ones and dry runs too.
    pub(crate) fn mutating_calls(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.action.mutates()).collect()
    }

    /// Somebody else changes the function's configuration.
    pub(crate) fn touch(&self, name: &str) {
        self.with(name, Function::touch);
    }

    /// Somebody else deploys to the function.
    pub(crate) fn replace_code(&self, name: &str, zip: impl Into<Bytes>) {
        self.with(name, |function| function.replace_code(zip.into()));
    }

    /// The function is still being created for this many polls.
    pub(crate) fn make_pending(&self, name: &str, polls: usize) {
        self.with(name, |function| function.make_pending(polls));
    }

    /// From now on an update shows as in progress to this many polls. At first it is one.
    pub(crate) fn settle_after(&self, polls: usize) {
        self.world.state().settle_after = polls;
    }

    /// Time passes until what is under way at the function has ended.
    pub(crate) fn let_settle(&self, name: &str) {
        self.with(name, |function| {
            while function.is_under_way() {
                function.poll();
            }
        });
    }

    /// From now on it refuses what comes faster than so many changing calls a second, and so many of GetFunction.
    pub(crate) fn limit(&self, changes: u32, reads: u32) {
        self.world.state().limits = Some(limit::Limits::new(changes, reads));
    }

    /// The next update that is accepted ends as failed, and the old code stays.
    pub(crate) fn fail_update(&self, reason_code: &str, reason: &str) {
        let failure = Failure { reason_code: reason_code.to_owned(), reason: reason.to_owned() };
        self.world.state().failures.push_back(failure);
    }

    /// Scripts what goes wrong with the next such call; several are met in the order they were scripted.
    pub(crate) fn on(&self, action: Action, fault: Fault) {
        self.world.state().script(action, fault);
    }

    /// From now on the simulation of this action says so.
    pub(crate) fn decide(&self, action: &str, decision: &str) {
        self.world.state().decisions.push((action.to_owned(), decision.to_owned()));
    }

    /// How many scripted faults no call has met yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.world.state().faults_left()
    }

    /// Blocks until this many such calls were carried out, refused or cut.
    pub(crate) fn wait_for(&self, action: Action, count: usize) {
        let made = |calls: &[Call]| calls.iter().filter(|call| call.action == action).count();
        let state = self.world.state();
        let waited =
            self.world.changed.wait_timeout_while(state, PATIENCE, |state| made(&state.calls) < count);
        let (state, waited) = waited.unwrap();
        let calls = state.calls.clone();
        drop(state);
        assert!(!waited.timed_out(), "waited for {count} calls of {action:?}; there were {calls:?}");
    }

    /// Nothing more goes wrong.
    pub(crate) fn forget_faults(&self) {
        self.world.state().forget_faults();
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&mut Function) -> T) -> T {
        let mut state = self.world.state();
        look(state.functions.get_mut(&self.arn(name)).expect("the test made this function"))
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.thread.take().map(JoinHandle::join);
        // A second panic while a test fails already would hide the first.
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the fake's thread panicked");
        }
    }
}
