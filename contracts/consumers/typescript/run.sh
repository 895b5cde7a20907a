#!/bin/sh
# Generates the TypeScript client, builds it and runs the contract's cases.
# What it is given and prints: ../../README.md. Needs node 20 or newer, and npm.

set -eu
cd "$(dirname "$0")"
SIGNALBOX_PROTO=$(cd "${SIGNALBOX_PROTO:-../../../proto}" && pwd)
export SIGNALBOX_PROTO

../../../tools/setup/consumers-typescript.sh
# Nothing is built again where nothing changed.
inputs=$(find "$SIGNALBOX_PROTO" src ./*.json ./*.yaml -name '*.proto' -o -name '*.ts' -o -name '*.json' -o -name '*.yaml' |
    sort | xargs sha256sum)
if [ "$(cat generated/inputs 2>/dev/null)" != "$inputs" ]; then
    npm run --silent generate >&2
    npm run --silent build >&2
    printf '%s\n' "$inputs" >generated/inputs
fi

# README.md shows the example as it is, and the example works.
sed -n '/^```ts$/,/^```$/{//!p}' README.md | cmp - src/example.ts
[ -n "$(node generated/out/example.js "$SIGNALBOX_PLAINTEXT")" ]

exec node generated/out/main.js
