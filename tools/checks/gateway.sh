#!/usr/bin/env bash
# Kong's configuration and manifests: deck and Kubernetes' schemas accept them, and a
# wrong copy of either is refused.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/cache.sh
kong=k8s/gateway/kong

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work DECK_ANALYTICS=false

# The credentials that the cluster's Secret holds; here they only have to be there.
openssl genpkey -quiet -algorithm RSA -out "$work/key.pem"
DECK_SIGNALBOX_JWT_PUBLIC_KEY=$(openssl pkey -in "$work/key.pem" -pubout)
export DECK_SIGNALBOX_JWT_PUBLIC_KEY
export DECK_SIGNALBOX_APPLICATION_KEY=a-key DECK_SIGNALBOX_JWT_ISSUER=https://issuer.example

deck() { "$TOOLS/bin/deck" "$@"; }
# As the init container does.
render() { deck file render --populate-env-vars --output-file "$1" "$2"; }
validate_manifests() {
    "$TOOLS/bin/kustomize" build "$1" >"$work/manifests.yaml" &&
        "$TOOLS/kubernetes/bin/kubernetes-validate" --strict "$work/manifests.yaml"
}

# green WHAT COMMAND...
green() {
    local what=$1
    shift
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: $what"; exit 1; }
    echo "ok: $what"
}

# red WHAT EXPECTED COMMAND...: the command must fail, and say EXPECTED.
red() {
    local what=$1 expected=$2
    shift 2
    if "$@" >"$work/log" 2>&1; then
        echo "FAILED: $what went unnoticed"
        exit 1
    fi
    grep -qE "$expected" "$work/log" || { cat "$work/log"; echo "FAILED: $what failed for another reason"; exit 1; }
    echo "red, as it must be: $what"
}

# edited EXPRESSION: a copy of kong.yaml that sed changed.
edited() {
    sed -E "$1" $kong/kong.yaml >"$work/edited.yaml"
    ! cmp -s $kong/kong.yaml "$work/edited.yaml" || { echo "FAILED: $1 changes nothing"; exit 1; }
}

for file in kong.yaml kong.local.yaml; do
    green "deck accepts $file" deck file validate "$kong/$file"
    green "$file renders" render "$work/$file" "$kong/$file"
    green "deck accepts what $file renders to" deck file validate "$work/$file"
    if grep -nF '${{' "$work/$file"; then
        echo "FAILED: $file still names references"
        exit 1
    fi
done

edited 's/^( +)strip_path: false/\1strip_pathz: false/'
red "a field that a route does not have" "strip_pathz" deck file validate "$work/edited.yaml"
edited 's/^( +)port: 7002$/\1port: seven/'
red "a port that is no number" "port" deck file validate "$work/edited.yaml"
edited 's/^consumers:/consoomers:/'
red "an entity that Kong does not have" "consoomers" deck file validate "$work/edited.yaml"
edited 's/^( +)- group: operators/\1- gruppe: operators/'
red "an access group without a name" "group is required" deck file validate "$work/edited.yaml"
edited 's/name: router-get-policy/name: router-list-models/'
red "two routes of one name" "already exists" deck file validate "$work/edited.yaml"
red "a credential that is not given" "DECK_SIGNALBOX_APPLICATION_KEY" \
    env -u DECK_SIGNALBOX_APPLICATION_KEY "$TOOLS/bin/deck" file validate $kong/kong.yaml

green "kustomize builds and Kubernetes' schemas accept the manifests" validate_manifests $kong
echo "   $(grep -c '^kind:' "$work/manifests.yaml") objects"
cp -r $kong "$work/kong"
sed -i 's/automountServiceAccountToken: false/automountServiceAccountTokens: false/' "$work/kong/deployment.yaml"
red "a field that a pod does not have" "automountServiceAccountTokens" validate_manifests "$work/kong"
