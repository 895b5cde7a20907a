#!/usr/bin/env bash
# Runs Bazel in the Debian tree, on this workspace: `run.sh build //...`.
#
# Every path outside of the tree that Bazel needs is mounted at its own name: the
# workspace, the machine's Rust, Cargo's index, and the cache that Bazel builds in. The
# Bazel server stays, as it does everywhere; `tools/bazel shutdown` ends it.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
workspace=$(dirname "$(dirname "$here")")
. "$here/common.sh"

"$here/setup.sh"
[ "$(id -u)" = 0 ] || fail "entering the Debian tree needs root; put a Bazel 7.7 on PATH instead"

# crate_universe reads the index that cargo keeps, under the name that its folder had
# before Cargo 1.85.
cargo fetch --quiet --locked --manifest-path "$workspace/Cargo.toml"
for index in "$CARGO_HOME"/registry/index/index.*-1949cf8c6b5b557f; do
    [ ! -d "$index" ] || ln -sfn "${index##*/}" "${index%-*}-6f17d22bba15001f"
done

# One output folder for all of CI's clones: an unchanged file is not built again.
rc=$STATE/rc/$(printf %s "$workspace" | sha256sum | cut -c 1-16)
startup=("--bazelrc=$rc" "--output_user_root=$STATE/out")
[ -z "${CI:-}" ] || startup+=("--output_base=$STATE/out/ci")
[ -z "${SIGNALBOX_BAZEL_OUTPUT:-}" ] || startup+=("--output_base=$SIGNALBOX_BAZEL_OUTPUT")

# The cargo and rustc that crate_universe asks, in the shape of the repository that would be downloaded.
mkdir -p "$STATE/out" "$STATE/rc" "$STATE/rust_host_tools/bin"
sysroot=$(cd "$workspace" && rustc --print sysroot)
ln -sf "$sysroot/bin/cargo" "$sysroot/bin/rustc" "$STATE/rust_host_tools/bin/"
touch "$STATE/rust_host_tools/REPO.bazel"
echo 'exports_files(glob(["bin/*"]))' >"$STATE/rust_host_tools/BUILD.bazel"

# What tests read beside the sources: the models, and the clients of `make setup` with the
# python that they were installed for.
mkdir -p "$MODELS" "$TOOLS" "$STATE/wheels"
python=$("$TOOLS/python/bin/python" -c 'import sys; print(sys.base_prefix)' 2>/dev/null) || python=$STATE
case $python in
/usr | /usr/*)
    say "note: the tests' clients run on the system's python, which the Debian tree does not share; theirs will fail"
    python=$STATE
    ;;
esac
"$here/wheels.sh" "$workspace/tools/models/manifest.yaml" "$MODELS" "$STATE/wheels"

cat >"$rc" <<RC
common --config=offline
common --repo_env=CARGO_BAZEL_GENERATOR_URL=file://$STATE/generator/bin/cargo-bazel
common --override_repository=rules_rust~~rust_host_tools~rust_host_tools=$STATE/rust_host_tools
common --repo_env=SIGNALBOX_MODELS_DIR=$MODELS
common --repo_env=SIGNALBOX_TOOLS_DIR=$TOOLS
common --repo_env=SIGNALBOX_WHEELS=$STATE/wheels
common --repository_cache=$STATE/downloads
RC
export TREE CARGO_HOME RUSTUP_HOME
node=$(command -v node || true)
export NODE=${node:+$(realpath "$node")}

# A server lives in the mounts that it was started in: other mounts, another server.
mounts=(/proc /dev /sys "$STATE" "$workspace" "$CARGO_HOME" "$RUSTUP_HOME" "$MODELS" "$TOOLS" "$python")
[ -z "${CUDA_HOME:-}" ] || ! [ -d "$CUDA_HOME" ] || mounts+=("$CUDA_HOME")
startup+=("--host_jvm_args=-Dsignalbox.mounts=$(printf '%s\n' "${mounts[@]}" "$NODE" | sha256sum | cut -c 1-16)")

# For tools/checks/reproducible.sh: Bazel runs as another user, and its actions under a
# clock of another year.
as=()
if [ -n "${SIGNALBOX_BAZEL_DISGUISE:-}" ]; then
    as=(unshare --user --map-user=4711 --map-group=4711 --)
    mkdir -p "$STATE/disguise"
    cc -shared -fPIC -O1 -o "$STATE/disguise/clock.so" "$workspace/tools/checks/shifted_clock.c"
    echo "$STATE/disguise/clock.so" >"$STATE/disguise/ld.so.preload"
    touch "$TREE/etc/ld.so.preload"
    # Cargo asks for the user's home folder.
    grep -q ^stranger: "$TREE/etc/passwd" || echo "stranger:x:4711:4711::$HOME:/bin/sh" >>"$TREE/etc/passwd"
    echo "build --sandbox_add_mount_pair=$STATE/disguise/ld.so.preload:/etc/ld.so.preload" >"$STATE/disguise/bazelrc"
    startup+=("--bazelrc=$STATE/disguise/bazelrc")
fi

# pivot_root, not chroot: the kernel refuses user namespaces, of which Bazel's sandbox is
# made, to a process in a chroot.
exec unshare -m bash -ec '
    mount --bind "$TREE" "$TREE"
    workspace=$1
    shift
    while [ "$1" != -- ]; do
        mkdir -p "$TREE$1"
        mount --rbind "$1" "$TREE$1"
        shift
    done
    shift
    if [ -n "$NODE" ]; then
        touch "$TREE/usr/local/bin/node"
        mount --bind "$NODE" "$TREE/usr/local/bin/node"
    fi
    mkdir -p "$TREE/.old" "$TREE$HOME"
    cd "$TREE"
    pivot_root . .old
    cd "$workspace"
    umount -l /.old
    export LANG=C.UTF-8 PATH="$CARGO_HOME/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    exec "$@"
' bash "$workspace" \
    "${mounts[@]}" -- \
    "${as[@]}" bazel "${startup[@]}" "$@"
