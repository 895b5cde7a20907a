#!/bin/sh
# Builds cargo-deny into TOOLS/bin/cargo-deny; with that folder in PATH, `cargo deny`
# works.
#
# Needs cargo and a C compiler. Takes minutes the first time, and its build folder is
# deleted afterwards.

. "$(dirname "$0")/common.sh"

need cargo "install Rust 1.95 or newer"
current="cargo-deny $CARGO_DENY_VERSION"
if [ "$("$TOOLS/bin/cargo-deny" --version 2>/dev/null)" = "$current" ]; then
    exit 0
fi
one_at_a_time cargo

say "building $current (some minutes)"
# Outside of any checkout, whose rust-toolchain.toml would choose the compiler.
cd "$TOOLS"
CARGO_TARGET_DIR=$TOOLS/.cargo-build cargo install --quiet --locked --force \
    --root "$TOOLS" "cargo-deny@$CARGO_DENY_VERSION" >&2
rm -rf "$TOOLS/.cargo-build"
say "$current is ready"
