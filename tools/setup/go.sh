#!/bin/sh
# Builds the tools that are Go modules: grpcurl, buildozer and buildifier.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
"$here/go_tool.sh" grpcurl "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"
"$here/go_tool.sh" buildozer \
    "github.com/bazelbuild/buildtools/buildifier@$BUILDTOOLS_VERSION" \
    "github.com/bazelbuild/buildtools/buildozer@$BUILDTOOLS_VERSION"
