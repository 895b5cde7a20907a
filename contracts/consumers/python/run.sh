#!/bin/sh
# Generates the client from $SIGNALBOX_PROTO, checks its types, and runs every case on
# both servers, as contracts/README.md says. The packages: tools/setup/consumers-python.sh.

set -eu
tree=$(cd "$(dirname "$0")/../../../proto" && pwd)
proto=$(cd "${SIGNALBOX_PROTO:-$tree}" && pwd)
cd "$(dirname "$0")"
export SIGNALBOX_RPCS="${SIGNALBOX_RPCS:-$tree/../contracts/rpcs.json}"
. ../../../tools/cache.sh
bin=$TOOLS/consumers-python/bin
[ -x "$bin/python" ] || {
    echo "the packages are missing; run tools/setup/consumers-python.sh" >&2
    exit 1
}

rm -rf generated
mkdir generated
# The plugins of mypy-protobuf, which give the stubs types, are found by PATH. google/api
# is not generated: googleapis-common-protos has it.
(cd "$proto" && find signalbox -name '*.proto' | sort) |
    PATH=$bin:$PATH xargs "$bin/python" -m grpc_tools.protoc --proto_path="$proto" \
        --python_out=generated --grpc_python_out=generated \
        --mypy_out=quiet:generated --mypy_grpc_out=quiet:generated

export PYTHONPATH=generated PYTHONDONTWRITEBYTECODE=1
# No proxy stands between these cases and a server of this machine.
export no_proxy=localhost,127.0.0.1
# The core's own words about the certificate that a case has it refuse.
export GRPC_VERBOSITY=NONE
older=--older
if [ "$proto" = "$tree" ]; then
    older=
    # Standard output is for cases only.
    "$bin/mypy" >&2
fi
said=$("$bin/python" example.py "$SIGNALBOX_PLAINTEXT" echo "an example")
[ "$said" = "an example" ] || {
    echo "the example prints: $said" >&2
    exit 1
}
"$bin/python" -m unittest --quiet cases.test_rows >&2
exec "$bin/python" -m cases --generated generated $older
