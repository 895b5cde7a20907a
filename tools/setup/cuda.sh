#!/bin/sh
# Lays out NVIDIA's nvcc, from its Python wheels, as a CUDA_HOME of its own: TOOLS/cuda.
# Not one of `make setup`'s parts: 100 MB to download and 270 MB on disk, of use to those
# who change kernels. The wheels are NVIDIA's, under its licence (TOOLS/cuda/licenses).
#
# Needs python3 with pip, on x86-64 Linux. pip's own configuration is honoured.

. "$(dirname "$0")/common.sh"

[ "$(uname -sm)" = "Linux x86_64" ] || fail "these wheels are for x86-64 Linux; install CUDA 13 and set CUDA_HOME"
need python3 "install Python 3.11 or newer (Debian: apt-get install python3 python3-pip)"
stamp=$(cat "$SETUP/cuda/requirements.txt" "$0" | hash_of)
if is_current cuda "$stamp" && [ -x "$TOOLS/cuda/bin/nvcc" ]; then
    exit 0
fi
one_at_a_time cuda

work=$(mktemp -d "$TOOLS/.cuda.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "downloading nvcc $(sed -n 's/^nvidia-cuda-nvcc==\([^ ]*\).*/\1/p' "$SETUP/cuda/requirements.txt") (about 100 MB)"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement "$SETUP/cuda/requirements.txt" --dest "$work" >&2
for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/all"
done
root=$work/all/nvidia/cu13
mkdir "$root/licenses"
for licence in "$work"/all/*.dist-info/licenses/License.txt; do
    package=${licence%.dist-info/*}
    cp "$licence" "$root/licenses/${package##*/}.txt"
done
# A zip file's modes are not unpacked.
chmod +x "$root"/bin/* "$root"/nvvm/bin/*
rm -rf "$TOOLS/cuda"
mv "$root" "$TOOLS/cuda"
set_current cuda "$stamp"
say "nvcc is ready: $TOOLS/cuda"
