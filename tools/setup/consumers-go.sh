#!/bin/sh
# Gets the modules of the contract's Go consumer and builds the plugins of protoc that its
# go.mod names as tools, all into Go's own caches.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

need go "install Go 1.26 or newer"
cd "$SETUP/../../contracts/consumers/go"
stamp=$({ go version && go env GOMODCACHE && cat go.mod go.sum "$SETUP/consumers-go.sh"; } | hash_of)
# The caches are Go's: they may have been emptied since.
if is_current consumers-go "$stamp" && GOPROXY=off go tool -n protoc-gen-go >/dev/null 2>&1; then
    exit 0
fi
one_at_a_time consumers-go

say "getting the modules of the Go consumer (half a minute)"
go mod download >&2
go tool -n protoc-gen-go >/dev/null
go tool -n protoc-gen-go-grpc >/dev/null
set_current consumers-go "$stamp"
