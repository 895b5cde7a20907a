#!/bin/sh
# Builds oasdiff from its Go module.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
exec "$here/go_tool.sh" oasdiff "github.com/oasdiff/oasdiff@$OASDIFF_VERSION"
