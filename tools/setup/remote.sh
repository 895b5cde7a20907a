#!/bin/sh
# Installs BuildGrid, a server of Bazel's remote cache, into a virtual environment of its
# own: TOOLS/remote. Not one of `make setup`'s parts: only tools/checks/remote_cache.sh
# runs it.
#
# Needs python3 with pip. pip's own configuration is honoured.

. "$(dirname "$0")/common.sh"

need python3 "install Python 3.11 or newer (Debian: apt-get install python3 python3-venv python3-pip)"
venv=$TOOLS/remote
stamp=$({ python3 -VV && cat "$SETUP/remote/requirements.txt" "$0"; } | hash_of)
if is_current remote "$stamp" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi
one_at_a_time remote

say "installing BuildGrid (200 MB, about half a minute)"
rm -rf "$venv"
python3 -m venv --without-pip "$venv" ||
    fail "python3 has no venv module; install it (Debian: apt-get install python3-venv)"
python3 -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check \
    --requirement "$SETUP/remote/requirements.txt" >&2
set_current remote "$stamp"
say "BuildGrid is ready"
