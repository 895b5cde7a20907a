#!/bin/sh
# Installs the peer that `make bench-guardrails` compares with:
# TOOLS/bench-guardrails/bin/python. No check needs it, so all.sh leaves it out.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/venv.sh" bench-guardrails "$here/../bench-guardrails/requirements.txt"
