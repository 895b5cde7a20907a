#!/usr/bin/env bash
# Brings the platform up and shows that it works: one routed answer, one embedding,
# one redaction, each asked for over gRPC like any client would.
#   tools/run.sh BINARY [--exit] [ARGUMENTS OF `signalbox up`]
set -euo pipefail

binary=$1
shift
leave=
if [ "${1:-}" = --exit ]; then
  leave=1
  shift
fi

log=$(mktemp)
"$binary" up "$@" > "$log" &
server=$!
stop() {
  kill "$server" 2> /dev/null || true
  wait "$server" 2> /dev/null || true
  rm -f "$log"
}
trap stop EXIT
trap 'exit 130' INT TERM

for _ in $(seq 600); do
  grep -q '^Signalbox is ready at ' "$log" && break
  kill -0 "$server" 2> /dev/null || { echo "signalbox did not come up"; exit 1; }
  sleep 0.1
done
url=$(sed -n 's/^Signalbox is ready at \([^ ]*\).*/\1/p' "$log")
[ -n "$url" ] || { echo "signalbox was not ready within 60 s"; exit 1; }

show() {
  printf '\n$ signalbox'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9-]*) printf ' %s' "${word@Q}" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$binary" "$@" --url "$url"
}

show ask --temperature 0 --max-tokens 41 --user demo 'Why is the sky blue? Answer ada@example.com in one sentence.'
# The whole vector is one long line.
show embed 'a red bicycle' | cut -c 1-100
show check 'Mail ada@example.com or call (415) 555-2671; SSN 536-22-8726.'
printf '\n'

[ -z "$leave" ] || exit 0
cat "$log"
wait "$server"
