#!/bin/sh
# npm.sh NAME FOLDER FILE: installs the Node packages that FOLDER's package-lock.json pins
# into TOOLS/NAME. FILE, a program or a folder below its node_modules, must be there for them to count as
# installed.
#
# Needs node 20 or newer, with npm. No install script of a package is run. npm's own
# configuration is honoured; the lock files name no registry.

. "$(dirname "$0")/common.sh"

name=$1
source=$2
file=$3
need node "install Node 20 or newer"
need npm "install npm, which comes with Node"
packages=$TOOLS/$name
stamp=$({ node --version && cat "$source/package.json" "$source/package-lock.json" "$0"; } | hash_of)
if is_current "$name" "$stamp" && [ -x "$packages/node_modules/$file" ]; then
    exit 0
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    fail "node is $(node --version); install Node 20 or newer"
one_at_a_time "$name"

say "installing the Node packages of $name"
mkdir -p "$packages"
cp "$source/package.json" "$source/package-lock.json" "$packages/"
(cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
set_current "$name" "$stamp"
say "the Node packages of $name are ready"
