#!/bin/sh
# Builds Envoy's rate limit service from its Go module: TOOLS/bin/ratelimit. It counts
# in Redis what all Envoys let through.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

need go "install Go (Debian: apt-get install golang)"
stamp=$({ go version && echo "$RATELIMIT_VERSION" && cat "$0"; } | hash_of)
if is_current ratelimit "$stamp" && [ -x "$TOOLS/bin/ratelimit" ]; then
    exit 0
fi
one_at_a_time ratelimit

say "building Envoy's rate limit service (about a minute)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOBIN=$work go install "github.com/envoyproxy/ratelimit/src/service_cmd@$RATELIMIT_VERSION" >&2
# The program is named after its folder.
mv "$work/service_cmd" "$TOOLS/bin/ratelimit"
set_current ratelimit "$stamp"
