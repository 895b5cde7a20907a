#!/usr/bin/env bash
# protos.sh FOLDER [DESCRIPTOR_SET]: writes the .proto files of the last release, or of
# another descriptor set, so that a client can be generated from them.
#
# buf exports no descriptor set; grpcurl does. What generators bring themselves is left out.
set -euo pipefail
[ $# -gt 0 ] || { sed -n 's/^# \(protos.sh.*\)/\1/p' "$0" >&2; exit 2; }
folder=$1
set=${2:-$(dirname "$0")/../../contracts/baseline/signalbox.binpb}
. "$(dirname "$0")/../cache.sh"
grpcurl=$TOOLS/bin/grpcurl

mkdir -p "$folder"
for service in $("$grpcurl" -protoset "$set" list); do
    "$grpcurl" -protoset "$set" -proto-out-dir "$folder" describe "$service" >/dev/null
done
rm -rf "$folder/google/protobuf"
