//! Running the octarm program, or another, as a user would: a clean environment, real signals, captured output.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tempfile::TempDir;

use super::PATIENCE;

/// A program to be run, with nothing of the test's own environment but `PATH`.
#[derive(Clone)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    home: Arc<TempDir>,
    patience: Duration,
}

impl Program {
    /// The octarm executable under test.
    pub(crate) fn octarm() -> Self {
        Self::at(env!("CARGO_BIN_EXE_octarm"))
    }

    /// Any other program.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: None,
            home: Arc::new(TempDir::new().unwrap()),
            patience: PATIENCE,
        }
    }

    #[must_use]
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// An option with its value.
    #[must_use]
    pub(crate) fn arg_pair(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.args([OsStr::new(name), value.as_ref()])
    }

    #[must_use]
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The same run, started through another program, as in `unshare … PROGRAM ARGUMENTS`.
    #[must_use]
    pub(crate) fn wrapped(mut self, program: &str, before: &[&str]) -> Self {
        let mut arguments: Vec<OsString> = before.iter().map(OsString::from).collect();
        arguments.push(self.path.into_os_string());
        arguments.append(&mut self.arguments);
        self.arguments = arguments;
        self.path = PathBuf::from(program);
        self
    }

    /// Where it is started; its home without this.
    #[must_use]
    pub(crate) fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The temporary folder that is its `HOME`; it is deleted with the last clone and the last process.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// How long it may take to do what is waited for, where that is much.
    #[must_use]
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end. One that does not end is killed and fails the test.
    pub(crate) fn run(&self) -> Output {
        self.spawn().wait()
    }

    /// Starts it in a process group of its own.
    pub(crate) fn spawn(&self) -> Running {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .env("HOME", self.home())
            .env("TMPDIR", self.home())
            .current_dir(self.folder.as_deref().unwrap_or(self.home()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        Running::watch(child, self.clone())
    }
}

/// What a program that has ended left behind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Output {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs. Dropping it kills it with everything it started.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    watched: Arc<Watched>,
    /// Kept so that its home outlives the process.
    program: Program,
}

#[derive(Default)]
struct Watched {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What was seen of a program so far.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    closed_streams: usize,
    ended: Option<Exit>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
struct Exit {
    /// `None` when a signal ended it.
    code: Option<i32>,
}

impl Seen {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The first whole line, of either stream, that holds this text.
    pub(crate) fn line(&self, text: &str) -> Option<String> {
        let find = |bytes: &[u8]| {
            let whole = bytes.iter().rposition(|byte| *byte == b'\n')?;
            let lines = String::from_utf8_lossy(&bytes[..whole]).into_owned();
            lines.lines().find(|line| line.contains(text)).map(str::to_owned)
        };
        find(&self.stdout).or_else(|| find(&self.stderr))
    }
}

impl Running {
    fn watch(mut child: Child, program: Program) -> Self {
        let pid = Pid::from_child(&child);
        let watched = Arc::new(Watched::default());
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        watched.capture(stdout, |seen| &mut seen.stdout);
        watched.capture(stderr, |seen| &mut seen.stderr);
        watched.await_end(pid);
        Self { child, pid, watched, program }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub(crate) fn seen(&self) -> Seen {
        self.watched.seen.lock().unwrap().clone()
    }

    /// Waits until a whole line with this text was written, on either stream, and returns the line.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        let seen = self.wait_until(&format!("a line with {text:?}"), |seen| {
            seen.line(text).is_some() || (seen.has_ended() && seen.closed_streams == 2)
        });
        seen.line(text)
            .unwrap_or_else(|| panic!("it ended without a line with {text:?}; {}", describe(&seen)))
    }

    /// Waits until what was seen of it fulfils the condition.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&Seen) -> bool) -> Seen {
        let seen = self.watched.seen.lock().unwrap();
        let waited =
            self.watched.changed.wait_timeout_while(seen, self.program.patience, |seen| !condition(seen));
        let (seen, waited) = waited.unwrap();
        let copy = seen.clone();
        drop(seen);
        assert!(!waited.timed_out(), "waited for {what}, in vain; {}", describe(&copy));
        copy
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it as a crash would: it can do nothing more. What it started lives on until this is dropped.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Stops it where it is, as a machine that does not get on; it runs on when it is resumed.
    pub(crate) fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for its end and for the end of its output.
    pub(crate) fn wait(self) -> Output {
        let seen = self.wait_until("its end", |seen| seen.has_ended() && seen.closed_streams == 2);
        Output { code: seen.ended.and_then(|exit| exit.code), stdout: seen.stdout(), stderr: seen.stderr() }
    }

    /// Until `drop` reaps the process its id cannot become another's, so a signal never goes astray.
    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The leader is not reaped yet, so the group is still ours, and there even when all its members ended.
        let killed = kill_process_group(self.pid, Signal::KILL);
        // A killed process ends a little later, and only our own child can be waited for.
        let asked = Instant::now();
        while !living_members(self.pid()).is_empty() && asked.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        let left = living_members(self.pid());
        let reaped = self.child.wait();
        if !std::thread::panicking() {
            killed.unwrap();
            reaped.unwrap();
            assert!(left.is_empty(), "the program's children outlived their being killed: {left:?}");
        }
    }
}

/// The ids of the processes of a group that have not ended.
pub(crate) fn living_members(group: u32) -> Vec<u32> {
    let processes = fs_err::read_dir("/proc").unwrap();
    processes.filter_map(|entry| member(group, &entry.ok()?)).collect()
}

fn member(group: u32, entry: &fs_err::DirEntry) -> Option<u32> {
    let pid = entry.file_name().to_str()?.parse().ok()?;
    // One that has ended meanwhile has no file any more. The name, in brackets, may hold anything.
    let stat = fs_err::read_to_string(entry.path().join("stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let (state, _parent, its_group) = (fields.next()?, fields.next()?, fields.next()?);
    (its_group == group.to_string() && !matches!(state, "Z" | "X")).then_some(pid)
}

impl Watched {
    fn capture(
        self: &Arc<Self>,
        mut stream: impl Read + Send + 'static,
        buffer: fn(&mut Seen) -> &mut Vec<u8>,
    ) {
        let watched = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                watched.change(|seen| buffer(seen).extend_from_slice(&chunk[..read]));
            }
            watched.change(|seen| seen.closed_streams += 1);
        });
    }

    /// Notices the end without reaping.
    fn await_end(self: &Arc<Self>, pid: Pid) {
        let watched = self.clone();
        std::thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let status = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options));
            // `drop` may reap first; then nobody asks any more.
            let code = status.ok().flatten().and_then(|status| status.exit_status());
            watched.change(|seen| seen.ended = Some(Exit { code }));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

fn describe(seen: &Seen) -> String {
    format!("exit {:?}\n--- stdout\n{}\n--- stderr\n{}", seen.ended, seen.stdout(), seen.stderr())
}
