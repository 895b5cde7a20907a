#!/usr/bin/env bash
# The bills of materials keep to the formats' own rules.
#   sbom_test.sh TOOLS SBOM_CHECK FILE...
set -euo pipefail
tools=$1 check=$2
shift 2
bills=()
for file in "$@"; do
    case $file in *.cdx.json) bills+=("$file" "${file%.cdx.json}.spdx.json") ;; esac
done
[ ${#bills[@]} = 8 ] || { echo "not the bills of four images: $*" >&2; exit 1; }
exec "$tools/python/bin/python" "$check" "${bills[@]}"
