#!/bin/sh
# fatbin.sh FATBIN REPORT NVCC ARGS...: compiles with nvcc, whose standard error holds both
# its warnings and ptxas's report: the latter goes to REPORT, the rest is shown.
set -eu
fatbin=$1 report=$2
shift 2

"$@" --output-file "$fatbin" 2>"$report.log" || {
    cat "$report.log" >&2
    exit 1
}
# How long ptxas took is no property of its output.
grep -E '^ptxas info|^ +[0-9]+ bytes stack frame' "$report.log" | grep -v 'Compile time' >"$report"
grep -vE '^ptxas info|^ +[0-9]+ bytes stack frame' "$report.log" >&2 || true
rm "$report.log"

# nvcc names what is internal to a file after the hash of the file's absolute path, which
# would make the output another one in each folder.
if grep -aqE '_GLOBAL__N_|_INTERNAL_' "$fatbin"; then
    echo "error: a kernel or a variable is in an unnamed namespace, or static; name the namespace:" >&2
    grep -aoE '[A-Za-z0-9_]*(_GLOBAL__N_|_INTERNAL_)[A-Za-z0-9_]*' "$fatbin" | sort -u | head >&2
    exit 1
fi
