#!/bin/sh
# What the checks of shared state need: redis-server. Installs it with apt where that is
# allowed. A check runs one of its own, on a free port, and leaves a system's alone.

. "$(dirname "$0")/common.sh"

command -v redis-server >/dev/null 2>&1 || apt_install redis-server
