#!/usr/bin/env bash
# Clients generated from an older contract, on the binaries of this tree.
#
#   released   generated from the contract of the last release, contracts/baseline
#   reduced    generated from proto/ without an RPC and without fields of a request and
#              of an answer: what a client of yesterday is once they have been added
#
# The second is there because the first shows nothing on the day of a release, when the
# two contracts are one.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tools/cache.sh
binaries=${SIGNALBOX_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== clients of the last release, $(cat contracts/baseline/VERSION)"
tools/release/protos.sh "$work/released"
"$binaries/signalbox-contracts" --binaries "$binaries" consumers \
    --proto "$work/released" --only python --only go

echo "== clients of a reduced contract"
cp -r proto "$work/reduced"
guardrails=$work/reduced/signalbox/guardrails/v1/guardrails.proto
# An answer's field, a request's field, an RPC.
sed -i -e '/^message Finding {/,/^}/{/ score = 7;/d}' \
    -e '/^message CheckTextRequest {/,/^}/{/ policy = 3;/d}' \
    -e '/^  rpc ListPolicies(/,/^  }/d' "$guardrails"
# To be sure that it lacks what it is said to lack, and is otherwise a contract.
"$TOOLS/node/node_modules/.bin/buf" build "$work/reduced" --as-file-descriptor-set --output "$work/reduced.binpb"
if tools/checks/baseline.sh proto "$work/reduced" >"$work/log"; then
    echo "old_clients.sh: the reduced contract lacks nothing; mend the cuts" >&2
    exit 1
fi
for lost in 'field "7" with name "score"' 'field "3" with name "policy"' 'RPC "ListPolicies"'; do
    grep -q "$lost" "$work/log" ||
        { cat "$work/log"; echo "old_clients.sh: the reduced contract has $lost; mend the cuts" >&2; exit 1; }
    printf 'cut: %s\n' "$lost"
done
"$binaries/signalbox-contracts" --binaries "$binaries" consumers \
    --proto "$work/reduced" --only python
