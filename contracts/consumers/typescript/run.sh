#!/bin/sh
# Generates the TypeScript client, builds it and runs the contract's cases.
# What it is given and prints: ../../README.md. Needs node 20 or newer, and npm.

set -eu
cd "$(dirname "$0")"
SIGNALBOX_PROTO=${SIGNALBOX_PROTO:-$(cd ../../../proto && pwd)}
export SIGNALBOX_PROTO

../../../tools/setup/typescript.sh
npm run --silent generate
npm run --silent build
exec node generated/out/main.js
