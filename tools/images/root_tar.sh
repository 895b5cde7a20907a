#!/usr/bin/env bash
# Packs what `signalbox-oci base` reads of a Debian root into one tar: the files of some
# packages, and what the package database says of these. The same packages give the same
# bytes, whatever else the root holds.
#   tools/images/root_tar.sh ROOT OUT.tar [PACKAGE...]
set -euo pipefail

root=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
[ $# -gt 0 ] || set -- ca-certificates libc6 libgcc-s1 tzdata
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "root_tar: $*" >&2; exit 1; }

info=var/lib/dpkg/info
status=$root/var/lib/dpkg/status
[ -f "$status" ] || fail "$root is no Debian root: it has no var/lib/dpkg/status"
mkdir -p "$work/$info"
printf '%s\n' etc/os-release usr/lib/os-release lib lib64 > "$work/names"
for package in "$@"; do
  lists=("$root/$info/$package.list" "$root/$info/$package":*.list)
  found=
  for list in "${lists[@]}"; do
    [ -f "$list" ] || continue
    found=1
    cp "$list" "$work/$info/"
    sed 's|^/||' "$list" >> "$work/names"
  done
  [ -n "$found" ] || fail "$package is not installed in $root; install it there"
  # The notice may lie in another package's folder, to which this one's is a link.
  readlink -m "$root/usr/share/doc/$package" | sed "s|^$root/*||; s|\$|/copyright|" >> "$work/names"
done
awk -v wanted=" $* " 'BEGIN { RS = ""; ORS = "\n\n" }
  { match($0, /(^|\n)Package: [^\n]+/); name = substr($0, RSTART, RLENGTH); sub(/.*: /, "", name) }
  index(wanted, " " name " ")' "$status" > "$work/var/lib/dpkg/status"

# Older packages list their files by names from before the root's /lib became a link.
for link in bin lib lib64 sbin; do
  [ ! -L "$root/$link" ] || sed -i "s|^$link/|usr/$link/|" "$work/names"
done
# Only what is really there and is no folder: a package's list names the folders too, and
# files that the root's owner chose not to install.
cd "$root"
sort -u "$work/names" | while IFS= read -r name; do
  if [ -L "$name" ] || [ -f "$name" ]; then printf '%s\0' "$name"; fi
done > "$work/files"
plain=(--sort=name --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner --hard-dereference --mode=a=rX)
tar "${plain[@]}" --no-recursion --null --files-from="$work/files" -cf "$work/root.tar"
tar "${plain[@]}" -C "$work" -rf "$work/root.tar" var
mv "$work/root.tar" "$out"
