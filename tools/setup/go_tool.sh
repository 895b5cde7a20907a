#!/bin/sh
# go_tool.sh NAME PACKAGE@VERSION...: builds programs from their Go modules into TOOLS/bin.
# NAME is the last program's.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

name=$1
shift
need go "install Go (Debian: apt-get install golang)"
stamp=$({ go version && echo "$@" && cat "$0"; } | hash_of)
if is_current "$name" "$stamp" && [ -x "$TOOLS/bin/$name" ]; then
    exit 0
fi
one_at_a_time "$name"

for package in "$@"; do
    say "building $package (about a minute)"
    GOBIN=$TOOLS/bin go install "$package" >&2
done
set_current "$name" "$stamp"
