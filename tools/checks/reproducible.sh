#!/usr/bin/env bash
# reproducible.sh [TARGET...]: builds two clones of HEAD, in folders, environments, by
# users and under clocks that differ, with nothing shared but downloads, and compares
# every output's digest. The default is //... : twenty minutes on two cores.
#
# Only the Bazel of tools/bazel-offline can be disguised, so it is the one that is used.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/bazel-offline/common.sh
[ $# -gt 0 ] || set -- //...

commit=$(git rev-parse HEAD)
work=$(mktemp -d -p /var/tmp)
cleanup() {
    for clone in "$work/one" "$work/another/quite/different/place"; do
        [ ! -x "$clone/tools/bazel" ] || (cd "$clone" && SIGNALBOX_BAZEL=offline tools/bazel shutdown) 2>/dev/null || true
    done
    rm -rf "$work" "$STATE/out/reproducible"
}
trap cleanup EXIT
unset CI

# build CLONE NAME VARIABLE=VALUE... -- TARGET...
build() {
    local clone=$1 name=$2
    shift 2
    local environment=()
    while [ "$1" != -- ]; do
        environment+=("$1")
        shift
    done
    shift
    git clone --quiet . "$clone"
    git -C "$clone" checkout --quiet "$commit" # HEAD may move between the two
    # Other times of change, too.
    find "$clone" -name .git -prune -o -type f -print0 | xargs -0 touch -d "$(shuf -i 1-3000 -n 1) days ago"
    local started=$SECONDS
    local run=(env "${environment[@]}" SIGNALBOX_BAZEL=offline SIGNALBOX_BAZEL_OUTPUT="$STATE/out/reproducible/$name" tools/bazel)
    (
        cd "$clone"
        "${run[@]}" build --config=ci "$@" 2>&1 | grep -E "ERROR|FAILED|Elapsed|processes:|completed"
        # Outputs of every target, by their path below the output folder.
        printf 'set(%s)' "$("${run[@]}" query "kind(rule, set($*)) except attr(tags, manual, set($*))" 2>/dev/null | tr '\n' ' ')" >.git/query
        "${run[@]}" cquery --output=files --query_file=.git/query 2>/dev/null | sort -u | while read -r file; do
            root=$STATE/out/reproducible/$name/execroot/_main
            if [ -d "$root/$file" ]; then
                (cd "$root" && find -L "$file" -type f -print0 | sort -z | xargs -0 -r sha256sum)
            elif [ -f "$root/$file" ]; then
                (cd "$root" && sha256sum "$file")
            fi
        done
        "${run[@]}" shutdown 2>/dev/null
    ) >"$work/$name"
    grep -E "Elapsed|processes:|completed" "$work/$name" || true
    if grep -E "ERROR|FAILED" "$work/$name"; then exit 1; fi
    grep -E '^[0-9a-f]{64} ' "$work/$name" >"$work/$name.sums"
    printf '%s: %d outputs in %d s\n' "$name" "$(wc -l <"$work/$name.sums")" $((SECONDS - started))
}

build "$work/one" first -- "$@"
build "$work/another/quite/different/place" second \
    SIGNALBOX_BAZEL_DISGUISE=1 USER=stranger LOGNAME=stranger LANG=de_DE.UTF-8 TZ=Pacific/Chatham \
    RUSTFLAGS=--cfg=leaked CFLAGS=-DLEAKED SOURCE_DATE_EPOCH=1234567890 UNRELATED="$RANDOM" -- "$@"

if ! diff "$work/first.sums" "$work/second.sums"; then
    echo "FAILED: the outputs above differ"
    exit 1
fi
printf 'ok: %d outputs have the same digests\n' "$(wc -l <"$work/first.sums")"
# What ships.
grep -E '/(signalbox|signalbox-(router|embeddings|guardrails)|images/[a-z]+\.digest)$' "$work/first.sums" || true
