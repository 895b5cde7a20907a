#!/bin/sh
# Generates the client from $SIGNALBOX_PROTO, builds it, and runs every case on both
# servers, as contracts/README.md says.

set -eu
cd "$(dirname "$0")"
tree=$(cd ../../../proto && pwd)
SIGNALBOX_PROTO=$(cd "${SIGNALBOX_PROTO:-$tree}" && pwd)
SIGNALBOX_RPCS=${SIGNALBOX_RPCS:-$tree/../contracts/rpcs.json}
export SIGNALBOX_PROTO SIGNALBOX_RPCS
# An older contract need not know every row of the table.
older=
[ "$SIGNALBOX_PROTO" = "$tree" ] || older=--older

# Standard output is for cases only.
cargo build --quiet --locked --package signalbox-consumer-rust >&2
target=${CARGO_TARGET_DIR:-$tree/../target}
exec "$target/debug/signalbox-consumer-rust" $older
