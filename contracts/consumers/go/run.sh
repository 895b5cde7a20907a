#!/bin/sh
# Generates the client from $SIGNALBOX_PROTO, vets it, and runs every case on both servers,
# as contracts/README.md says. The modules: tools/setup/consumers-go.sh; buf:
# tools/setup/node.sh.

set -eu
tree=$(cd "$(dirname "$0")/../../../proto" && pwd)
proto=$(cd "${SIGNALBOX_PROTO:-$tree}" && pwd)
cd "$(dirname "$0")"
export SIGNALBOX_RPCS="${SIGNALBOX_RPCS:-$tree/../contracts/rpcs.json}"
. ../../../tools/cache.sh
PATH=$PATH:$TOOLS/node/node_modules/.bin
command -v buf >/dev/null || {
    echo "buf is missing; run tools/setup/node.sh" >&2
    exit 1
}

rm -rf generated
buf generate "$proto" --path "$proto/signalbox"
# So that a new proto package is linked without being named anywhere.
{
    echo "// Package generated links everything that is generated."
    echo "package generated"
    find generated -mindepth 2 -name '*.go' -exec dirname {} + | sort -u |
        sed 's|.*|import _ "signalbox.dev/contracts/consumers/go/&"|'
} >generated/generated.go

# No proxy stands between these cases and a server of this machine.
export no_proxy=localhost,127.0.0.1
older=
[ "$proto" = "$tree" ] || older=-older
# Standard output is for cases only.
unformatted=$(gofmt -l signalbox cases example)
[ -z "$unformatted" ] || {
    echo "gofmt would change: $unformatted" >&2
    exit 1
}
go vet ./... >&2
go test ./cases >&2
go build -o generated/bin/ ./cases ./example
said=$(generated/bin/example "$SIGNALBOX_PLAINTEXT" echo "an example")
[ "$said" = "an example" ] || {
    echo "the example prints: $said" >&2
    exit 1
}
exec generated/bin/cases $older
