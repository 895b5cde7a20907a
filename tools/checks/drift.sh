#!/usr/bin/env bash
# Shows on a clone of this tree that the checks can fail: a dependency taken out of
# Cargo.toml, a source file added, and an import across a forbidden edge each turn the
# sync check or the build red.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
. tools/bazel-offline/common.sh

work=$(mktemp -d -p /var/tmp)
export SIGNALBOX_BAZEL_OUTPUT=$STATE/out/drift
cleanup() {
    (cd "$work/clone" && tools/bazel shutdown) >"$work/log" 2>&1 || true
    rm -rf "$work" "$SIGNALBOX_BAZEL_OUTPUT"
}
trap cleanup EXIT
git clone --quiet . "$work/clone"
cargo build --quiet --locked -p signalbox-sync
sync=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/signalbox-sync
cd "$work/clone"

# red WHAT EXPECTED COMMAND...: the command must fail, and say EXPECTED.
red() {
    local what=$1 expected=$2
    shift 2
    if "$@" >"$work/log" 2>&1; then
        echo "FAILED: $what went unnoticed"
        exit 1
    fi
    grep -qE "$expected" "$work/log" || { tail -20 "$work/log"; echo "FAILED: $what failed for another reason"; exit 1; }
    printf 'red, as it must be: %s\n    %s\n' "$what" "$(grep -E "$expected" "$work/log" | head -1 | cut -c 1-160)"
    git checkout --quiet -- . && git clean -fdq
}

"$sync" check >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: the tree itself has drifted"; exit 1; }

sed -i '/^strsim/d' services/guardrails/Cargo.toml
cargo metadata --quiet --offline --format-version 1 >"$work/log" 2>&1 # the lock file follows
red "a dependency taken out of Cargo.toml" "BUILD says also @crates//:strsim" "$sync" check

echo '//! New.' >services/guardrails/src/new.rs
red "a source file that nothing declares" "src/new.rs" "$sync" check

echo '//! New.' >services/guardrails/src/new.rs
echo 'mod new;' >>services/guardrails/src/lib.rs
red "a source file that a crate declares" "src/new.rs" "$sync" check

echo 'signalbox-router.workspace = true' >"$work/dependency"
sed -i "/^signalbox-proto.workspace/r $work/dependency" services/guardrails/Cargo.toml
echo 'use signalbox_router as _;' >>services/guardrails/src/lib.rs
cargo metadata --quiet --offline --format-version 1 >"$work/log" 2>&1
"$sync" mend >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: mend"; exit 1; }
red "an import across a forbidden edge, mended into the BUILD file" "is not visible from" \
    tools/bazel build //services/guardrails
cd "$root"
