#!/usr/bin/env bash
# What `make bazel-test` runs: everything, built and tested by Bazel, and what is claimed
# of that build.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/step.sh

trap 'tools/bazel shutdown >/dev/null 2>&1 || true' EXIT
step "bazel set-up" tools/bazel info release
step "bazel build" tools/bazel build --config=ci //...
step "bazel test" tools/bazel test --config=ci //...
step "bazel run" tools/bazel run --config=ci --run_under="$PWD/tools/run.sh" //services/signalbox -- --exit
step "bazel is closed" tools/checks/hermetic.sh
step "drift turns red" tools/checks/drift.sh
step "images" tools/checks/images.sh
# Last: what it changes and restores is built anew by whatever comes after it.
step "bazel builds what changed" tools/checks/incremental.sh
printf '\nall steps passed in %d s\n' $((SECONDS - begun))
