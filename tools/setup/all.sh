#!/bin/sh
# Installs everything that the checks use, into the user's cache folder.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
for part in base python node go oasdiff ghz collector cargo; do
    "$here/$part.sh"
done
