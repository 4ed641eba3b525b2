#!/usr/bin/env python3
"""octarm from end to end on one machine: an AWS emulator, the deployment server, two environments with a worker each,
and a function that is deployed to both in version 1.0.0, then to one of them in 1.1.0.

Nothing leaves 127.0.0.1, except that the build of the function fetches its dependency from PyPI. All that is started
is ended again, whatever happens, and all that is written lies in a temporary folder.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from narration import Narration
from processes import Daemon, Failed, bearers_of, describe_exit, last_lines, run

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "elb-log-processor"
FUNCTIONS = Path(__file__).resolve().with_name("functions.py")
EVENT = EXAMPLE / "events" / "requests.json"

PACKAGE = "ELBLogProcessorFunction"
PROJECT = "ELBLogProcessor"
ENVIRONMENTS = ("CI", "Staging")
REGION = "eu-west-1"
# What the emulator takes from anyone. Long enough that hiding them in a log hides nothing else.
DEPLOYMENT_KEY = "demo-deployment-key"
DEPLOYMENT_SECRET = "demo-deployment-secret"

START = 30  # seconds a daemon may take to be ready
STEP = 120  # seconds a command may take


def function_of(environment):
    return f"{environment}-{PACKAGE}"


class Interrupted(BaseException):
    """Ctrl-C, or the terminal or the system asks the demo to end."""


class Signals:
    """Turns signals into an exception, but never between the start of a program and the note of its id."""

    def __init__(self):
        self.held = 0
        self.pending = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._arrived)

    def _arrived(self, number, _frame):
        if self.held:
            self.pending = number
        else:
            raise Interrupted(signal.Signals(number).name)

    @contextlib.contextmanager
    def hold(self):
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
            if self.pending is not None and not self.held:
                number, self.pending = self.pending, None
                raise Interrupted(signal.Signals(number).name)


class Demo:
    def __init__(self, octarm, tools, scratch, say, signals):
        self.octarm_program = octarm
        self.python = tools / "venv" / "bin" / "python"
        self.ministack_program = tools / "venv" / "bin" / "ministack"
        self.scratch = scratch
        self.say = say
        self.signals = signals
        self.daemons = []
        self.workers = {}
        self.environment = clean_environment(scratch)

    # The story.

    def tell(self):
        self.say.title("octarm: one function, two environments, two versions. All of it on this machine.")
        self.start_emulator()
        self.start_server()
        self.create_functions()
        self.create_project()
        self.start_workers()
        self.publish("1.0.0", "nupkg", without=("targets",))
        self.deploy_to_all("1.0.0")
        before = self.check({"CI": "1.0.0", "Staging": "1.0.0"})
        self.publish("1.1.0", "zip")
        self.deploy_and_follow("1.1.0", "CI")
        after = self.check({"CI": "1.1.0", "Staging": "1.0.0"})
        if before["Staging"] != after["Staging"]:
            raise Failed("the code of the Staging function changed, and nothing was deployed to Staging")
        self.retire_workers()

    def start_emulator(self):
        self.say.step("Start an AWS emulator")
        for attempt in range(3):
            port = free_port()
            environment = self.environment | {
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": REGION,
                "SERVICES": "lambda,sts,iam,logs",
                # It opens other ports and cleans up in Docker by default; the demo needs neither.
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
                "DOCKER_HOST": f"unix://{self.scratch}/no-docker",
            }
            self.say.command(["ministack"], prefix=f"BIND_HOST=127.0.0.1 GATEWAY_PORT={port} ")
            emulator = self.start("ministack", [self.ministack_program], environment)
            try:
                emulator.wait_for("being ready", lambda: get_json(f"http://127.0.0.1:{port}/_ministack/ready"), START)
                break
            except Failed:
                # Someone else may have taken the port since it was found free.
                taken = any("already in use" in line for line in last_lines(emulator.log, 20))
                if not taken or attempt == 2:
                    raise
        self.environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        self.say.done(f"AWS_ENDPOINT_URL={self.environment['AWS_ENDPOINT_URL']}")

    def start_server(self):
        self.say.step("Start the deployment server")
        words = ["server", "run", "--data", "server", "--listen", "127.0.0.1:0", "--address-file", "server-address"]
        self.say.command(["octarm", *words])
        server = self.start("server", [self.octarm_program, *words])
        address = self.scratch / "server-address"
        key = self.scratch / "server" / "first-api-key"
        url = server.wait_for("naming its address", lambda: text_of(address), START)
        server.wait_for("writing its first API key", lambda: text_of(key), START)
        if key.stat().st_mode & 0o077:
            raise Failed(f"others than its owner may read {key}", server.log)
        self.environment["OCTARM_SERVER"] = url
        self.environment["OCTARM_API_KEY_FILE"] = "server/first-api-key"
        self.say.done(f"OCTARM_SERVER={url} OCTARM_API_KEY_FILE=server/first-api-key")

    def create_functions(self):
        self.say.step("Set up the AWS side of both environments: octarm updates functions, it does not create them")
        for environment in ENVIRONMENTS:
            made = self.functions("create", function_of(environment))
            self.say.done(f"{made['function']} is {made['state']}, with placeholder code of {made['size']} bytes")

    def create_project(self):
        self.say.step("Tell the server about the environments and the project")
        for environment in ENVIRONMENTS:
            self.octarm("environment", "create", environment)
        self.octarm("project", "create", PROJECT, "--package", PACKAGE)

    def start_workers(self):
        self.say.step("Register a worker for each environment and run it")
        credentials = {
            "AWS_DEPLOYMENT_KEY": DEPLOYMENT_KEY,
            "AWS_DEPLOYMENT_SECRET": DEPLOYMENT_SECRET,
            "AWS_DEPLOYMENT_REGION": REGION,
        }
        for environment in ENVIRONMENTS:
            name = f"{environment.lower()}-worker"
            self.octarm("worker", "register", "--name", name, "--environment", environment, "--state", name)
            words = ["worker", "run", "--state", name]
            self.say.command(["octarm", *words], prefix="AWS_DEPLOYMENT_KEY=… AWS_DEPLOYMENT_SECRET=… ")
            # A worker knows its server and its own key from its folder; the API key is for people.
            own = {key: value for key, value in self.environment.items() if not key.startswith("OCTARM_")}
            self.workers[name] = self.start(name, [self.octarm_program, *words], own | credentials)

    def publish(self, version, form, without=()):
        self.say.step(f"Build, pack and push {PACKAGE} {version}")
        staged = f"staged-{version}"
        words = [EXAMPLE / "build.py", "--version", version, "--output", staged]
        words += [word for name in without for word in ("--without", name)]
        self.say.command(["python3", os.path.relpath(words[0]), *words[1:]])
        # The one command that needs the network: with the person's own proxy and index settings.
        self.run([self.python, "-B", *words], dict(os.environ))
        self.octarm("package", "pack", staged, "--id", PACKAGE, "--version", version, "--format", form, "--output", "packages")
        package = self.scratch / "packages" / f"{PACKAGE}.{version}.{form}"
        if not package.is_file():
            raise Failed(f"packing should have written {package.relative_to(self.scratch)}")
        self.octarm("package", "push", package.relative_to(self.scratch))
        self.octarm("release", "create", "--project", PROJECT, "--version", version, "--package", f"{PACKAGE}:{version}")

    def deploy_to_all(self, version):
        self.say.step(f"Deploy release {version} to {' and '.join(ENVIRONMENTS)}")
        targets = [word for environment in ENVIRONMENTS for word in ("--environment", environment)]
        self.octarm("release", "deploy", "--project", PROJECT, "--version", version, *targets, "--wait")

    def deploy_and_follow(self, version, environment):
        self.say.step(f"Deploy release {version} to {environment} only, and follow its log")
        answer = self.octarm("release", "deploy", "--project", PROJECT, "--version", version, "--environment", environment)
        task = re.search(r"\bServerTasks-\d+\b", answer)
        if task is None:
            raise Failed("`octarm release deploy` named no task to follow")
        self.octarm("task", "logs", task[0], "-f")

    def check(self, expected):
        """Invoke every function and hold its answer against what was deployed. Answers the digests of the code."""
        self.say.step("Ask the functions: " + ", ".join(f"{name} should be {version}" for name, version in expected.items()))
        digests = {}
        for environment, version in expected.items():
            name = function_of(environment)
            found = self.functions("invoke", name, EVENT)
            answer = found["answer"]
            if answer.get("version") != version:
                raise Failed(f"{name} answers version {answer.get('version')}, expected {version}: {json.dumps(answer)}")
            asked = len(json.loads(EVENT.read_text(encoding="utf-8"))["lines"])
            if answer["requests"] != asked or answer["unreadable"]:
                raise Failed(f"{name} read {answer['requests']} of {asked} log lines: {json.dumps(answer)}")
            if ("targets" in answer) != (version == "1.1.0"):
                raise Failed(f"the report on targets is new in 1.1.0, and {name} {version} answers {json.dumps(answer)}")
            statuses = ", ".join(f"{count}× {status}" for status, count in answer["statuses"].items())
            self.say.done(f"{name} answers {version}: {answer['requests']} requests ({statuses})")
            for target in answer.get("targets", [])[:1]:
                self.say.note(f"  new in {version}: the slowest target is {target['target']}, {target['slowest']} s")
            digests[environment] = found["code_sha256"]
        return digests

    def retire_workers(self):
        self.say.step("Take the environments down: stop the workers and deregister them")
        for name, worker in self.workers.items():
            self.say.command(["kill", "-TERM", worker.pid])
            code = worker.stop(START)
            if code != 0:
                raise Failed(f"{name} should end by itself with exit code 0 on SIGTERM, {exit_or_silence(code)}", worker.log)
            self.say.done(f"{name} has finished its work and ended")
            self.octarm("worker", "deregister", "--state", name)

    # How the steps run things.

    def start(self, name, command, environment=None):
        with self.signals.hold():
            daemon = Daemon(name, command, environment or self.environment, self.scratch, self.scratch / f"{name}.log")
            self.daemons.append(daemon)
        return daemon

    def octarm(self, *words):
        self.say.command(["octarm", *words])
        return self.run([self.octarm_program, *words], self.environment)

    def functions(self, *words):
        shown = [word.name if isinstance(word, Path) else word for word in words]
        self.say.command(["functions.py", *shown])
        credentials = {
            "AWS_ACCESS_KEY_ID": DEPLOYMENT_KEY,
            "AWS_SECRET_ACCESS_KEY": DEPLOYMENT_SECRET,
            "AWS_DEFAULT_REGION": REGION,
        }
        answer = self.run([self.python, "-B", FUNCTIONS, *words], self.environment | credentials, shown=False)
        return json.loads(answer.splitlines()[-1])

    def run(self, command, environment, shown=True):
        alive = [daemon for daemon in self.daemons if daemon.process.returncode is None]
        on_line = self.say.output_line if shown else lambda line: None
        code, output = run(command, environment, self.scratch, STEP, on_line, alive)
        if code != 0:
            words = " ".join(str(word) for word in command[1:4] if str(word) != "-B")
            said = "" if shown else "\n" + output.rstrip()
            raise Failed(f"`{Path(str(command[0])).name} {words} …` ended with {describe_exit(code)}{said}")
        return output

    def end_all(self):
        """Ends what is left, the last started first. Answers the ids of processes that would not end."""
        left = []
        for daemon in reversed(self.daemons):
            left += daemon.end(seconds=10)
        for stray in bearers_of(f"TMPDIR={self.environment['TMPDIR']}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        return left


def clean_environment(scratch):
    """The environment of all that the demo runs: nothing of the person's AWS or octarm settings, no proxies."""
    ours = re.compile(r"(AWS|OCTARM|OCTOPUS|MINISTACK|LOCALSTACK)_|.*_PROXY$|PYTHON(HOME|PATH)$", re.IGNORECASE)
    kept = {key: value for key, value in os.environ.items() if not ours.match(key)}
    temporary = scratch / "tmp"
    temporary.mkdir()
    return kept | {
        "TMPDIR": str(temporary),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get_json(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, ValueError, urllib.error.URLError):
        with direct.open(url, timeout=5) as answer:
            return json.load(answer)
    return None


def text_of(path):
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8").strip()
    return None


def exit_or_silence(code):
    return "and did not end in time" if code is None else f"not with {describe_exit(code)}"


def show_logs(demo, failed_log):
    for daemon in demo.daemons:
        # The log that the failure names in full length, of the others enough to see whether they matter.
        count = 40 if daemon.log == failed_log else 12
        lines = last_lines(daemon.log, count)
        if lines:
            demo.say.note(f"the last lines of {daemon.log}:")
            for line in lines:
                demo.say.output_line(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octarm", required=True, type=Path, help="the octarm program")
    parser.add_argument("--tools", required=True, type=Path, help="the folder that `make tools` fills")
    arguments = parser.parse_args()
    octarm, tools = arguments.octarm.resolve(), arguments.tools.absolute()
    for needed in (octarm, tools / "venv" / "bin" / "ministack"):
        if not needed.is_file():
            sys.exit(f"demo.py: {needed} does not exist; `make demo` builds and installs what the demo needs")

    say, signals = Narration(), Signals()
    scratch = Path(tempfile.mkdtemp(prefix="octarm-demo-"))
    demo = Demo(octarm, tools, scratch, say, signals)
    code = 1
    try:
        demo.tell()
        code = 0
    except Failed as problem:
        say.failure(problem)
        show_logs(demo, problem.log)
    except Interrupted as problem:
        say.failure(f"interrupted by {problem}")
        code = 130
    except Exception:
        say.failure("a mistake in the demo itself")
        show_logs(demo, None)
        raise
    finally:
        # A second Ctrl-C must not leave half of the programs running; this takes seconds at most.
        signals.held += 1
        left = demo.end_all()
        if left:
            say.note(f"these processes could not be ended: {' '.join(map(str, left))}")
            code = code or 1
        if code in (0, 130):
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            say.note(f"packages, logs and state are kept in {scratch}")
    if code == 0:
        say.success("CI runs 1.1.0, Staging still runs 1.0.0; everything that was started has ended")
    sys.exit(code)


if __name__ == "__main__":
    main()
