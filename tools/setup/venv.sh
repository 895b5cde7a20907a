#!/bin/sh
# venv.sh NAME REQUIREMENTS...: installs the packages of these files into a virtual
# environment of their own: TOOLS/NAME, so that its interpreter is TOOLS/NAME/bin/python.
#
# Needs python3 with pip. Debian's python3 lacks ensurepip, without which venv puts no
# pip inside; the pip outside installs into it then. With no pip at all, root installs
# Debian's, and others are told what to ask for. pip's own configuration is honoured.

. "$(dirname "$0")/common.sh"

name=$1
shift
venv=$TOOLS/$name
need python3 "install Python 3.11 or newer (Debian: apt-get install python3 python3-venv python3-pip)"
stamp=$({ python3 -VV && cat "$@" "$0"; } | hash_of)
if is_current "$name" "$stamp" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi
one_at_a_time "$name"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "python3 is $(python3 -V); install Python 3.11 or newer"

rm -rf "$venv"
if python3 -c 'import ensurepip, venv' 2>/dev/null; then
    say "making a virtual environment in $venv"
    python3 -m venv "$venv"
else
    if ! python3 -m pip --version >/dev/null 2>&1; then
        if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "installing python3-venv and python3-pip with apt-get"
            apt-get update -qq >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv python3-pip >&2
        else
            fail "python3 has neither venv nor pip; ask for them (Debian: apt-get install python3-venv python3-pip)"
        fi
    fi
    say "making a virtual environment without a pip of its own in $venv"
    python3 -m venv --without-pip "$venv" ||
        fail "python3 has no venv module; install it (Debian: apt-get install python3-venv)"
fi

say "installing the Python packages of $name"
for file in "$@"; do
    set -- "$@" --requirement "$file"
    shift
done
if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
else
    python3 -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check "$@" >&2
fi
set_current "$name" "$stamp"
say "the Python packages of $name are ready"
