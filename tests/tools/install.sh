#!/bin/sh
# Installs the pinned tools of the demo and the tests into a folder, and does nothing when they are there already.
#
#   install.sh python DIR    DIR/venv: ministack (an AWS emulator) with botocore, pypus (a client of Octopus's API),
#                            schemathesis (asks an API at random), and what the example needs
#   install.sh node DIR      DIR/node_modules: three clients of Octopus's API, and packers
#
# What is installed is known by a digest of the pins, not by times: a fresh clone has new times and the same pins.
set -eu

kind=${1:?usage: install.sh python|node DIR}
tools=${2:?usage: install.sh python|node DIR}
here=$(cd "$(dirname "$0")" && pwd)
example=$here/../../packaging/examples/elb-log-processor

digest() { cat "$@" | cksum | tr ' ' '-'; }

# `fresh STAMP DIGEST`: is what lies there what the pins say?
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

mkdir -p "$tools"
case $kind in
python)
    stamp=$tools/venv/.pins
    pins=$(python3 --version | cut -d ' ' -f 2)-$(digest "$here/requirements.txt" "$example/requirements.txt")
    # The interpreter is asked too: a system upgrade takes it away from under a venv.
    if fresh "$stamp" "$pins" && "$tools/venv/bin/python" -c '' 2>/dev/null; then exit 0; fi
    echo "installing the Python tools into $tools/venv"
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv"
    # Nothing is looked up: what is needed stands in the files, and overrides.in says where that differs from what
    # packages ask for.
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
        --only-binary=:all: --requirement "$here/requirements.txt" --requirement "$example/requirements.txt"
    ;;
node)
    stamp=$tools/node_modules/.pins
    pins=$(digest "$here/package.json" "$here/package-lock.json")
    if fresh "$stamp" "$pins"; then exit 0; fi
    echo "installing the Node tools into $tools/node_modules"
    rm -rf "$tools/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$tools/"
    (cd "$tools" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    ;;
*)
    echo "install.sh: there is no kind \`$kind\`, only python and node" >&2
    exit 2
    ;;
esac
echo "$pins" >"$stamp"
