#!/usr/bin/env bash
# Shows that images can be laid upon a base that is pulled from a registry by its digest:
# from Debian's docker-registry on this machine, behind a gate that wants a token, as
# public registries do. The base is the assembled one, pushed there; its layers come back
# byte for byte, as part of an index for several platforms too, and the image runs. A blob
# that is not what its digest says is refused, and so is a base that holds a shell.
#
# Needs root and apt. Images that stand in the build folder are replaced, then restored.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/setup/podman.sh
export CONTAINERS_CONF=$PWD/tools/images/containers.conf
if ! command -v docker-registry >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-registry >/dev/null
fi

work=$(mktemp -d)
pids=()
cleanup() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
pass() { printf 'ok: %s\n' "$*"; }
failed() {
    printf 'FAILED: %s\n' "$*"
    tail -20 "$work/log" 2>/dev/null || true
    exit 1
}
answers() {
    for _ in $(seq 100); do
        ! curl -s -o /dev/null "$1" || return 0
        sleep 0.1
    done
    failed "$1 does not answer"
}
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

bazel() { tools/bazel "$@" >"$work/log" 2>&1; }
build() { bazel build "--repo_env=SIGNALBOX_BASE_IMAGE=$1" //images:guardrails; }
outputs=$(tools/bazel info bazel-bin 2>/dev/null)/images
# layers MANIFEST: the digests of its layers.
layers() { python3 -c 'import json, sys; print(*[it["digest"] for it in json.load(open(sys.argv[1]))["layers"]], sep="\n")' "$1"; }

bazel build //images:guardrails || failed "the image does not build upon the assembled base"
assembled=$(cat "$outputs/guardrails.digest")

registry=$(free_port) gate=$(free_port)
mkdir "$work/store"
cat >"$work/registry.yml" <<YML
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $work/store } }
http: { addr: "127.0.0.1:$registry" }
YML
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
pids+=($!)
answers "http://127.0.0.1:$registry/v2/"

# The base, made into an image by another's tool.
cp "$outputs/base.tar" "$work/base.tar"
printf 'FROM scratch\nADD base.tar /\nENV FROM_BASE=kept\n' >"$work/Containerfile"
# push TAG: makes an image of $work/Containerfile; prints its digest.
push() {
    local made
    made=$(podman build --quiet --timestamp 0 "$work")
    podman push --quiet --tls-verify=false --format oci --digestfile "$work/digest" "$made" \
        "docker://127.0.0.1:$registry/library/base:$1"
    podman rmi "$made" >/dev/null
    cat "$work/digest"
}
base=$(push 1)
cp -L /bin/sh "$work/sh"
echo 'COPY sh /usr/bin/sh' >>"$work/Containerfile"
with_a_shell=$(push 2)
curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://127.0.0.1:$registry/v2/library/base/manifests/$base" >"$work/manifest"
layers "$work/manifest" >"$work/wanted"

# An index, as public bases are: this machine's platform is the second of two.
python3 - "$registry" "$base" "$(stat -c %s "$work/manifest")" >"$work/index" <<'PY'
import hashlib, json, sys, urllib.request

kind = "application/vnd.oci.image.index.v1+json"
image = {"mediaType": kind.replace("index", "manifest"), "digest": sys.argv[2], "size": int(sys.argv[3])}
amd64, other = (image | {"platform": {"architecture": it, "os": "linux"}} for it in ("amd64", "arm64"))
body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [other, amd64]}).encode()
digest = "sha256:" + hashlib.sha256(body).hexdigest()
url = f"http://127.0.0.1:{sys.argv[1]}/v2/library/base/manifests/{digest}"
urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}, method="PUT"))
print(digest)
PY
index=$(cat "$work/index")

# The gate: without its token nothing passes. While $work/spoil is there, blobs are spoilt.
python3 - "$gate" "$registry" "$work" >"$work/gate.log" 2>&1 <<'PY' &
import http.server, json, pathlib, secrets, sys, urllib.error, urllib.parse, urllib.request

port, registry, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
token = secrets.token_hex(16)


class Gate(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/token":
            asked = urllib.parse.parse_qs(url.query)
            if asked.get("scope") == ["repository:library/base:pull"] and asked.get("service") == ["gate"]:
                return self.answer(200, json.dumps({"token": token}).encode())
            return self.answer(403)
        if self.headers.get("Authorization") != f"Bearer {token}":
            challenge = f'Bearer realm="http://127.0.0.1:{port}/token",service="gate"'
            return self.answer(401, b"{}", [("WWW-Authenticate", challenge)])
        headers = {"Accept": ", ".join(self.headers.get_all("Accept", ["*/*"]))}
        try:
            there = urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{registry}{self.path}", headers=headers)
            )
        except urllib.error.HTTPError as error:
            return self.answer(error.code, error.read())
        body = there.read()
        if (work / "spoil").exists() and "/blobs/" in self.path:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.answer(200, body, [("Content-Type", there.headers["Content-Type"])])

    do_HEAD = do_GET


http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Gate).serve_forever()
PY
pids+=($!)
answers "http://127.0.0.1:$gate/v2/"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$gate/v2/library/base/manifests/$base")" = 401 ] ||
    failed "the gate is open"

# First the spoilt ones: what was downloaded once is taken from Bazel's cache.
image=127.0.0.1:$gate/library/base
touch "$work/spoil"
if bazel build --repository_cache= "--repo_env=SIGNALBOX_BASE_IMAGE=$image@$base" //images:guardrails; then
    failed "a blob that is not what its digest says was taken"
fi
grep -qE "Checksum was [0-9a-f]{64} but wanted" "$work/log" || failed "the spoilt blob was refused for another reason"
rm "$work/spoil"
pass "a blob that is not what its digest says is refused"

if build "$image@$with_a_shell"; then
    failed "a base with a shell was taken"
fi
grep -q "usr/bin/sh" "$work/log" || failed "the base with a shell was refused for another reason"
pass "a base that holds a shell is refused"

for digest in "$base" "$index"; do
    build "$image@$digest" || failed "the image does not build upon $digest"
    image_digest=$(cat "$outputs/guardrails.digest")
    layers "$outputs/guardrails/blobs/sha256/${image_digest#sha256:}" | head -n -1 | cmp - "$work/wanted" ||
        failed "the base's layers are others"
    grep -q '"FROM_BASE=kept"' "$outputs"/guardrails/blobs/sha256/* || failed "the base's environment is lost"
    grep -q "pkg:oci/base@$digest" "$outputs/guardrails.cdx.json" || failed "the bill of materials does not name the base"
    pass "pulled by a token: $digest"
done
bazel test "--repo_env=SIGNALBOX_BASE_IMAGE=$image@$index" //images:contents_test ||
    failed "the images upon the pulled base are not what the test wants"
tools/images/smoke.sh "$outputs/guardrails"
pass "the image upon the pulled base runs"

bazel build //images:guardrails || failed "the image does not build upon the assembled base again"
[ "$(cat "$outputs/guardrails.digest")" = "$assembled" ] || failed "the assembled image has another digest than before"
pass "upon the assembled base again, the image is the same: $assembled"
