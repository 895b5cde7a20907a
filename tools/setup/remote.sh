#!/bin/sh
# Installs BuildGrid, a server of Bazel's remote cache (200 MB, about half a minute):
# TOOLS/remote. Not one of `make setup`'s parts: only tools/checks/remote_cache.sh runs it.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/venv.sh" remote "$here/remote/requirements.txt"
