#!/usr/bin/env bash
# Moves contracts/baseline to the contract of this tree: part of making a release, and the
# only thing that ever moves it. The files that it writes belong into the release's commit.
#
# Refuses where the tree has changes that are not committed (a release is of a commit),
# where the version in Cargo.toml is not above the baseline's, and where the contract
# breaks the baseline: a break is a new package (signalbox.router.v2) beside the old one.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tools/cache.sh
binaries=${SIGNALBOX_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
baseline=contracts/baseline

refuse() {
    echo "release-baseline: $1" >&2
    exit 1
}

[ -z "$(git status --porcelain)" ] ||
    refuse "the tree has changes that are not committed; commit or stash them first"
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || refuse "no version under [workspace.package] in Cargo.toml"
if [ -e "$baseline/VERSION" ]; then
    last=$(cat "$baseline/VERSION")
    highest=$(printf '%s\n' "$last" "$version" | sort --version-sort | tail -1)
    if [ "$version" = "$last" ] || [ "$highest" != "$version" ]; then
        refuse "the baseline is of $last and Cargo.toml says $version; raise the version first"
    fi
    { tools/checks/baseline.sh proto && tools/checks/baseline.sh openapi; } ||
        refuse "the contract breaks $last, as the lines above say; put the break into a new package"
fi

# Made aside first: a failure half way leaves the old baseline whole.
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"$TOOLS/node/node_modules/.bin/buf" build proto --as-file-descriptor-set --exclude-source-info \
    --output "$new/signalbox.binpb"
"$binaries/signalbox-contracts" --binaries "$binaries" openapi >"$new/openapi.json"
printf '%s\n' "$version" >"$new/VERSION"
mkdir -p "$baseline"
cp "$new"/* "$baseline/"
echo "contracts/baseline is the contract of $version now; commit it with the release"
