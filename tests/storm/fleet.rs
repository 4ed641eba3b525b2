//! The workers and the server, each with a thread that does to it what the weather brings.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    aws::FakeAws,
    clock::Clock,
    cut::Cut,
    setup::{Access, Setup, WorkerHandle},
};

/// How long a worker may take to drain, with AWS as it is.
const PATIENCE: Duration = Duration::from_mins(5);

/// What the weather does to a process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    /// `kill -9`, and this long nothing.
    Kill(Duration),
    /// SIGTERM; once it has drained it is started again.
    Drain,
    /// It does not get on for this long; with `asleep` its machine was suspended.
    Halt { time: Duration, asleep: bool },
    /// Its wall clock is wrong by so many seconds from now on.
    Jump(i64),
    /// Its line to the server is cut for this long.
    Cut(Duration),
    /// Its line breaks after so many bytes more.
    Break(usize),
}

/// Where blows arrive: one at a time, and what comes meanwhile misses.
pub(super) fn channel() -> (SyncSender<Blow>, Receiver<Blow>) {
    sync_channel(1)
}

/// A worker.
pub(super) struct Ship {
    name: &'static str,
    environment: &'static str,
    worker: WorkerHandle,
    cut: Cut,
    clock: Clock,
    kills: usize,
}

/// What a worker leaves.
pub(super) struct Logbook {
    pub(super) environment: &'static str,
    /// How often it was killed.
    pub(super) kills: usize,
    /// Its own copy of the lines of all deployments: deployment and line.
    pub(super) lines: Vec<(String, Value)>,
}

impl Ship {
    pub(super) fn launch(
        setup: &Setup,
        aws: &FakeAws,
        name: &'static str,
        environment: &'static str,
        concurrency: u32,
    ) -> Self {
        let cut = Cut::before(setup.address());
        let url = format!("http://{}", cut.address());
        let mut worker = setup.worker_through(&url, name, environment, &Access::to_fake(aws));
        worker.drain();
        let clock = Clock::new();
        let program =
            worker.program().clone().arg_pair("--concurrency", concurrency.to_string()).patience(PATIENCE);
        worker.start_as(clock.of(program));
        Self { name, environment, worker, cut, clock, kills: 0 }
    }

    /// Bears what comes until nothing more does.
    pub(super) fn sail(&mut self, blows: Receiver<Blow>) {
        for blow in blows {
            match blow {
                Blow::Kill(down) => {
                    self.worker.kill();
                    self.kills += 1;
                    thread::sleep(down);
                    self.worker.start_unawaited();
                }
                Blow::Drain => {
                    let output = self.worker.drain();
                    // One that had not begun yet ends as any program does.
                    let has_begun = !output.stderr.is_empty();
                    assert_eq!(
                        output.code,
                        has_begun.then_some(0),
                        "{} could not drain: {output:?}",
                        self.name
                    );
                    self.worker.start_unawaited();
                }
                Blow::Halt { time, asleep } => {
                    self.worker.running().halt();
                    thread::sleep(time);
                    if asleep {
                        // A little less, so that the clock never goes back.
                        self.clock.suspended(time * 9 / 10);
                    }
                    self.worker.running().go_on();
                }
                Blow::Jump(seconds) => self.clock.jump(seconds),
                Blow::Cut(time) => {
                    self.cut.cut();
                    thread::sleep(time);
                    self.cut.mend();
                }
                Blow::Break(bytes) => {
                    self.cut.cut_after_bytes(bytes);
                    thread::sleep(Duration::from_millis(300));
                    self.cut.mend();
                }
            }
            assert!(!self.worker.running().seen().has_ended(), "{} has ended: {}", self.name, self.said());
        }
    }

    /// Ends it, and answers what it has seen.
    pub(super) fn land(&mut self) -> Logbook {
        let output = self.worker.drain();
        assert_eq!(output.code, Some(0), "{}: {output:?}", self.name);
        let left = fs_err::read_dir(self.worker.state().join("deployments")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        let text = fs_err::read_to_string(self.worker.state().join("log.jsonl")).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|line| (line["deployment"].as_str().unwrap().to_owned(), line["line"].clone()))
            .collect();
        println!("{}: killed {} times, leftovers of {} deployments", self.name, self.kills, left.len());
        Logbook { environment: self.environment, kills: self.kills, lines }
    }

    fn said(&self) -> String {
        self.worker.running().seen().stderr()
    }
}

/// Kills the server and starts it again.
pub(super) fn strike_server(setup: &mut Setup, blows: Receiver<Blow>) {
    for blow in blows {
        let Blow::Kill(down) = blow else { unreachable!("the server is only killed") };
        setup.kill_server();
        thread::sleep(down);
        setup.start_server_again();
    }
}
