"""Writes `first.ld`: the functions that `octarm package repack` and `inspect` run, to be laid side by side.

    order.py OCTARM PACKAGE...

Needs valgrind and nm, and OCTARM as a release build with its symbols. What is in the file stays, and what ran besides is
added; without the file it begins anew, and needs a program that was linked without it. To be run when much of what a
small command runs has changed: a name that is no longer there does no harm, one that is missing costs 64 KiB.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from bisect import bisect_right
from pathlib import Path

FILE = Path(__file__).with_name("first.ld")
LOOSE = 5  # a name that stands for more than so many times the code that ran comes after those that do not


def main():
    program, packages = sys.argv[1], sys.argv[2:]
    functions = sorted(defined(program))
    starts = [start for start, _, _ in functions]
    ran = set()
    with tempfile.TemporaryDirectory() as work:
        for package in packages:
            for command in (["repack", package, "--output", f"{work}/out.zip", "--json"], ["inspect", package]):
                for address in executed([program, "package", *command], f"{work}/calls"):
                    ran.add(functions[bisect_right(starts, address) - 1])
    whole, needed = Counter(), Counter()
    for _, size, name in functions:
        whole[pattern(name)] += size
    for _, size, name in ran:
        needed[pattern(name)] += size
    # What the linker has put into the first section already is not seen to run: valgrind knows one section of code.
    known = re.findall(r"\*\(\.text\.(\S+)", FILE.read_text()) if FILE.exists() else []
    loose = {name for name in needed if whole[name] > LOOSE * needed[name]}
    new = needed.keys() - set(known)
    names = known + sorted(new - loose) + sorted(new & loose, key=lambda name: (whole[name], name))
    lines = "".join(f"        *(.text.{name} .text.unlikely.{name})\n" for name in names)
    FILE.write_text(
        "/* Made by order.py: the functions that a small command runs, side by side. */\n"
        f"SECTIONS\n{{\n    .text.first :\n    {{\n{lines}    }}\n}}\nINSERT BEFORE .text;\n"
    )
    print(f"{len(names)} names, {len(names) - len(known)} of them new: {sum(whole[name] for name in names)} bytes")


def defined(program):
    """Start, size and name of each function."""
    table = subprocess.run(["nm", "-S", "--defined-only", program], check=True, capture_output=True, text=True)
    for line in table.stdout.splitlines():
        start, size, kind, *name = line.split()
        if name and kind in "tTwW":
            yield int(start, 16), int(size, 16), name[0]


def executed(command, calls):
    """The addresses within the program at which something ran."""
    subprocess.run(
        ["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={calls}", *command],
        check=True, capture_output=True,
    )
    objects, current, address = {}, "", 0
    for line in Path(calls).read_text().splitlines():
        if found := re.match(r"(c?)ob=\((\d+)\)(?: (.*))?", line):
            if found[3]:
                objects[found[2]] = found[3]
            if not found[1]:
                current = objects[found[2]]
        elif found := re.match(r"(0x[0-9a-f]+|[+-]\d+|\*) \S+ \d", line):
            if found[1].startswith("0x"):
                address = int(found[1], 16)
            elif found[1] != "*":
                address += int(found[1])
            if current == str(Path(command[0]).resolve()):
                yield address


def pattern(name):
    """The name without what changes from build to build: hashes, numbers of crates and of copies."""
    name = re.sub(r"17h[0-9a-f]{16}E.*", "17h*", name)
    name = re.sub(r"\.llvm\.\d+$", "*", name)
    return re.sub(r"Cs[0-9A-Za-z]{6,}_", "Cs*_", name)


if __name__ == "__main__":
    main()
