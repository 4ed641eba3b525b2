#!/usr/bin/env python3
"""Measures `octarm package repack` beside what people use instead, all in one run, and holds the ratios against
the goals.

Three packages: "node" is node_modules of a web tool chain (about 4,500 small files), "native" one large program,
"py" three scientific libraries. Every round runs every command once, in an order that rotates, so that a busy
machine is equally unkind to all. Standard library only.
"""

import argparse
import ctypes
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Pinned: the figures of two runs are of the same bytes. The pins of "node" are in node/package-lock.json.
RUFF = ["ruff==0.5.7"]
PY = ["numpy==1.26.4", "pandas==2.2.2", "scipy==1.13.1"]
CPYTHON = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
LINUX = ["--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"]

# Wall time of `unzip && zip` over ours, at least.
FASTER = {"native": 15.0, "py": 20.0, "node": 40.0}
# CPU time of ours over that of `unzip -tqq`, at most.
CPU = 0.65
# Wall time of ours over that of `sha256sum; cp`, at most.
COPY = 2.0
# The same for the request body of a package that was verified before.
BODY = 0.9
# Peak memory of ours: so many bytes, and so many for an entry, at most.
PEAK, PEAK_ENTRY = 8 * 1000 * 1000, 300

REWRITE = """
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED) as new:
    for entry in old.infolist():
        new.writestr(entry, old.read(entry), zipfile.ZIP_DEFLATED)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--octarm", type=Path, help="the program; else a release build is made")
    parser.add_argument("--body", type=Path, help="the bench `body`; else a release build is made")
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "benches",
                        help="where packages are kept between runs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--packages", nargs="*", choices=list(FASTER), default=list(FASTER))
    options = parser.parse_args()
    options.octarm = (options.octarm or build("--bin", "octarm")).resolve()
    options.body = (options.body or build("--bench", "body")).resolve()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)

    show_machine(options)
    missed = []
    for name in options.packages:
        package = make(name, options)
        missed += measure(name, package, options)
    missed += measure_memory(options)
    if missed:
        print(f"\n{len(missed)} goals missed: {', '.join(missed)}")
        sys.exit(1)
    print("\nall goals reached")


def build(kind, name):
    """The program that cargo builds for release."""
    command = ["cargo", "build", "--locked", "--release", kind, name, "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return Path(next(
        message["executable"] for message in messages
        if message.get("executable") and message["target"]["name"] == name
    ))


def show_machine(options):
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    print(f"machine   {model}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, "
          f"Linux {platform.release()}")
    print(f"rounds    {options.rounds}, order rotated, medians")
    for command in ([options.octarm, "--version"], ["unzip", "-v"], ["zip", "-v"], ["sha256sum", "--version"]):
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        version = next((line for line in lines if any(c.isdigit() for c in line) and "Copyright" not in line), "?")
        print(f"          {version}")
    print(f"          Python {platform.python_version()}")


# Packages.


def run(command, **more):
    subprocess.run([str(part) for part in command], check=True, **more)


def make(name, options):
    """The package file, made when it is not there yet."""
    package = options.folder / f"{name}.1.0.0.zip"
    if package.exists():
        return package
    print(f"making the package {name}", file=sys.stderr)
    content = options.folder / f"content-{name}"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    {"node": fill_node, "native": fill_native, "py": fill_py}[name](content, options.folder)
    run([options.octarm, "package", "pack", content, "--id", name, "--version", "1.0.0", "--format", "zip",
         "--output", options.folder], stdout=subprocess.DEVNULL)
    shutil.rmtree(content)
    return package


def fill_node(content, _folder):
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / file, content)
    run(["npm", "ci", "--ignore-scripts", "--no-bin-links", "--no-audit", "--no-fund", "--loglevel=error"], cwd=content,
        stdout=subprocess.DEVNULL)


def wheels(folder, requirements, more):
    wheels = folder / "wheels"
    run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--only-binary", ":all:", *LINUX, *more, "--dest", wheels, *requirements])
    names = [requirement.split("==")[0] for requirement in requirements]
    return [wheel for wheel in sorted(wheels.iterdir()) if wheel.name.split("-")[0] in names]


def fill_native(content, folder):
    (wheel,) = wheels(folder, RUFF, [])
    with zipfile.ZipFile(wheel) as archive:
        (program,) = [entry for entry in archive.namelist() if entry.endswith("/scripts/ruff")]
        (content / "bootstrap").write_bytes(archive.read(program))
    (content / "bootstrap").chmod(0o755)


def fill_py(content, folder):
    for wheel in wheels(folder, PY, CPYTHON):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.namelist():
                if "tests" not in entry.split("/"):
                    archive.extract(entry, content)


# Measuring.


def spawn(command, folder):
    """Runs a command; returns its wall time and its CPU time with that of its children."""
    with open(os.devnull, "r+b") as null:
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdin=null, stdout=null, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def peak(command, folder):
    """Peak memory of a command in bytes. A process counts as its own what the one that started it had in
    memory, so the command is started by a small shell, and given to this process when that has ended."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
    shell = subprocess.Popen(["sh", "-c", '"$@" >/dev/null </dev/null &', "sh", *map(str, command)], cwd=folder)
    found = None
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if pid == shell.pid:
            shell.returncode = os.waitstatus_to_exitcode(status)
        else:
            if os.waitstatus_to_exitcode(status):
                raise SystemExit(f"{' '.join(map(str, command))} failed")
            found = usage.ru_maxrss * 1024
    return found


