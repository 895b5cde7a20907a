#!/usr/bin/env bash
# Everything that CI runs, each step named and timed. Stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."

. tools/step.sh

. tools/cache.sh
tools=$TOOLS
export SIGNALBOX_TOOLS_DIR=$tools
target=${CARGO_TARGET_DIR:-target}

googleapis() {
  cargo run -q --locked -p signalbox-proto --example descriptor_set |
    "$tools/python/bin/python" proto/tests/googleapis_wire.py
}

# The advisory database is fetched from the open internet: where that cannot be
# reached, everything else is still checked.
deny() {
  "$tools/bin/cargo-deny" check bans licenses sources || return 1
  # The Pact crates have a lock file of their own.
  "$tools/bin/cargo-deny" --manifest-path contracts/pact/Cargo.toml --config deny.toml \
    check bans licenses sources || return 1
  if "$tools/bin/cargo-deny" fetch db > "$target/advisories.log" 2>&1; then
    "$tools/bin/cargo-deny" check advisories
  else
    echo "advisories not checked: the advisory database cannot be reached from here"
  fi
}

# The check runs without network, and asks for crates that no build of ours compiles.
build_files() {
  cargo fetch --quiet --locked --target x86_64-unknown-linux-gnu &&
    cargo run -q --locked -p signalbox-sync -- check &&
    git ls-files '*.bazel' '*.bzl' | xargs "$tools/bin/buildifier" -mode=check -lint=warn
}

embeddings_bench() {
  "$tools/python/bin/python" tools/bench-embeddings/run_test.py &&
    "$tools/python/bin/python" tools/bench-embeddings/run.py \
      "$target/debug/signalbox-bench-embeddings" --smoke
}

# The tests run several models at once on all cores; one thread for each is fastest
# (docs/benchmarks/local-model.md).
export RAYON_NUM_THREADS=1

step "tools" tools/setup/all.sh
step "format" cargo fmt --all --check
step "tree" tools/check-tree.sh
step "build files" build_files
step "contract lint" "$tools/node/node_modules/.bin/buf" lint proto
step "contract format" "$tools/node/node_modules/.bin/buf" format --diff --exit-code proto
step "contract breaks nothing" tools/checks/baseline.sh proto
step "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
step "rustdoc" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
step "google.api equals googleapis" googleapis
step "dependencies" deny
step "build" cargo build --workspace --bins --locked
step "models" "$target/debug/signalbox" models pull
step "OpenAPI breaks nothing" env SIGNALBOX_BINARIES="$target/debug" tools/checks/baseline.sh openapi
step "reference embeddings" "$tools/python/bin/python" tools/fixtures/embeddings_reference.py --check
step "embeddings bench runs" embeddings_bench
step "tests" cargo test --workspace --locked --no-fail-fast
step "contracts" tools/contracts.sh
# Setting Bazel up needs root, where there is none; CI has no excuse.
if [ -n "${CI:-}" ] || [ "$(id -u)" = 0 ] || type -P bazel bazelisk > /dev/null; then
  step "bazel" tools/bazel-test.sh
else
  printf '\n== NOT RUN: bazel (put Bazel 7.7 on PATH, or run `make bazel-test` as root)\n'
fi
printf '\nall steps passed in %d s\n' $((SECONDS - begun))
