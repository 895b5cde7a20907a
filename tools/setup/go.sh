#!/bin/sh
# Builds grpcurl from its Go module into TOOLS/bin/grpcurl.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

need go "install Go (Debian: apt-get install golang)"
stamp=$({ go version && echo "$GRPCURL_VERSION" && cat "$0"; } | hash_of)
if is_current go "$stamp" && [ -x "$TOOLS/bin/grpcurl" ]; then
    exit 0
fi
one_at_a_time go

say "building grpcurl $GRPCURL_VERSION (about a minute)"
GOBIN=$TOOLS/bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION" >&2
set_current go "$stamp"
say "grpcurl is ready"
