#!/bin/sh
# What the checks of shared state need: redis-server. Installs it with apt where that is
# allowed. A check runs one of its own, on a free port, and leaves a system's alone.

. "$(dirname "$0")/common.sh"

command -v redis-server >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    fail "not root, and no sudo; ask for: apt-get install redis-server"
fi
command -v apt-get >/dev/null 2>&1 || fail "no apt-get; install redis-server 7 or newer"
say "installing redis-server"
$sudo apt-get update -qq >&2
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends redis-server >&2
