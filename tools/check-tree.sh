#!/usr/bin/env bash
# What no file of the tree may hold: a registry's address in a lock file, a path of
# somebody's machine, a file that is too large to be source.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
complain() { printf '%s\n' "$1"; bad=1; }

# Cargo.lock names crates.io by its public index; nothing else may name a host.
hosts=$(git grep -nE '"resolved": *"https?://' -- '*package-lock.json' || true)
[ -z "$hosts" ] || complain "lock file names a registry host (use omit-lockfile-registry-resolved): $hosts"
paths=$(git grep -nE '(/root/|/home/[a-z]{2,}/)' -- ':!tools/check-tree.sh' || true)
[ -z "$paths" ] || complain "path of a machine: $paths"
while IFS= read -r file; do
  size=$(stat -c %s "$file")
  [ "$size" -le 2097152 ] || complain "over 2 MiB: $file ($size bytes)"
done < <(git ls-files)
while IFS= read -r file; do
  lines=$(wc -l < "$file")
  [ "$lines" -le 700 ] || complain "over 700 lines, split it: $file ($lines)"
done < <(git ls-files '*.rs')
exit $bad
