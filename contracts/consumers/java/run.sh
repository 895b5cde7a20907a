#!/bin/sh
# Generates the Java client, builds it and runs the contract's cases.
# What it is given and prints: ../../README.md. Needs a JDK 17 or newer, and Maven 3.8.

set -eu
cd "$(dirname "$0")"
tree=$(cd ../../../proto && pwd)
SIGNALBOX_PROTO=$(cd "${SIGNALBOX_PROTO:-$tree}" && pwd)
export SIGNALBOX_PROTO

../../../tools/setup/consumers-java.sh
# A folder for the tree's contract and one for another's, so that neither is built again
# and again where both are checked in turn; nor is it where nothing changed.
target=target/other
[ "$SIGNALBOX_PROTO" != "$tree" ] || target=target/tree
inputs=$({ java -version && find pom.xml src "$SIGNALBOX_PROTO" -name 'pom.xml' -o -name '*.java' -o -name '*.proto' |
    sort | xargs sha256sum; } 2>&1)
if [ "$(cat "$target/inputs" 2>/dev/null)" != "$inputs" ]; then
    rm -rf "$target"
    # What Maven says is of use only where it fails.
    log=$(mvn --batch-mode --quiet process-classes \
        -Dsignalbox.proto="$SIGNALBOX_PROTO" -Dsignalbox.target="$PWD/$target" 2>&1) || {
        printf '%s\n' "$log" >&2
        exit 1
    }
    printf '%s\n' "$inputs" >"$target/inputs"
fi

# The cases are short: compiling them hard would take longer than they do.
set -- -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$target/classes:$target/lib/*"

# README.md shows the example as it is, and the example works.
sed -n '/^```java$/,/^```$/{//!p}' README.md | cmp - src/main/java/signalbox/contract/Example.java
[ -n "$(java "$@" signalbox.contract.Example "$SIGNALBOX_PLAINTEXT")" ]

exec java "$@" signalbox.contract.Main
