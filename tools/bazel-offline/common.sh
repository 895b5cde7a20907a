# Shared by the scripts beside it; sourced, never run.
#
# STATE holds everything that is set up: the Debian tree (TREE), the generator of
# crate_universe, and what Bazel builds.

STATE=${SIGNALBOX_BAZEL_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox/bazel}
TREE=$STATE/debian
CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

say() { printf 'bazel: %s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}
