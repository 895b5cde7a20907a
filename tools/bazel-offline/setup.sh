#!/usr/bin/env bash
# Sets up Bazel on a machine that reaches only Debian's and Cargo's registries: a Debian
# sid tree with Bazel 7 and its rules, and the generator of crate_universe. Once; a
# second run does nothing.
#
# Needs root, apt and cargo. Takes two to four minutes.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$here/common.sh"

# What the tree holds. Bazel and its rules; a C toolchain; what actions run (python for
# rules_pkg, protoc for the contracts); what images are assembled from (tzdata,
# ca-certificates).
PACKAGES="bazel-bootstrap bazel-features bazel-platforms bazel-rules-cc bazel-rules-license bazel-rules-pkg
bazel-rules-proto bazel-rules-python bazel-rules-rust bazel-rules-shell bazel-skylib
ca-certificates curl gcc g++ git libc6-dev libprotobuf-dev procps protobuf-compiler python3 tzdata unzip zip"

stamp=$({ echo "$PACKAGES"; cat "${BASH_SOURCE[0]}"; } | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$STATE/.setup.stamp" 2>/dev/null)" != "$stamp" ] || exit 0

[ "$(id -u)" = 0 ] || fail "setting up needs root once: run \`sudo -E $here/setup.sh\`, or put a Bazel 7.7 on PATH"
command -v apt-get >/dev/null || fail "this system has no apt-get; put a Bazel 7.7 on PATH instead"
command -v cargo >/dev/null || fail "cargo is missing; install Rust with rustup"

mkdir -p "$STATE"
exec 9>"$STATE/.setup.lock"
flock 9
[ "$(cat "$STATE/.setup.stamp" 2>/dev/null)" != "$stamp" ] || exit 0

begun=$SECONDS
step=0
next() {
    step=$((step + 1))
    say "set-up $step of 4, after $((SECONDS - begun)) s: $*"
}
log=$STATE/setup.log
: >"$log"
quietly() { "$@" >>"$log" 2>&1 || { tail -20 "$log" >&2; fail "set-up failed (not the build): $*; the whole log is $log"; }; }

if ! [ -x "$TREE/usr/bin/bazel" ]; then
    next "a minimal Debian sid tree"
    command -v debootstrap >/dev/null || quietly apt-get install -y -qq --no-install-recommends debootstrap
    . /etc/os-release
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $VERSION_CODENAME" 'Created-By: Packages' | head -1)
    [ -n "$mirror" ] || fail "apt knows no Debian mirror; run apt-get update"
    rm -rf "$TREE"
    quietly debootstrap --variant=minbase --include=ca-certificates sid "$TREE" "$mirror"
else
    next "the Debian sid tree is there"
fi

next "Bazel, its rules and a C toolchain, inside"
# How this machine reaches its mirror, and whom it trusts; before Java reads the latter.
cp /usr/local/share/ca-certificates/*.crt "$TREE/usr/local/share/ca-certificates/" 2>/dev/null || true
cp /etc/apt/apt.conf.d/*proxy* "$TREE/etc/apt/apt.conf.d/" 2>/dev/null || true
# sid's Release file may have passed its date on a mirror that lags.
echo 'Acquire::Check-Valid-Until "false";' >"$TREE/etc/apt/apt.conf.d/90valid"
# shellcheck disable=SC2086 # a list of packages
quietly unshare -m bash -ec '
    mount --bind /proc "$0/proc"; mount --bind /dev "$0/dev"
    chroot "$0" update-ca-certificates
    chroot "$0" apt-get update -q
    DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install -y -q --no-install-recommends "$@"
' "$TREE" $PACKAGES
# Debian turns verbose sandbox messages on for everybody.
sed -i 's/^build --sandbox_debug/#&/' "$TREE/etc/bazel/bazelrc"

next "crate_universe's generator, from the rules' own sources"
# The version in the registry speaks to another version of the rules.
quietly env CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --force \
    --path "$TREE/usr/share/bazel/rules/rust/crate_universe" \
    --target-dir "$STATE/generator-build" --root "$STATE/generator"
rm -rf "$STATE/generator-build"

next "done: Bazel $(cat "$TREE/usr/share/bazel/build-label.txt"), $(du -sh "$STATE" | cut -f 1) in $STATE"
echo "$stamp" >"$STATE/.setup.stamp"
