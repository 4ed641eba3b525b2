#!/usr/bin/env python3
"""Stages the ELB log processor for `octarm package pack`.

The folder holds `src/function/` (our code, the pinned dependency and the version) and, beside it, what belongs to
the package but not to the function. Two builds of the same sources give the same bytes.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = "3.12"
# What pip writes about the installation itself: it differs from machine to machine and no function reads it.
NOT_SHIPPED = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="the version that the function answers")
    parser.add_argument("--output", required=True, type=Path, help="the folder to stage into; must not exist")
    parser.add_argument("--without", action="append", default=[], metavar="REPORT", help="leave a report out")
    arguments = parser.parse_args()
    try:
        build(arguments.version, arguments.output, arguments.without)
    except BuildError as problem:
        sys.exit(f"build.py: {problem}")


class BuildError(Exception):
    pass


def build(version, output, without=()):
    if output.exists():
        raise BuildError(f"{output} exists; name a folder that does not")
    for name in without:
        if not (HERE / "src" / "reports" / f"{name}.py").is_file():
            raise BuildError(f"there is no report {name!r} in {HERE / 'src' / 'reports'}")

    try:
        stage(version, output, {f"{name}.py" for name in without})
    except BaseException:
        # A half-staged folder must never be packed.
        shutil.rmtree(output, ignore_errors=True)
        raise


def stage(version, output, left_out):
    function = output / "src" / "function"
    shutil.copytree(HERE / "package", output)
    shutil.copytree(
        HERE / "src",
        function,
        ignore=lambda folder, names: [
            name for name in names if name == "__pycache__" or (Path(folder).name == "reports" and name in left_out)
        ],
    )
    (function / "VERSION").write_text(version + "\n", encoding="utf-8")
    install_dependencies(function)


def install_dependencies(function):
    # Wheels for any platform and the Lambda's Python, never this machine's: what is built here has to run there.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-compile", "--require-hashes", "--only-binary=:all:", "--target", str(function)]
    command += ["--implementation", "py", "--abi", "none", "--platform", "any", "--python-version", RUNTIME]
    command += ["--requirement", str(HERE / "requirements.txt")]
    if subprocess.run(command, check=False).returncode != 0:
        raise BuildError("pip could not install requirements.txt (its message is above)")
    shutil.rmtree(function / "bin", ignore_errors=True)
    for folder in sorted(function.rglob("__pycache__")):
        shutil.rmtree(folder)
    for information in function.glob("*.dist-info"):
        for name in NOT_SHIPPED:
            (information / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
