#!/usr/bin/env bash
# Whether a contract breaks what the last release promised (contracts/baseline):
#   baseline.sh proto [FOLDER]        the .proto files below FOLDER, by default proto/
#   baseline.sh openapi [DOCUMENT]    an OpenAPI document, by default the served one
#
# buf's category is FILE, the strictest: nothing that generated code of any language uses
# may go or move. It does not look at options, and google.api.http is one: paths, verbs and
# bodies are oasdiff's, which judges the OpenAPI document (level ERR). severity.txt makes it
# as strict on removed properties, which protobuf alone would let through as optional, and
# lets an enum grow, as every enum of the contract may (proto3's enums are open).
set -euo pipefail
cd "$(dirname "$0")/../.."

. tools/cache.sh
binaries=${SIGNALBOX_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
baseline=contracts/baseline

case ${1:-} in
    proto)
        "$TOOLS/node/node_modules/.bin/buf" breaking "${2:-proto}" --against "$baseline/signalbox.binpb"
        ;;
    openapi)
        document=${2:-}
        if [ -z "$document" ]; then
            document=$(mktemp)
            trap 'rm -f "$document"' EXIT
            "$binaries/signalbox-contracts" --binaries "$binaries" openapi >"$document"
        fi
        "$TOOLS/bin/oasdiff" breaking --fail-on ERR --severity-levels "$baseline/severity.txt" \
            "$baseline/openapi.json" "$document"
        ;;
    *)
        sed -n '2,4s/^# \?//p' "$0" >&2
        exit 2
        ;;
esac
