#!/usr/bin/env bash
# Everything that holds the contract, each step named and timed; stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."

. tools/step.sh

target=${CARGO_TARGET_DIR:-target}
export SIGNALBOX_BINARIES=$target/debug

contracts() { "$target/debug/signalbox-contracts" "$@"; }

step "build" cargo build --workspace --bins --locked
step "models" "$target/debug/signalbox" models pull
step "consumers" contracts consumers
step "hard cases of the protocol" contracts hard
printf '\ncontracts hold, %d s\n' $((SECONDS - begun))
