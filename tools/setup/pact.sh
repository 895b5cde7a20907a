#!/bin/sh
# Installs what the Pact consumers in Python and JavaScript use: TOOLS/pact-python/bin/python,
# and TOOLS/pact-js/node_modules. Their native libraries come inside a wheel and a npm
# package of this platform; no install script of a package is run.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/venv.sh" pact-python "$here/../../contracts/pact/python/requirements.txt"

. "$here/common.sh"

source=$here/../../contracts/pact/js
need node "install Node 20 or newer"
need npm "install npm, which comes with Node"
packages=$TOOLS/pact-js
stamp=$({ node --version && cat "$source/package.json" "$source/package-lock.json" "$0"; } | hash_of)
if is_current pact-js "$stamp" && [ -d "$packages/node_modules/@pact-foundation/pact" ]; then
    exit 0
fi
one_at_a_time pact-js
say "installing the Node packages of Pact"
mkdir -p "$packages"
cp "$source/package.json" "$source/package-lock.json" "$packages/"
(cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
set_current pact-js "$stamp"
say "the Node packages of Pact are ready"
