#!/usr/bin/env bash
# Pacts: every consumer's tests write theirs anew, which must equal the committed ones;
# then the real binaries are verified against them, and broken on purpose.
#
#     contracts/pact/run.sh            what `make contracts` runs
#     contracts/pact/run.sh --write    replaces contracts/pacts by what the tests write
#
# Wants `cargo build --workspace --bins` done, and tools/setup/pact.sh. What the consumers'
# tests print is shown where they fail only.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tools/cache.sh
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export SIGNALBOX_TOOLS_DIR=$TOOLS
export SIGNALBOX_BINARIES=${SIGNALBOX_BINARIES:-$target/debug}
# A target folder of its own: nothing is shared with the workspace, not even the lock.
export CARGO_TARGET_DIR=$target/pact
# The Pact libraries would report each run to their makers.
export PACT_DO_NOT_TRACK=true

pact() { "$CARGO_TARGET_DIR/debug/signalbox-pact" "$@"; }

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
export SIGNALBOX_PACTS_OUT=$fresh/pacts
mkdir "$SIGNALBOX_PACTS_OUT"

quietly() {
  "$@" > "$fresh/log" 2>&1 || { cat "$fresh/log"; echo "FAILED: $*"; exit 1; }
}

here=contracts/pact
cargo() { command cargo "$1" --quiet --manifest-path "$here/Cargo.toml" "${@:2}"; }

cargo fmt --check --package signalbox-pact
cargo build --locked --bins --tests
quietly cargo test --locked --lib --bins --test consumers
quietly "$TOOLS/pact-python/bin/python" "$here/python/consumer_test.py"
quietly node --test "$here/js/"
if [ "${1:-}" = --write ]; then
  pact drift --write "$SIGNALBOX_PACTS_OUT"
  exit
fi
pact drift "$SIGNALBOX_PACTS_OUT"
pact check
quietly cargo test --locked --test broker
echo "published to and verified from a FAKE pact broker"
