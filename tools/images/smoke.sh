#!/usr/bin/env bash
# Runs images under a real engine as a careful operator would: read-only, as a user that is
# not root, without any capability. Each must serve health and answer a real request, hold no
# shell, no package manager and no file that its user may write, and stop when told to.
#   tools/images/smoke.sh LAYOUT...     image layouts: folders, or archives of them (.tar)
#
# Needs root. SIGNALBOX_MODELS_DIR: the models to mount, where they are not in the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

[ $# -gt 0 ] || { echo "usage: $0 LAYOUT..." >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "smoke: not root; podman's bridge network needs it" >&2; exit 2; }
"$here/../setup/podman.sh"
export CONTAINERS_CONF=$here/containers.conf

. "$here/../cache.sh"
grpcurl=$TOOLS/bin/grpcurl
user=65532

container= image= mounted=
tmp=$(mktemp -d)
release() {
  [ -z "$container" ] || podman rm --force --time 2 "$container" > /dev/null 2>&1 || true
  [ -z "$mounted" ] || podman image unmount "$mounted" > /dev/null 2>&1 || true
  # Only what this run brought in.
  [ -z "$image" ] || podman rmi "$image" > /dev/null 2>&1 || true
  container= image= mounted=
}
trap 'release; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

name=
say() { printf '%-22s %s\n' "$name" "$*"; }
fail() {
  say "FAILED: $*"
  [ -z "$container" ] || podman logs --tail 20 "$container" 2>&1 | sed 's/^/    /'
  exit 1
}

# The engine's own word on a running container.
inspect() { podman inspect --format "$1" "$container"; }

load() {
  local layout=$1 transport=oci
  [ -d "$layout" ] || transport=oci-archive
  podman images --quiet --no-trunc | sed 's/^sha256://' | sort > "$tmp/before"
  # By its own name alone: of a folder's whole path podman makes an image's name, and few will do.
  id=$(cd "$(dirname "$layout")" && podman pull --quiet "$transport:$(basename "$layout")") ||
    fail "the engine refuses $layout"
  grep -qx "$id" "$tmp/before" || image=$id
  program=$(basename "$(podman image inspect --format '{{index .Config.Entrypoint 0}}' "$id")")
  name=$program
}

# What the image holds, as the file system has it.
search() {
  local root found
  root=$(podman image mount "$id")
  mounted=$id
  found=$(find "$root" -xdev ! -type l \( -perm -0002 -o -perm /6000 -o -uid $user -o -gid $user \) -printf '/%P (%M %U:%G)\n')
  [ -z "$found" ] || fail "writable by the user or all, or set-id: $found"
  found=$(find "$root" -xdev ! -type d -printf '/%P\n' | grep -E '/(ash|bash|busybox|csh|dash|ksh|sh|toybox|zsh|apk|apt|apt-get|dnf|dpkg|microdnf|pip3?|rpm|yum|perl|python3?)$' || true)
  [ -z "$found" ] || fail "a shell, an interpreter or a package manager: $found"
  say "$(find "$root" -xdev ! -type d | wc -l) files; no shell, no package manager, none writable"
  podman image unmount "$id" > /dev/null
  mounted=
}

run() {
  local port=$1
  shift
  local volume=()
  [ ! -d "$MODELS" ] || volume=(--volume "$MODELS:/models:ro" --env SIGNALBOX_MODELS_DIR=/models)
  started=$(date +%s%N)
  container=$(podman run --detach --read-only --read-only-tmpfs=false --cap-drop all \
    --security-opt no-new-privileges --publish "127.0.0.1::$port" "${volume[@]}" "$id" "$@") ||
    fail "does not start"
  address=$(podman port "$container" "$port/tcp")
  for _ in $(seq 600); do
    ! curl -fsS --max-time 2 "http://$address/readyz" > /dev/null 2>&1 || break
    [ "$(inspect '{{.State.Running}}')" = true ] || fail "ended while starting"
    sleep 0.1
  done
  curl -fsS --max-time 5 "http://$address/readyz" > /dev/null || fail "not ready within a minute"
  say "ready in $((($(date +%s%N) - started) / 1000000)) ms"
}

# What the kernel says of the process, not what the engine was asked for.
confined() {
  local pid status
  pid=$(inspect '{{.State.Pid}}')
  status=/proc/$pid/status
  grep -qE "^Uid:(\s+$user){4}$" "$status" || fail "runs as $(grep ^Uid: "$status")"
  grep -qE "^Gid:(\s+$user){4}$" "$status" || fail "runs as $(grep ^Gid: "$status")"
  grep -qE '^CapEff:\s+0+$' "$status" || fail "has capabilities: $(grep ^CapEff: "$status")"
  grep -qE '^CapBnd:\s+0+$' "$status" || fail "may gain capabilities: $(grep ^CapBnd: "$status")"
  grep -qE '^NoNewPrivs:\s+1$' "$status" || fail "may gain privileges"
  awk '$5 == "/" { split($6, options, ","); exit options[1] != "ro" }' "/proc/$pid/mountinfo" ||
    fail "its root can be written"
  say "uid and gid $user, no capabilities, root read-only"
}

no_shell() {
  local shell
  for shell in sh /bin/sh bash /bin/bash /busybox/sh ash dpkg apt-get; do
    ! podman exec "$container" "$shell" -c true > "$tmp/exec" 2>&1 || fail "podman exec $shell works"
    grep -qE 'executable file not found|no such file or directory' "$tmp/exec" ||
      fail "podman exec $shell fails in another way: $(cat "$tmp/exec")"
  done
  say "podman exec finds no shell"
}

health() {
  curl -fsS --max-time 5 "http://$address/healthz" > /dev/null || fail "/healthz"
  curl -fsS --max-time 5 "http://$address/metrics" > "$tmp/metrics" || fail "/metrics"
  grep -q '^signalbox_' "$tmp/metrics" || fail "/metrics has nothing of signalbox"
  if [ -x "$grpcurl" ]; then
    "$grpcurl" -plaintext -max-time 5 "$address" grpc.health.v1.Health/Check > "$tmp/health" ||
      fail "gRPC health"
    grep -q '"SERVING"' "$tmp/health" || fail "gRPC health is $(cat "$tmp/health")"
    say "healthz, metrics and gRPC health answer"
  else
    say "healthz and metrics answer (no grpcurl: gRPC health not asked)"
  fi
}

# ask PATH JSON WANTED: a request over REST whose answer must match.
ask() {
  curl -fsS --max-time 120 -H 'content-type: application/json' -d "$2" "http://$address$1" > "$tmp/answer" ||
    fail "POST $1"
  grep -qE "$3" "$tmp/answer" || fail "POST $1 answered $(head -c 300 "$tmp/answer")"
  say "POST $1 answers"
}
guardrails() {
  ask /v1/guardrails:redact '{"text": "Mail ada@example.com"}' 'EMAIL'
  ! grep -q 'ada@example' "$tmp/answer" || fail "redaction left the address: $(cat "$tmp/answer")"
}
embeddings() { ask /v1/embeddings '{"model": "all-MiniLM-L6-v2", "input": "a red bicycle"}' '"embedding":'; }
router() { ask /v1/chat/completions '{"model": "auto", "max_tokens": 4, "messages": [{"role": "user", "content": "Say hello."}]}' '"finish_reason":'; }

stop() {
  podman stop --time 40 "$container" > /dev/null
  local code
  code=$(inspect '{{.State.ExitCode}}')
  [ "$code" = 0 ] || fail "ended with $code when told to stop"
  say "stopped when told to"
}

for layout in "$@"; do
  name=$(basename "$layout")
  load "$layout"
  search
  case $program in
    # Alone, it has no guardrails to ask.
    signalbox-router)
      port=7001 asks=(router)
      args=(--set router.guardrails.prompt=off --set router.guardrails.completion=off)
      ;;
    signalbox-embeddings) port=7002 asks=(embeddings) args=() ;;
    signalbox-guardrails) port=7003 asks=(guardrails) args=() ;;
    signalbox) port=7000 asks=(router embeddings guardrails) args=() ;;
    *) fail "no known program" ;;
  esac
  run "$port" "${args[@]}"
  confined
  no_shell
  health
  for one in "${asks[@]}"; do "$one"; done
  stop
  release
done
echo "all $# image(s) pass"
