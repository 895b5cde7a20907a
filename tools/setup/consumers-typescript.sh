#!/bin/sh
# Installs the packages of the TypeScript consumer beside it, in a node_modules that
# git ignores, as its package-lock.json pins them.
#
# Needs node 20 or newer, with npm. No install script of a package is run. npm's own
# configuration is honoured; the lock file names no registry.

. "$(dirname "$0")/common.sh"

need node "install Node 20 or newer"
need npm "install npm, which comes with Node"
consumer=$(cd "$SETUP/../../contracts/consumers/typescript" && pwd)
stamp=$({ node --version && cat "$consumer/package.json" "$consumer/package-lock.json" "$0"; } | hash_of)
# Beside the packages, not in TOOLS: each checkout has its own.
if [ "$(cat "$consumer/node_modules/.stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    fail "node is $(node --version); install Node 20 or newer"
one_at_a_time consumers-typescript

say "installing the packages of the TypeScript consumer"
(cd "$consumer" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
printf '%s\n' "$stamp" >"$consumer/node_modules/.stamp"
