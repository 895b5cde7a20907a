#!/usr/bin/env bash
# remote_cache.sh [TARGET...]: what one machine has built, another takes from the cache.
#
# A real cache server on loopback; a build or test of the targets into an empty output
# folder, with `--config=remote`; then the same into another output folder, of another path
# and with another environment. The second must run nothing: every action that the first
# ran has to be a hit. Then, the inputs of all actions: see action_paths.py.
#
# Takes some minutes, and leaves nothing but the server's installation.
set -euo pipefail
workspace=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$workspace"
targets=("$@")
[ $# -gt 0 ] || targets=(//tools/sync:sync_test)

say() { printf 'remote cache: %s\n' "$*" >&2; }

tools/setup/remote.sh
. tools/cache.sh
# Where `tools/bazel` may write, wherever it runs.
work=$STATE/remote-check
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
server=

# clear FOLDER: a Bazel's output folder, its server ended.
clear() {
    [ ! -d "$work/$1" ] || tools/bazel --output_base="$work/$1" shutdown 2>/dev/null || true
    chmod -R u+w "$work/$1" 2>/dev/null || true
    rm -rf "${work:?}/$1"
}
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    clear here
    clear elsewhere
    rm -rf "$work"
}
trap finish EXIT
mkdir -p "$work"

cat >"$work/server.yml" <<YAML
server:
  - !channel
    address: 127.0.0.1:$port
    insecure-mode: true
storages:
  - !disk-storage &blobs
    path: $work/blobs
caches:
  - !lru-action-cache &actions
    storage: *blobs
    max-cached-refs: 100000
    allow-updates: true
instances:
  - name: ""
    services:
      - !action-cache
        cache: *actions
      - !cas
        storage: *blobs
      - !bytestream
        storage: *blobs
# Bazel asks for more at once than the defaults allow.
thread-pool-size: 300
limiter:
  !limiter
  concurrent-request-limit: 280
YAML
"$TOOLS/remote/bin/bgd" server start "$work/server.yml" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.1
done

# build FOLDER: builds and tests the targets there; prints Bazel's count of processes.
build() {
    local log=$work/$1.log
    tools/bazel --output_base="$work/$1" test --config=remote \
        --remote_cache="grpc://127.0.0.1:$port" --build_tests_only=false --color=no --curses=no \
        "${targets[@]}" >"$log" 2>&1 || { tail -50 "$log" >&2; return 1; }
    ! grep -E 'WARNING: (Remote Cache|Reading|Writing)' "$log" >&2 || return 1
    sed -n 's/^INFO: \(.* processes\?: .*\)\.$/\1/p' "$log" | tail -1
}
# count KIND LINE: of `12 processes: 3 internal, 9 linux-sandbox`; 0 where KIND is missing.
count() { grep -oE "[0-9]+ $1" <<<"$2" | cut -d ' ' -f 1 || echo 0; }

say "building ${targets[*]} with an empty cache"
first=$(build here)
say "$first"
ran=$(($(count process "$first") - $(count internal "$first")))
clear here

say "building the same from another output folder"
second=$(TZ=Asia/Tokyo LC_ALL=C EXTRA=1 build elsewhere)
say "$second"
hits=$(count "remote cache hit" "$second")
[ "$ran" -gt 0 ] && [ "$hits" = "$ran" ] &&
    [ $((hits + $(count internal "$second"))) = "$(count process "$second")" ] || {
    say "FAILED: of $ran actions, $hits came from the cache"
    exit 1
}
say "all $ran actions came from the cache, none ran"

say "reading the inputs of all actions"
tools/bazel --output_base="$work/elsewhere" aquery --include_param_files=false --output=jsonproto \
    'deps(//...)' 2>"$work/aquery.log" >"$work/actions.json" || { tail -20 "$work/aquery.log" >&2; exit 1; }
python3 tools/checks/action_paths.py --remote "$work/actions.json"
