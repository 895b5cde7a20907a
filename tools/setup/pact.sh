#!/bin/sh
# Installs what the Pact consumers in Python and JavaScript use: TOOLS/pact-python/bin/python,
# and TOOLS/pact-js/node_modules. Their native libraries come inside a wheel and a npm
# package of this platform; no install script of a package is run.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/venv.sh" pact-python "$here/../../contracts/pact/python/requirements.txt"
"$here/npm.sh" pact-js "$here/../../contracts/pact/js" @pact-foundation/pact
