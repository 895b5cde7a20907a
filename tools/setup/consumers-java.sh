#!/bin/sh
# What the Java consumer of the contract is built with: a JDK 17 or newer, and Maven 3.8
# or newer. Installs what is missing with apt where that is allowed. The libraries come
# with the first build, as its pom.xml pins them; Maven's own configuration is honoured.

. "$(dirname "$0")/common.sh"

missing=
command -v javac >/dev/null 2>&1 || missing="$missing openjdk-17-jdk-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
[ -n "$missing" ] || exit 0

say "installing$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    fail "not root, and no sudo; ask for: apt-get install$missing"
fi
$sudo apt-get update -qq >&2
# shellcheck disable=SC2086 # a list of packages
$sudo apt-get install -y -qq --no-install-recommends $missing >&2
