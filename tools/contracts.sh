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
step "breaking edits" tools/checks/breaking.sh
step "release command" tools/checks/release_baseline.sh
step "consumers" contracts consumers
step "conformance" contracts conformance
step "kong" tools/checks/gateway.sh
step "mesh" contracts mesh
# A check of a policy is worth something if it fails without the policy.
step "mesh without policies" contracts mesh --without-policies
step "old clients" tools/checks/old_clients.sh
step "reflection" contracts explore
step "documents" contracts readme
step "load smoke" python3 tools/load/run.py "$target/debug" --smoke
step "pacts" contracts/pact/run.sh
step "hard cases of the protocol" contracts hard
printf '\ncontracts hold, %d s\n' $((SECONDS - begun))
