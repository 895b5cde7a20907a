#!/usr/bin/env bash
# Shows that the checks of the contract can fail: on copies of proto/, every edit that
# breaks a client turns the right check red, and every addition leaves both green.
#
# In the table `buf` is `baseline.sh proto`, `openapi` is `baseline.sh openapi`. A copy's
# document is made from its descriptor set; first it is shown that the one so made from
# proto/ itself is the one that the real binary serves.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tools/cache.sh
binaries=${SIGNALBOX_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
buf=$TOOLS/node/node_modules/.bin/buf
python=$TOOLS/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

guardrails=signalbox/guardrails/v1/guardrails.proto
router=signalbox/router/v1/router.proto
embeddings=signalbox/embeddings/v1/embeddings.proto

# The OpenAPI document of the contract in a folder.
document() {
    "$buf" build "$1" --as-file-descriptor-set --output "$work/edited.binpb"
    "$binaries/signalbox-contracts" openapi --descriptors "$work/edited.binpb"
}

# verdict CHECK ARGUMENT: green or red. What it said goes to $work/CHECK.log.
verdict() {
    if tools/checks/baseline.sh "$1" "$2" >"$work/$1.log" 2>&1; then echo green; else echo red; fi
}

# edit WHAT BUF OPENAPI FILE OLD NEW [OLD NEW]...: replaces each OLD, which must be there
# exactly once, and compares what the two checks say with what they must say.
failed=0
edit() {
    local what=$1 buf_must=$2 openapi_must=$3 file=$4
    shift 4
    rm -rf "$work/proto"
    cp -r proto "$work/proto"
    "$python" - "$work/proto/$file" "$@" <<'PYTHON'
import sys

path, *pairs = sys.argv[1:]
text = open(path, encoding="utf-8").read()
for old, new in zip(pairs[::2], pairs[1::2]):
    if text.count(old) != 1:
        sys.exit(f"breaking.sh: {path} holds {old!r} {text.count(old)} times, not once: mend the edit")
    text = text.replace(old, new)
open(path, "w", encoding="utf-8").write(text)
PYTHON
    document "$work/proto" >"$work/openapi.json"
    local buf_is openapi_is mark=ok
    buf_is=$(verdict proto "$work/proto")
    openapi_is=$(verdict openapi "$work/openapi.json")
    if [ "$buf_is $openapi_is" != "$buf_must $openapi_must" ]; then
        mark=FAIL
        failed=1
    fi
    printf '%-4s %-44s buf %-6s openapi %-6s\n' "$mark" "$what" "$buf_is" "$openapi_is"
    # The first line that says why: red for another reason is no proof.
    [ "$buf_is" = green ] || printf '       buf: %s\n' "$(grep -m 1 -o ':[0-9]*:[0-9]*:.*' "$work/proto.log" | cut -d : -f 4- | cut -c 1-140)"
    [ "$openapi_is" = green ] || printf '       openapi: %s\n' "$(grep -m 1 -A 2 '^error' "$work/openapi.log" | sed 's/ at .*//; s/^error//' | tr -s '\n\t ' ' ' | cut -c 1-140)"
    if [ "$mark" = FAIL ]; then
        echo "     must be: buf $buf_must, openapi $openapi_must"
        cat "$work/proto.log" "$work/openapi.log"
    fi
}

"$binaries/signalbox-contracts" --binaries "$binaries" openapi >"$work/served.json"
document proto >"$work/made.json"
"$python" - "$work/served.json" "$work/made.json" <<'PYTHON'
import json, sys

served, made = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
for document in (served, made):
    # In the order in which services were registered, which says nothing.
    document["tags"].sort(key=lambda tag: tag["name"])
for key in served.keys() | made.keys():
    if key != "info" and served.get(key) != made.get(key):
        sys.exit(f"breaking.sh: `{key}` of the served document is not that made from proto/")
print(f"the document made from proto/ is the served one: {len(served['paths'])} paths")
PYTHON

edit "nothing" green green "$guardrails" "syntax = " "syntax = "

# Breaks.
edit "a field of an answer removed" red red "$guardrails" \
    "  double score = 7;" ""
edit "a field removed, name and number reserved" red red "$guardrails" \
    "  double score = 7;" "  reserved 7; reserved \"score\";"
edit "a field of a request removed" red red "$router" \
    "  optional uint32 n = 14;" ""
edit "a field renumbered" red green "$guardrails" \
    "  double score = 7;" "  double score = 70;"
edit "a field renamed" red red "$guardrails" \
    "  double score = 7;" "  double confidence = 7;"
edit "a field's type changed" red red "$router" \
    "  optional uint32 max_tokens = 5;" "  optional string max_tokens = 5;"
edit "a field made repeated" red red "$router" \
    "  string user = 13;" "  repeated string user = 13;"
edit "presence taken from a field" red green "$router" \
    "  optional int64 seed = 10;" "  int64 seed = 10;"
edit "an enum value removed" red green "$guardrails" \
    "  ACTION_FLAG = 3;" ""
edit "an RPC removed" red red "$guardrails" \
    "  rpc RestoreText(RestoreTextRequest) returns (RestoreTextResponse) {
    option (google.api.http) = {
      post: \"/v1/guardrails:restore\"
      body: \"*\"
    };
  }" ""
edit "an RPC renamed" red green "$guardrails" \
    "  rpc ListPolicies(" "  rpc ListProfiles("
edit "a request type exchanged" red red "$guardrails" \
    "  rpc RestoreText(RestoreTextRequest)" "  rpc RestoreText(CreateModerationRequest)"
edit "a stream made unary" red green "$embeddings" \
    "  rpc StreamEmbeddings(stream " "  rpc StreamEmbeddings("
edit "a path renamed" green red "$guardrails" \
    "/v1/guardrails:redact" "/v1/guardrails:mask"
edit "a verb changed" green red "$guardrails" \
    "{get: \"/v1/guardrails/detectors\"}" "{post: \"/v1/guardrails/detectors\"}"
edit "a body's fields moved into the query" green red "$guardrails" \
    "      post: \"/v1/guardrails:redact\"
      body: \"*\"" "      post: \"/v1/guardrails:redact\""

# Additions.
edit "a field of a request added" green green "$guardrails" \
    "message RedactTextRequest {" "message RedactTextRequest {
  // New.
  optional string language = 99;"
edit "a field of an answer added" green green "$guardrails" \
    "message Finding {" "message Finding {
  // New.
  string language = 99;"
edit "an enum value added" green green "$guardrails" \
    "  ACTION_BLOCK = 4;" "  ACTION_BLOCK = 4;
  // New.
  ACTION_ASK = 6;"
edit "an RPC with its path added" green green "$guardrails" \
    "  rpc CheckStream(" "  // New.
  rpc ExplainText(CheckTextRequest) returns (CheckTextResponse) {
    option (google.api.http) = {
      post: \"/v1/guardrails:explain\"
      body: \"*\"
    };
  }

  rpc CheckStream("
edit "a second path for an RPC added" green green "$guardrails" \
    "{get: \"/v1/guardrails/policies\"}" "{
    get: \"/v1/guardrails/policies\"
    additional_bindings {get: \"/v1/guardrails/profiles\"}
  }"
exit "$failed"
