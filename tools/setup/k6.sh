#!/bin/sh
# Builds k6 from its Go module. That takes minutes, so `make load` asks for it and
# `make setup` does not.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
exec "$here/go_tool.sh" k6 "go.k6.io/k6@$K6_VERSION"
