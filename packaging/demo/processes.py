"""Starting programs, waiting for them, and ending each of them again with everything that it started itself."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

LOOK_AGAIN = 0.05  # seconds between two looks at a condition


class Failed(Exception):
    """A step did not do what it should. `log` is the file that tells more, where there is one."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log


class Daemon:
    """A program that runs until it is ended, in a session of its own: so it can be ended with all of its children,
    and a Ctrl-C in the terminal reaches the demo alone, which then ends everything in order."""

    def __init__(self, name, command, environment, folder, log):
        self.name = name
        self.log = Path(log)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.process.pid

    def check_alive(self):
        code = self.process.poll()
        if code is not None:
            raise Failed(f"{self.name} ended by itself with {describe_exit(code)}", self.log)

    def wait_for(self, what, condition, seconds):
        """The first true value of `condition`, while the program runs."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            self.check_alive()
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: {what} did not come true within {seconds} seconds", self.log)
            time.sleep(LOOK_AGAIN)

    def stop(self, seconds):
        """Ask it to end, as `systemctl stop` does; answers its exit code, or None when it did not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def end(self, seconds):
        """Stop it, then end whatever it left behind. Answers the ids of what could not be ended."""
        self.stop(seconds)
        signal_session(self.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 5
        while (left := session_members(self.pid)) and time.monotonic() < deadline:
            signal_session(self.pid, signal.SIGKILL)
            time.sleep(LOOK_AGAIN)
        return left


def session_members(session):
    """Living processes of a session, by id. A session keeps its number while any member lives, so none of these is
    a stranger who was given a number again."""
    if not os.path.isdir("/proc/self"):
        try:
            os.killpg(session, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [session]
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            status = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended while we looked
        # The name in brackets may hold anything, so the fields are counted from its end.
        state, _parent, group, its_session = status.rpartition(")")[2].split()[:4]
        if state not in "ZX" and session in (int(group), int(its_session)):
            members.append(int(entry))
    return members


def bearers_of(setting):
    """Living processes, by id, that inherited a setting of the environment: those that left the session too."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another person's, or it ended while we looked
            if setting.encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def signal_session(session, number):
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            if pid == session and not os.path.isdir("/proc/self"):
                os.killpg(session, number)
            else:
                os.kill(pid, number)


def run(command, environment, folder, seconds, on_line, daemons=()):
    """Run a command to its end, handing over each line as it comes. Answers exit code and the whole output.
    A daemon that ends meanwhile ends the wait: what the command waits for would never come."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=folder,
    )
    lines = []

    def read():
        with process.stdout:
            for line in process.stdout:
                lines.append(line)
                on_line(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + seconds
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                break
            for daemon in daemons:
                daemon.check_alive()
            if time.monotonic() > deadline:
                raise Failed(f"`{Path(str(command[0])).name} {' '.join(map(str, command[1:3]))}` took over {seconds} s")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(5)
    return code, "".join(lines)


def describe_exit(code):
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def last_lines(path, count):
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.splitlines()[-count:]
