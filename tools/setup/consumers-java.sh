#!/bin/sh
# What the Java consumer of the contract is built with: a JDK 17 or newer, and Maven 3.8
# or newer. Installs what is missing with apt where that is allowed. The libraries come
# with the first build, as its pom.xml pins them; Maven's own configuration is honoured.

. "$(dirname "$0")/common.sh"

missing=
command -v javac >/dev/null 2>&1 || missing="$missing openjdk-17-jdk-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086 # a list of packages
apt_install $missing
