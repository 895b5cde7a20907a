#!/usr/bin/env bash
# Shows on a clone that the release command moves the baseline when it may, and only then.
set -euo pipefail
cd "$(dirname "$0")/../.."

binaries=${SIGNALBOX_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
SIGNALBOX_BINARIES=$(realpath "$binaries")
export SIGNALBOX_BINARIES
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet . "$work/clone"
cd "$work/clone"

commit() { git -c user.name=check -c user.email=check@localhost commit --quiet --all --message check; }

# refused WHAT EXPECTED: the command must fail, say EXPECTED and leave the baseline alone.
refused() {
    if tools/release/baseline.sh >"$work/log" 2>&1; then
        echo "FAILED: the baseline was moved: $1"
        exit 1
    fi
    grep -q "$2" "$work/log" || { cat "$work/log"; echo "FAILED: $1 was refused for another reason"; exit 1; }
    git diff --quiet HEAD -- contracts/baseline || { echo "FAILED: refused, and written all the same"; exit 1; }
    printf 'refused, as it must be: %s\n    %s\n' "$1" "$(tail -1 "$work/log")"
}

refused "a version that was not raised" "raise the version first"

sed -i '/^\[workspace.package\]/,/^$/s/^version = .*/version = "999.0.0"/' Cargo.toml
refused "a tree with changes" "not committed"

commit
sed -i '/^message Finding {/,/^}/{/ score = 7;/d}' proto/signalbox/guardrails/v1/guardrails.proto
commit
refused "a contract that breaks" "put the break into a new package"

git reset --quiet --hard HEAD~1
sed -i 's|^message Finding {|&\n  // New.\n  string language = 99;|' proto/signalbox/guardrails/v1/guardrails.proto
commit
tools/release/baseline.sh >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: a good release was refused"; exit 1; }
[ "$(cat contracts/baseline/VERSION)" = 999.0.0 ]
git diff --quiet HEAD -- contracts/baseline/signalbox.binpb && { echo "FAILED: the descriptor set did not move"; exit 1; }
tools/checks/baseline.sh proto && tools/checks/baseline.sh openapi >"$work/log"
printf 'moved, as it must be: a raised version with a field more\n    %s\n' "$(git status --short | tr -s '\n ' ' ')"
