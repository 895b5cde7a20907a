#!/usr/bin/env bash
# What a build needs beyond Rust and Python: a C compiler (for ring), pip (for
# `signalbox models pull`). Installs what is missing with apt where that is allowed.
set -euo pipefail

missing=()
command -v cargo > /dev/null || { echo "cargo is missing: install Rust 1.95 or newer with rustup"; exit 1; }
command -v cc > /dev/null || missing+=(gcc libc6-dev)
command -v curl > /dev/null || missing+=(curl)
command -v python3 > /dev/null || missing+=(python3)
python3 -m pip --version > /dev/null 2>&1 || missing+=(python3-pip)
python3 -c 'import venv, ensurepip' 2> /dev/null || missing+=(python3-venv)
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
  sudo=
elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
  sudo="sudo -n"
else
  echo "not root and no sudo: ask an administrator for: apt-get install ${missing[*]}"
  exit 1
fi
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
