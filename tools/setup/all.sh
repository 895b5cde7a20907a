#!/bin/sh
# Installs everything that the checks use, into the user's cache folder.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
for part in \
    base \
    python \
    node \
    go \
    envoy \
    collector \
    cargo \
    consumers-python \
    consumers-go \
    consumers-typescript \
    consumers-java \
    deck \
    kubernetes \
    ratelimit \
    redis \
    kafka \
    oasdiff \
    ghz \
    pact; do
    "$here/$part.sh"
done
