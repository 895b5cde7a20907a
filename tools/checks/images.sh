#!/usr/bin/env bash
# Builds the images, runs them under podman, checks their bills of materials by the
# formats' own validators, and prints what was made.
#   tools/checks/images.sh [NAME...]     router, embeddings, guardrails, signalbox: all of them
#
# Needs root, for podman's network; `make setup` for the validators.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || set -- router embeddings guardrails signalbox
. tools/cache.sh
python=$TOOLS/python/bin/python
[ -x "$python" ] || { echo "images: no $python; run make setup" >&2; exit 2; }

tools/bazel build ${CI:+--config=ci} "${@/#///images:}"
outputs=$(tools/bazel info bazel-bin 2>/dev/null)/images

layouts=() bills=()
for name in "$@"; do
    layouts+=("$outputs/$name")
    bills+=("$outputs/$name.cdx.json" "$outputs/$name.spdx.json")
done
tools/images/smoke.sh "${layouts[@]}"
"$python" tools/images/sbom_check.py "${bills[@]}"

for name in "$@"; do
    size=$(cat "$outputs/$name"/blobs/sha256/* | wc -c)
    printf '%-12s %s  %4d.%d MB to pull\n' "$name" "$(cat "$outputs/$name.digest")" $((size / 1000000)) $((size / 100000 % 10))
done
