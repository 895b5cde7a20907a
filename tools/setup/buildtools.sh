#!/bin/sh
# Builds buildozer and buildifier, which read, edit and format BUILD files, from their Go
# module into TOOLS/bin.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

need go "install Go (Debian: apt-get install golang)"
stamp=$({ go version && echo "$BUILDTOOLS_VERSION" && cat "$0"; } | hash_of)
if is_current buildtools "$stamp" &&
    [ -x "$TOOLS/bin/buildozer" ] && [ -x "$TOOLS/bin/buildifier" ]; then
    exit 0
fi
one_at_a_time buildtools

say "building buildozer and buildifier $BUILDTOOLS_VERSION"
for tool in buildozer buildifier; do
    GOBIN=$TOOLS/bin go install \
        "github.com/bazelbuild/buildtools/$tool@$BUILDTOOLS_VERSION" >&2
done
set_current buildtools "$stamp"
say "buildozer and buildifier are ready"
