#!/usr/bin/env bash
# Breaks the source of the Guardrails service in a scratch clone, builds its own binary
# from that, and verifies the pacts against it: each break must turn them red, for the
# reason that it is. Slow, for each break is a build; `make contracts` breaks the provider
# behind a proxy instead (contracts/pact/src/mutations.rs).
#
# Wants contracts/pact/run.sh to have been run: it builds the verifier.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
pact=$target/pact/debug/signalbox-pact
pacts=$PWD/contracts/pacts
[ -x "$pact" ] || { echo "$pact is missing; run contracts/pact/run.sh" >&2; exit 1; }

scratch=$(mktemp -d)
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2> /dev/null || true
    wait "$server" 2> /dev/null || true
    server=
  fi
}
trap 'stop; rm -rf "$scratch"' EXIT
git clone --quiet --shared . "$scratch/tree"
proto=$scratch/tree/proto/signalbox/guardrails/v1/guardrails.proto
handler=$scratch/tree/services/guardrails/src/handler
# Never the shared folder: what is built here must not be run by anything else.
export CARGO_TARGET_DIR=$target/mutation

# Builds the tree as it is, and serves it at $address.
serve() {
  (cd "$scratch/tree" && cargo build --quiet --locked -p signalbox-guardrails --bin signalbox-guardrails)
  # Emptied here: the address of the last server must not be read again.
  : > "$scratch/out"
  "$CARGO_TARGET_DIR/debug/signalbox-guardrails" --set server.listen=127.0.0.1:0 \
    --set telemetry.log_filter=error > "$scratch/out" &
  server=$!
  for _ in $(seq 300); do
    address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$scratch/out" | head -n 1) || true
    [ -z "$address" ] || return 0
    kill -0 "$server" || return 1
    sleep 0.1
  done
  echo "the server says not where it listens" >&2
  return 1
}

verify() { "$pact" --pacts "$pacts" --at "$address" verify --provider signalbox-guardrails; }

# edit FILE EXPRESSION: as sed does, and fails where that changes nothing.
edit() {
  cp "$1" "$scratch/before"
  sed -i -E "$2" "$1"
  if cmp -s "$1" "$scratch/before"; then
    echo "nothing to break: $2 in $1" >&2
    return 1
  fi
}

# mutant WHAT REASON: what was just edited must be red, and say REASON.
missed=0
mutant() {
  serve
  if verify > "$scratch/log" 2>&1; then
    echo "GREEN, BUT MUST BE RED: $1"
    missed=1
  elif ! grep -qE "^ +.*$2" "$scratch/log"; then
    echo "RED FOR ANOTHER REASON: $1"
    cat "$scratch/log"
    missed=1
  else
    echo "red as it must be: $1 ($(grep -c '^FAILED' "$scratch/log") interactions)"
    grep '^FAILED' "$scratch/log" | sed 's/^FAILED/    /'
  fi
  stop
  git -C "$scratch/tree" checkout --quiet .
}

serve
verify > "$scratch/log" 2>&1 || { cat "$scratch/log"; echo "red without any break"; exit 1; }
stop
echo "green as it must be: the source unbroken"

edit "$proto" 's/^  string detector = 2;/  reserved 2;/'
edit "$handler/convert.rs" '/^ +detector: /d'
mutant "removed field detector of Finding, REST and gRPC" "detector"

edit "$scratch/tree/services/chassis/src/error.rs" \
  's/Self::new\(Code::InvalidArgument, reason::INVALID_FIELD/Self::new(Code::NotFound, reason::INVALID_FIELD/'
mutant "changed status of a wrong field from INVALID_ARGUMENT (400) to NOT_FOUND (404)" \
  "expected 400 but was 404"

edit "$proto" 's|post: "/v1/guardrails:check"|post: "/v1/guardrails:inspect"|'
mutant "renamed path /v1/guardrails:check" "expected 200 but was 404"

edit "$proto" 's/^  rpc RedactText\(/  rpc HideText(/'
edit "$handler/mod.rs" 's/async fn redact_text\(/async fn hide_text(/'
mutant "renamed method RedactText" "UNIMPLEMENTED"

exit $missed
