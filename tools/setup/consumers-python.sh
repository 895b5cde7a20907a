#!/bin/sh
# Installs what the Python consumer of the contract needs into an environment of its own,
# TOOLS/consumers-python/bin/python: no more than a user of that client would install.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/venv.sh" consumers-python "$here/../../contracts/consumers/python/requirements.txt"
