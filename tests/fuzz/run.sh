#!/bin/sh
# Tries random input on every fuzz target for some seconds each: run.sh FOLDER SECONDS [SEED]
#
# What is built, and the inputs that reached something new, stay in FOLDER for the next run; an input that fails is kept
# there too, and is shown. Nothing is written into the committed corpus. With a SEED the same inputs are tried each time,
# from the committed corpus alone: so a change is judged by what it does, and not by the luck of the day.
set -eu

# What `make fuzz` installs where it is missing.
VERSION=0.13.2

folder=${1:?usage: run.sh FOLDER SECONDS}
seconds=${2:?usage: run.sh FOLDER SECONDS}
seed=${3:-0} # which libFuzzer takes for a random one
here=$(cd "$(dirname "$0")" && pwd)

cargo fuzz --version >/dev/null 2>&1 || cargo install --locked --quiet "cargo-fuzz@$VERSION"
# Without a sanitizer, because those need a nightly compiler; octarm has no unsafe code that they would watch.
cargo fuzz build --fuzz-dir "$here" --sanitizer none --target-dir "$folder"
programs=$folder/$(rustc --version --verbose | sed -n 's/^host: //p')/release

failed=
for corpus in "$here"/corpus/*; do
    target=$(basename "$corpus")
    [ "$seed" = 0 ] || rm -rf "${folder:?}/found/$target"
    mkdir -p "$folder/found/$target" "$folder/failed/$target"
    log=$folder/$target.log
    if "$programs/$target" -seed="$seed" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -dict="$here/dictionary/$target" -artifact_prefix="$folder/failed/$target/" \
        "$folder/found/$target" "$corpus" >"$log" 2>&1; then
        echo "$target: $(sed -n 's/^Done //p' "$log")"
    else
        failed="$failed $target"
        echo "$target: FAILED, see $log" >&2
        grep -v -E '^#|^ +[0-9]+: |^ +at ' "$log" | tail -n 30 >&2
    fi
done
[ -z "$failed" ] || exit 1
