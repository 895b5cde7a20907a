#!/bin/sh
# Installs podman and what it runs containers with, for the tests of the images. With
# tools/images/containers.conf in CONTAINERS_CONF, these are used.
#
# Needs apt, and root for it.

. "$(dirname "$0")/common.sh"

missing=
for package in podman runc catatonit netavark aardvark-dns iptables; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

need apt-get "install podman 4.3 or newer with runc and netavark"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    fail "not root, and no sudo; ask for: apt-get install --no-install-recommends$missing"
fi
one_at_a_time podman
say "installing$missing"
$sudo apt-get update -qq >&2
# shellcheck disable=SC2086 # a list of packages
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >&2