def commands(package, options, work):
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    memory = options.folder / f"{package.stem}.memory.json"
    memory.unlink(missing_ok=True)
    spawn([options.body, package, digest, memory], work)
    return {
        "octarm": [options.octarm, "package", "repack", package, "--folder", "", "--output", work / "octarm.zip"],
        "body": [options.body, package, digest, memory],
        "sha256sum; cp": ["sh", "-c", f"sha256sum '{package}'; cp '{package}' copy.zip"],
        "unzip -tqq": ["unzip", "-tqq", package],
        "unzip && zip": ["sh", "-c", f"unzip -q '{package}' -d content && cd content && zip -qr ../zip.zip ."],
        "python": [sys.executable, "-c", REWRITE, package, work / "python.zip"],
    }


def measure(name, package, options):
    work = options.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with zipfile.ZipFile(package) as archive:
        entries = archive.infolist()
    size, unzipped = package.stat().st_size, sum(entry.file_size for entry in entries)
    print(f"\n{name}: {len(entries)} files, {size / 1e6:.1f} MB, {unzipped / 1e6:.1f} MB unzipped")
    runs = commands(package, options, work)
    found = {label: [] for label in runs}
    labels = list(runs)
    for turn in range(options.rounds + 1):
        for label in labels[turn % len(labels):] + labels[:turn % len(labels)]:
            figures = spawn(runs[label], work)
            # The first round fills the caches.
            if turn:
                found[label].append(figures)
            for left in work.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def median(label, of):
        return statistics.median(figures[of] for figures in found[label])

    peaks = {label: peak(runs[label], work) for label in ("octarm", "body")}
    shutil.rmtree(work)
    print(f"  {'':16}{'wall ms':>10}{'CPU ms':>10}{'peak MB':>10}")
    for label in runs:
        memory = f"{peaks[label] / 1e6:10.1f}" if label in peaks else ""
        print(f"  {label:16}{median(label, 0) * 1e3:10.1f}{median(label, 1) * 1e3:10.1f}{memory}")

    def wall(one, other):
        # Of the ratios within each round: what slows a round slows both.
        return statistics.median(a[0] / b[0] for a, b in zip(found[one], found[other]))

    goals = Goals(name)
    goals.least("wall against unzip && zip", wall("unzip && zip", "octarm"), FASTER[name])
    goals.least("CPU against unzip && zip", median("unzip && zip", 1) / median("octarm", 1), FASTER[name])
    goals.most("CPU against unzip -tqq", median("octarm", 1) / median("unzip -tqq", 1), CPU)
    goals.most("wall against sha256sum; cp", wall("octarm", "sha256sum; cp"), COPY)
    goals.most("body against sha256sum; cp", wall("body", "sha256sum; cp"), BODY)
    goals.most("peak MB", peaks["octarm"] / 1e6, (PEAK + PEAK_ENTRY * len(entries)) / 1e6)
    return goals.missed


class Goals:
    def __init__(self, name):
        self.name, self.missed = name, []

    def least(self, what, found, goal):
        self.show(what, found, "at least", goal, found >= goal)

    def most(self, what, found, goal):
        self.show(what, found, "at most", goal, found <= goal)

    def show(self, what, found, bound, goal, reached):
        print(f"  {'reached' if reached else 'MISSED ':8}{what:28}{found:8.2f}  ({bound} {goal:.2f})")
        if not reached:
            self.missed.append(f"{self.name}: {what}")


# Memory, for small and large alike.


def measure_memory(options):
    print("\npeak memory")
    work = options.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    conventions = work / "conventions"
    conventions.mkdir()
    text = (ROOT / "conventions" / "package.toml").read_text()
    (conventions / "package.toml").write_text(text.replace("unzipped_size = 262_144_000", "unzipped_size = 2_000_000_000"))
    missed = []
    for name, size, count in (("1 MB", 1, 1), ("500 MB", 500, 50), ("60,000 files", 10, 60_000)):
        package = random_package(options.folder / f"random-{size}-{count}.1.0.0.zip", size * 1_000_000, count)
        found = peak([options.octarm, "package", "repack", package, "--conventions", conventions,
                      "--output", work / "out.zip"], work)
        goals = Goals(name)
        goals.most(f"peak MB of {name}", found / 1e6, (PEAK + PEAK_ENTRY * count) / 1e6)
        missed += goals.missed
    shutil.rmtree(work)
    return missed


def random_package(path, size, count):
    """Files that deflate hardly shrinks, each deflated once; names as long as they are in practice."""
    if not path.exists():
        source = random.Random(1)
        with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(count):
                # Six bits of eight: some work for whoever inflates it.
                content = source.randbytes(size // count).translate(bytes(b & 0xFB for b in range(256)))
                archive.writestr(f"node_modules/some-package/lib/directory/file-{number:06}.js", content)
        path.with_suffix(".part").rename(path)
    return path


if __name__ == "__main__":
    main()
