#!/usr/bin/env bash
# Installs everything that the tests use, into the user's cache folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for part in base python node go collector cargo; do
  "$here/$part.sh"
done
