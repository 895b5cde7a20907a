#!/bin/sh
# cuda_test.sh FATBIN REPORT: the fatbin holds the images that it should, a probe in each,
# and nothing of the machine that it was compiled on.
set -eu
fatbin=$1 report=$2
failed=0
fail() {
    echo "FAILED: $*" >&2
    failed=1
}

# number OFFSET BYTES: little-endian, as everything in a fatbin.
number() { od -An -tu"$2" -j"$1" -N"$2" "$fatbin" | tr -d ' '; }

# A header of 16 bytes (magic, version, size, size of the rest), then images, each with a
# header (kind, version, size, size of the image; at 28 the architecture; at 40 flags).
size=$(wc -c <"$fatbin")
[ "$(number 0 4)" = $((0xBA55ED50)) ] || fail "this is no fatbin"
[ $((16 + $(number 8 8))) = "$size" ] || fail "it is cut off at $size bytes"
images=
offset=16
while [ "$offset" -lt "$size" ]; do
    case $(number "$offset" 2) in
    1) image=compute_ ;;
    2) image=sm_ ;;
    *) image=unknown_ ;;
    esac
    image=$image$(number $((offset + 28)) 4)
    # The instructions of one architecture alone: the "a" of sm_90a.
    [ $(($(number $((offset + 40)) 8) & 0x100000)) = 0 ] || image=${image}a
    images="$images $image"
    next=$((offset + $(number $((offset + 4)) 4) + $(number $((offset + 8)) 8)))
    tail -c +$((offset + 1)) "$fatbin" | head -c $((next - offset)) | grep -aq signalbox_probe ||
        fail "$image holds no signalbox_probe"
    offset=$next
done
echo "images:$images"
[ "$images" = " sm_80 sm_90a compute_90" ] || fail "the images should be sm_80, sm_90a and compute_90"

if grep -aoE '(/[A-Za-z0-9_.+-]+){2,}' "$fatbin"; then
    fail "a path of the machine is in the fatbin"
fi
for architecture in sm_80 sm_90a; do
    grep -q "Compiling entry function 'signalbox_probe' for '$architecture'" "$report" ||
        fail "ptxas's report says nothing of signalbox_probe on $architecture"
done
if grep 'bytes spill' "$report" | grep -v ' 0 bytes spill stores, 0 bytes spill loads'; then
    fail "a kernel spills registers"
fi
exit $failed
