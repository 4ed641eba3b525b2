#!/usr/bin/env python3
"""Measures what a worker costs that waits for work, beside buildbot's, in one run, and holds it against the goals.

Both are connected to a server of their own on this machine and have nothing to do. For a minute their processor time
and their resident memory are read from /proc, side by side, so that a busy machine is equally unkind to both. Then how
long a worker takes from its start to its first poll, by the line that it writes then. Standard library only.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Pinned: the figures of two runs are of the same programs.
BUILDBOT = ["buildbot==4.3.0", "buildbot-worker==4.3.0"]

# Goals of an idle worker: resident memory in bytes, processor time of a minute, start to the first poll in seconds.
RESIDENT, BUSY, FIRST_POLL = 20e6, 0.001, 0.100

MASTER = """
from buildbot.plugins import schedulers, util, worker
BuildmasterConfig = c = {}
c["title"] = "idle"
c["buildbotURL"] = "http://127.0.0.1/"
c["workers"] = [worker.Worker("idle", "secret")]
c["protocols"] = {"pb": {"port": "tcp:%d:interface=127.0.0.1"}}
c["builders"] = [util.BuilderConfig(name="none", workernames=["idle"], factory=util.BuildFactory())]
c["schedulers"] = [schedulers.ForceScheduler(name="by-hand", builderNames=["none"])]
c["buildbotNetUsageData"] = None
c["db"] = {"db_url": "sqlite:///state.sqlite"}
"""
WORKER = """
import os
from buildbot_worker.bot import Worker
from twisted.application import service
application = service.Application("buildbot-worker")
Worker("127.0.0.1", %d, "idle", "secret", os.path.abspath("."), 600).setServiceParent(application)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--octarm", type=Path, help="the program; else a release build is made")
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "benches",
                        help="where buildbot is kept between runs")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--starts", type=int, default=11)
    arguments = parser.parse_args()
    octarm = (arguments.octarm or build()).resolve()
    python = buildbot(arguments.folder.resolve())
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure(octarm, python, Path(folder), arguments.seconds, arguments.starts))


def build():
    subprocess.run(["cargo", "build", "--locked", "--release", "--bin", "octarm"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "octarm"


def buildbot(folder):
    """The Python of a venv that holds buildbot."""
    venv = folder / "buildbot"
    stamp = venv / "installed"
    if not stamp.exists() or stamp.read_text() != " ".join(BUILDBOT):
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", *BUILDBOT], check=True)
        stamp.write_text(" ".join(BUILDBOT))
    return venv / "bin" / "python"


class Process:
    """A process with its log. Ended by its id."""

    def __init__(self, command, folder, environment=()):
        folder.mkdir(exist_ok=True)
        self.log = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=folder, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **dict(environment)})

    def wait_for(self, text, seconds=60):
        """How long after its start it has written this text."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in self.log.read_text(errors="replace"):
                return time.monotonic() - self.started
            if self.process.poll() is not None:
                break
            time.sleep(0.0005)
        raise SystemExit(f"no {text!r} in: {self.log.read_text(errors='replace')}")

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def busy(self):
        """Seconds of processor time so far of all its threads, ended ones too; to a hundredth."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(octarm, python, folder, seconds, starts):
    running = []
    try:
        server = Process([octarm, "server", "run", "--data", folder / "server", "--listen", "127.0.0.1:0",
                          "--address-file", folder / "address"], folder / "o")
        running.append(server)
        server.wait_for("listening")
        url = (folder / "address").read_text().strip()
        environment = {"OCTARM_SERVER": url, "OCTARM_API_KEY_FILE": str(folder / "server" / "first-api-key")}
        state = folder / "state"
        for words in (["environment", "create", "CI"],
                      ["worker", "register", "--name", "ci-1", "--environment", "CI", "--state", str(state)]):
            subprocess.run([octarm, *words], check=True, stdout=subprocess.DEVNULL,
                           env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment})
        run = [octarm, "worker", "run", "--state", state]
        firsts = []
        for _ in range(starts):
            worker = Process(run, folder / "w")
            firsts.append(worker.wait_for("polling for deployments"))
            worker.end()
        ours = Process(run, folder / "w")
        running.append(ours)
        ours.wait_for("polling for deployments")

        theirs = of_buildbot(python, folder, running)
        # What a start leaves behind is no idling.
        time.sleep(5)
        before = [one.busy() for one in (ours, theirs)]
        most = [0, 0]
        for _ in range(seconds):
            time.sleep(1)
            most = [max(old, one.resident()) for old, one in zip(most, (ours, theirs))]
        busy = [(one.busy() - at) / seconds for one, at in zip((ours, theirs), before)]
        return show(most, busy, firsts, seconds)
    finally:
        for process in reversed(running):
            process.end()


def of_buildbot(python, folder, running):
    """A worker of buildbot that is connected to its master."""
    port = free_port()
    master, worker = folder / "master", folder / "bb-worker"
    for one in (master, worker):
        one.mkdir()
    (master / "master.cfg").write_text(MASTER % port)
    (master / "buildbot.tac").write_text(
        "from twisted.application import service\nfrom buildbot.master import BuildMaster\n"
        "application = service.Application('buildmaster')\n"
        "BuildMaster('.', 'master.cfg', umask=None).setServiceParent(application)\n")
    (worker / "buildbot.tac").write_text(WORKER % port)
    (worker / "info").mkdir()
    bin_folder = python.parent
    subprocess.run([bin_folder / "buildbot", "upgrade-master", "--quiet", "."], cwd=master, check=True)
    twistd = [bin_folder / "twistd", "--nodaemon", "--no_save", "--python", "buildbot.tac"]
    running.append(Process(twistd, master))
    running[-1].wait_for("BuildMaster is running", 60)
    running.append(Process(twistd, worker))
    running[-1].wait_for("Connected to", 60)
    return running[-1]


def free_port():
    import socket
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def show(most, busy, firsts, seconds):
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors; {seconds} s of idling")
    print(f"{'':18}{'resident':>12}{'processor':>12}")
    for name, resident, share in zip(("octarm worker", "buildbot-worker"), most, busy):
        print(f"{name:18}{resident / 1e6:9.1f} MB{share * 100:10.3f} %")
    first = statistics.median(firsts)
    print(f"start to first poll: {first * 1000:.0f} ms (median of {len(firsts)}, most {max(firsts) * 1000:.0f} ms)")
    missed = [text for is_met, text in (
        (most[0] < RESIDENT, f"resident memory is not below {RESIDENT / 1e6:.0f} MB"),
        (busy[0] < BUSY, f"processor time is not below {BUSY * 100} %"),
        (first < FIRST_POLL, f"the first poll is not within {FIRST_POLL * 1000:.0f} ms"),
    ) if not is_met]
    print("\n".join(missed) if missed else "0 goals missed")
    return len(missed)


if __name__ == "__main__":
    main()
