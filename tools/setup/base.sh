#!/bin/sh
# What a build needs beyond Rust: a C compiler (for ring), and pip, by which models
# are pulled. Installs what is missing with apt where that is allowed.

. "$(dirname "$0")/common.sh"

need cargo "install Rust 1.95 or newer with rustup"
missing=
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086 # a list of packages
apt_install $missing
