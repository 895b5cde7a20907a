#!/bin/sh
# Installs the Python packages of the checks: TOOLS/python/bin/python.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/venv.sh" python "$here/python/requirements.txt" "$here/../fixtures/requirements.txt"
