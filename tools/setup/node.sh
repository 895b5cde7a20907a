#!/bin/sh
# Installs the Node packages of the checks, as node/package-lock.json pins them, into
# TOOLS/node: `buf` is TOOLS/node/node_modules/.bin/buf. A script finds the libraries
# with createRequire(TOOLS + "/node/").
#
# Needs node 20 or newer, which the openai package asks for, with npm. No install script of a package is run. npm's own
# configuration is honoured; the lock file names no registry.

. "$(dirname "$0")/common.sh"

need node "install Node 20 or newer"
need npm "install npm, which comes with Node"
node=$TOOLS/node
stamp=$({ node --version && cat "$SETUP/node/package.json" "$SETUP/node/package-lock.json" "$0"; } | hash_of)
if is_current node "$stamp" && [ -x "$node/node_modules/.bin/buf" ]; then
    exit 0
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    fail "node is $(node --version); install Node 20 or newer"
one_at_a_time node

say "installing Node packages"
mkdir -p "$node"
cp "$SETUP/node/package.json" "$SETUP/node/package-lock.json" "$node/"
(cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
set_current node "$stamp"
say "Node packages are ready"
