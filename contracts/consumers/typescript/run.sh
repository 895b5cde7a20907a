#!/bin/sh
# Generates the TypeScript client, builds it and runs the contract's cases.
# What it is given and prints: ../../README.md. Needs node 20 or newer, and npm.

set -eu
cd "$(dirname "$0")"
SIGNALBOX_PROTO=${SIGNALBOX_PROTO:-$(cd ../../../proto && pwd)}
export SIGNALBOX_PROTO

../../../tools/setup/typescript.sh
npm run --silent generate >&2
npm run --silent build >&2

# README.md shows the example as it is, and the example works.
sed -n '/^```ts$/,/^```$/{//!p}' README.md | cmp - src/example.ts
[ -n "$(node generated/out/example.js "$SIGNALBOX_PLAINTEXT")" ]

exec node generated/out/main.js
