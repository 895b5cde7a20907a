# Shared by the scripts beside it; sourced, never run.
#
# Sets SETUP (this folder), TOOLS (where tools are installed) and the versions, and
# defines say, fail, need, hash_of, is_current, set_current and apt_install. A tool is current when
# its stamp holds the hash of everything that it was installed from, so that a second
# run does nothing and takes no time.

set -eu

SETUP=$(cd "$(dirname "$0")" && pwd)
. "$SETUP/../cache.sh"
. "$SETUP/versions.env"
mkdir -p "$TOOLS/bin"

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# need COMMAND HINT
need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is missing; $2"; }

hash_of() { sha256sum | cut -d ' ' -f 1; }

# is_current NAME HASH
is_current() { [ "$(cat "$TOOLS/.$1.stamp" 2>/dev/null)" = "$2" ]; }

# set_current NAME HASH
set_current() { printf '%s\n' "$2" >"$TOOLS/.$1.stamp"; }

# one_at_a_time NAME: waits for another run of the same script.
one_at_a_time() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$TOOLS/.$1.lock"
        flock 9
    fi
}

# apt_install PACKAGE...: where that is allowed; else says what to ask for.
apt_install() {
    command -v apt-get >/dev/null 2>&1 || fail "no apt-get; install what is called here: $*"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        fail "not root, and no sudo; ask for: apt-get install $*"
    fi
    say "installing $*"
    $sudo apt-get update -qq >&2
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >&2
}
