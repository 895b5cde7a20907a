#!/bin/sh
# Builds ghz from its Go module.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
exec "$here/go_tool.sh" ghz "github.com/bojand/ghz/cmd/ghz@$GHZ_VERSION"
