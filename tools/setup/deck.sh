#!/bin/sh
# Builds deck, Kong's tool for its declarative configuration, from its Go module.
#
# Its go.mod has `replace` lines, which `go install` of a module refuses; so the module
# is downloaded, copied and built where its own go.mod counts.

. "$(dirname "$0")/common.sh"

need go "install Go (Debian: apt-get install golang)"
module=github.com/kong/deck@$DECK_VERSION
stamp=$({ go version && echo "$module" && cat "$0"; } | hash_of)
if is_current deck "$stamp" && [ -x "$TOOLS/bin/deck" ]; then
    exit 0
fi
one_at_a_time deck

say "building $module (about four minutes)"
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
cd "$work" # outside of any module
go mod download -json "$module" >"$work/answer"
source=$(sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p' "$work/answer")
[ -n "$source" ] || fail "go mod download does not say where $module is"
cp -r "$source" "$work/deck"
chmod -R u+w "$work/deck"
cd "$work/deck"
go build -ldflags "-s -w -X github.com/kong/deck/cmd.VERSION=$DECK_VERSION" -o "$TOOLS/bin/deck" . >&2
set_current deck "$stamp"
