#!/bin/sh
# Installs the engines that `make bench-embeddings` compares with (4 GB, most of it CUDA
# libraries that PyTorch does not load without): TOOLS/bench-embeddings/bin/python.
# No check needs it, so all.sh leaves it out.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
# The file names every package; what it leaves out is not needed.
PIP_NO_DEPS=1 exec "$here/venv.sh" bench-embeddings "$here/../bench-embeddings/requirements.txt"
