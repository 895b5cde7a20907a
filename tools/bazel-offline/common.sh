# Shared by the scripts beside it; sourced, never run.
#
# STATE (tools/cache.sh) holds everything that is set up: the Debian tree (TREE), the
# generator of crate_universe, and what Bazel builds.

. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../cache.sh"
TREE=$STATE/debian
CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

say() { printf 'bazel: %s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}
