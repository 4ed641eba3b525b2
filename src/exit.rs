//! Exit codes: one table for scripts, for `--help` and for README.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A bug in octarm.
    Bug,
    /// The command line is wrong.
    Usage,
    /// A deployment failed.
    DeploymentFailed,
    /// A deployment was cancelled.
    Cancelled,
    /// Nobody could establish what a deployment did.
    Unknown,
    /// The server refused the request.
    Refused,
    /// The time given by `--timeout` is over.
    TimedOut,
    /// A question was not answered with yes.
    Declined,
    /// The worker that was asked about does not run.
    NotRunning,
    /// No worker is registered where one was asked about.
    NotRegistered,
    /// A check of a worker failed.
    Unfit,
    /// The configuration cannot be used.
    Configuration,
    /// An input file cannot be used.
    Input,
    /// The server cannot be reached.
    Unreachable,
    /// A local file cannot be read or written.
    Io,
    /// A signal ended the waiting.
    Interrupted,
}

impl Exit {
    /// Every code with its sentence, in order.
    ///
    /// Of files: what was given to be read and is not there, or is not what it must be, is 65; where this machine does
    /// not let a file be read or written, a folder to write into is missing among that, it is 74.
    pub const TABLE: [(Self, u8, &'static str); 17] = [
        (Self::Done, 0, "done"),
        (Self::Bug, 1, "a bug in octarm"),
        (Self::Usage, 2, "the command line is wrong"),
        (Self::DeploymentFailed, 3, "a deployment failed"),
        (Self::Cancelled, 4, "a deployment was cancelled"),
        (Self::Unknown, 5, "nobody could establish what a deployment did: look, then resolve it"),
        (Self::Refused, 6, "the server refused the request: unknown name, wrong key, conflict"),
        (Self::TimedOut, 7, "the time given by --timeout is over; the deployment goes on"),
        (Self::Declined, 8, "nothing was done: the question was not answered with yes"),
        (Self::NotRunning, 9, "the worker does not run"),
        (Self::NotRegistered, 10, "no worker is registered in the state folder"),
        (Self::Unfit, 11, "a check of `octarm worker doctor` failed"),
        (Self::Configuration, 64, "the configuration cannot be used"),
        (Self::Input, 65, "an input file cannot be used: not there, not a package, not a variables file"),
        (Self::Unreachable, 69, "the server cannot be reached"),
        (Self::Io, 74, "a local file cannot be read or written: disk full, no permission, no folder for it"),
        (Self::Interrupted, 130, "a signal ended the waiting; what was started goes on"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        Self::TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
