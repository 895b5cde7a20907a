#!/usr/bin/env bash
# Shows that the build is closed: an action that reaches for the network or for a file
# that it does not declare fails, and no action names a path of this machine outside of
# the C toolchain. Needs python3.
set -euo pipefail
cd "$(dirname "$0")/../.."

bazel() { tools/bazel "$@" 2>"$log"; }
pass() { printf 'ok: %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*"
    tail -20 "$log"
    exit 1
}
log=$(mktemp)
listener=
trap '[ -z "$listener" ] || kill "$listener"; rm -f "$log" "$log".*' EXIT

python3 - "$log.port" <<'PY' &
import os, socket, sys

server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    client, _ = server.accept()
    client.sendall(b"ping")
    client.close()
PY
listener=$!
for _ in $(seq 100); do [ -s "$log.port" ] && break || sleep 0.05; done
port=$(cat "$log.port")

here=//tools/checks/hermetic
if bazel build --define="PORT=$port" "$here:reaches_the_network"; then
    fail "an action reached the network"
fi
grep -q "Connection refused" "$log" || fail "the network action failed for another reason"
# The same action outside of the sandbox gets through: it is the sandbox that refuses.
bazel build --define="PORT=$port" --strategy=Genrule=local "$here:reaches_the_network" ||
    fail "the listener cannot be reached at all, so nothing was shown"
pass "an action that reaches for the network fails"

if bazel build "$here:reads_an_undeclared_file"; then
    fail "an action read a file that it does not declare"
fi
grep -q "input.txt: No such file" "$log" || fail "the undeclared read failed for another reason"
bazel build "$here:reads_a_declared_file" || fail "a declared file cannot be read"
pass "an action that reads a file that it does not declare fails"

# What every action runs with: its command and its environment.
bazel aquery 'deps(//...)' --output=jsonproto >"$log.actions" || fail "aquery"
python3 tools/checks/action_paths.py "$log.actions" || fail "actions name the paths above"
pass "no action names a path of this machine but those of its tools"
