#!/usr/bin/env bash
# Shows what a build does after nothing has changed, and after one line of one service
# has: seconds, and every action that ran. Run after `tools/bazel build //...`.
set -euo pipefail
cd "$(dirname "$0")/../.."

file=services/guardrails/src/policy/mod.rs
git diff --quiet -- "$file" || { echo "$file has changes; commit them first" >&2; exit 2; }
log=$(mktemp)
# In Bazel's own folder, which it sees under the same name wherever it runs.
actions=$(tools/bazel info output_base 2>"$log")/incremental.json
trap 'git checkout --quiet -- "$file"; rm -f "$log" "$actions"' EXIT

# build NAME: builds everything, and prints what ran.
build() {
    local from=$EPOCHREALTIME to
    rm -f "$actions"
    tools/bazel build --execution_log_json_file="$actions" //... >"$log" 2>&1 || { tail -20 "$log"; exit 1; }
    to=$EPOCHREALTIME
    printf '%s: %d.%d s; %s\n' "$1" $(((${to/./} - ${from/./}) / 1000000)) $(((${to/./} - ${from/./}) / 100000 % 10)) \
        "$(sed -n 's/^INFO: \([0-9]* process.*\)/\1/p' "$log")"
    ran=$(sed -nE 's/^ *"targetLabel": *"(@@)?(.*)",?$/\2/p' "$actions" | sort | uniq -c)
    [ -z "$ran" ] || echo "$ran"
}

build "before"
build "nothing changed"
printf '\n/// A line more.\npub(crate) const CHANGED: &str = "%s";\nconst _: &str = CHANGED;\n' "$RANDOM" >>"$file"
build "one service changed"
grep -qE ' //services/guardrails:guardrails$' <<<"$ran" || { echo "FAILED: the changed library was not rebuilt"; exit 1; }
if grep -E ' (//(services/(router|embeddings|encoder|chassis|transcode)|proto|tools)[:/]|@)' <<<"$ran"; then
    echo "FAILED: the targets above were rebuilt, which nothing has changed for"
    exit 1
fi
echo "ok: only the changed service, and what holds it, was rebuilt"
