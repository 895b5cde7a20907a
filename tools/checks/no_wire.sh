#!/usr/bin/env bash
# no_wire.sh FILE...: fails when a module that holds rules names a type of the wire. A
# handler converts once; docs/development.md says where.
set -euo pipefail
[ $# -gt 0 ] || { echo "no_wire.sh: no files given" >&2; exit 2; }
if grep -nE '\b(signalbox_proto|prost|prost_types|tonic)::|^use (signalbox_proto|prost|prost_types|tonic)\b' "$@"; then
    echo "the lines above name types of the wire in a domain module; convert in the handler" >&2
    exit 1
fi
