# Shared by the scripts beside it; sourced, never run. Names and times a step, and stops
# at the first that fails.
#
# A function given to `step` runs without `set -e`: it ends each line that may fail with
# `|| return 1`.

begun=$SECONDS
step() {
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  local start=$SECONDS
  "$@" || { printf '== FAILED: %s (%d s)\n' "$name" $((SECONDS - start)); exit 1; }
  printf '== ok: %s (%d s)\n' "$name" $((SECONDS - start))
}
