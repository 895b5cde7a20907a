#!/bin/sh
# Installs the Node packages of the checks: `buf` is TOOLS/node/node_modules/.bin/buf. A
# script finds the libraries with createRequire(TOOLS + "/node/").

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/npm.sh" node "$here/node" .bin/buf
