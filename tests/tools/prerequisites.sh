#!/bin/sh
# Checks that this machine has what octarm is built with (`build`), shown with (`demo`) or tested with (`test`).
# Silent when all is there; otherwise prints the one line that installs what is missing, and ends with 1.
# What the tests themselves start is installed when that needs nobody's password.
set -eu

purpose=${1:?usage: prerequisites.sh build|demo|test}
here=$(cd "$(dirname "$0")" && pwd)
packages=
for_tests=
problems=

has() { command -v "$1" >/dev/null 2>&1; }
needs_for_tests() { for_tests="$for_tests $1"; }
needs_package() { packages="$packages $1"; }
problem() {
    problems="$problems
  - $1"
}

# The lowest Rust that the manifest allows, as `major.minor`.
rust_wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$here/../../Cargo.toml")
if ! has cargo || ! has rustc; then
    problem "Rust $rust_wanted or newer is missing: see https://rustup.rs"
else
    rust_found=$(rustc --version | cut -d ' ' -f 2)
    lowest=$(printf '%s\n%s\n' "$rust_wanted" "${rust_found%%-*}" | sort -V | head -n 1)
    [ "$lowest" = "$rust_wanted" ] ||
        problem "Rust $rust_found is too old, $rust_wanted or newer is needed: run \`rustup update stable\`"
fi

# cc and c++ too, because that is what the crates call and what a machine with clang alone has.
has gcc || has cc || needs_package gcc
has g++ || has c++ || needs_package g++
has make || needs_package make

if [ "$purpose" != build ]; then
    if ! has python3; then
        needs_package python3
        needs_package python3-venv
    else
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
            problem "$(python3 --version) is too old, Python 3.10 or newer is needed"
        # Debian and Ubuntu leave these out of python3 itself.
        python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || needs_package python3-venv
    fi
fi

if [ "$purpose" = test ]; then
    if ! has node; then
        needs_package nodejs
    else
        node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' ||
            problem "Node $(node --version) is too old, Node 18 or newer is needed: see https://nodejs.org"
    fi
    has npm || needs_package npm

    has git || needs_for_tests git
    has zip || needs_for_tests zip
    has unzip || needs_for_tests unzip
    has bzip2 || needs_for_tests bzip2
    has 7zz || needs_for_tests 7zip
    has bsdtar || needs_for_tests libarchive-tools
    has jar || needs_for_tests default-jdk-headless
    has nuget || needs_for_tests nuget
    # Debian keeps it out of the path.
    { has initdb && has postgres; } || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
        needs_for_tests postgresql
fi

install_for_tests() {
    has apt-get || return 1
    root=
    if [ "$(id -u)" != 0 ]; then
        root='sudo -n'
        has sudo && $root true 2>/dev/null || return 1
    fi
    echo "installing what the tests start:$for_tests" >&2
    install="$root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --quiet=2"
    # A new machine has no lists of packages, an old one has lists of packages that are gone.
    $install $for_tests >/dev/null 2>&1 || { $root apt-get update --quiet=2 && $install $for_tests >/dev/null; } >&2
}
[ -z "$for_tests" ] || install_for_tests || packages="$packages$for_tests"

[ -n "$packages$problems" ] || exit 0
if [ -n "$packages" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo '
    echo "missing on this machine; on Debian and Ubuntu run:" >&2
    echo "  ${sudo}apt-get install --yes$packages" >&2
fi
[ -z "$problems" ] || echo "to put right by hand:$problems" >&2
exit 1
