#!/usr/bin/env bash
# Shows what a build does after nothing has changed, and after one line of one service
# has: seconds, and every action that ran. Run after `tools/bazel build //...`.
set -euo pipefail
cd "$(dirname "$0")/../.."

file=services/guardrails/src/policy.rs
git diff --quiet -- "$file" || { echo "$file has changes; commit them first" >&2; exit 2; }
log=$(mktemp)
trap 'git checkout --quiet -- "$file"; rm -f "$log" "$log".*' EXIT

# build NAME: builds everything, and prints what ran.
build() {
    local from=$EPOCHREALTIME to
    tools/bazel build --execution_log_json_file="$log.json" //... >"$log" 2>&1 || { tail -20 "$log"; exit 1; }
    to=$EPOCHREALTIME
    printf '%s: %d.%d s; %s\n' "$1" $(((${to/./} - ${from/./}) / 1000000)) $(((${to/./} - ${from/./}) / 100000 % 10)) \
        "$(sed -n 's/^INFO: \([0-9]* process.*\)/\1/p' "$log")"
    grep -o '"targetLabel": *"[^"]*"' "$log.json" | sed 's/.*"\(.*\)"$/\1/; s/^@@\/\//\/\//' | sort | uniq -c | sed 's/^/  /' || true
}

build "before"
build "nothing changed"
sed -i '0,/^\/\/! /s//\/\/! (changed) /' "$file"
git diff --quiet -- "$file" && { echo "the change was not made" >&2; exit 1; }
# A comment is not in the outputs: add a line that is.
printf '\n/// A line more.\npub(crate) const CHANGED: &str = "%s";\nconst _: &str = CHANGED;\n' "$RANDOM" >>"$file"
build "one service changed"
if grep -o '"targetLabel": *"[^"]*"' "$log.json" | grep -qE '//(services/(router|embeddings|encoder|chassis|transcode)|proto|tools/models)[:"/]'; then
    echo "FAILED: another service was rebuilt"
    exit 1
fi
echo "ok: only the changed service, and what holds it, was rebuilt"
