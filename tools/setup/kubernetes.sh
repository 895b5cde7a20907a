#!/bin/sh
# Installs what the manifests are built and validated with: kustomize (TOOLS/bin) and
# kubernetes-validate (TOOLS/kubernetes).

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
"$here/go_tool.sh" kustomize "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE_VERSION"
"$here/venv.sh" kubernetes "$here/kubernetes/requirements.txt"
