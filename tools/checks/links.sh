#!/usr/bin/env bash
# links.sh FILE...: fails when a Markdown file links to a path that is not there.
set -euo pipefail
bad=0 links=0
for file in "$@"; do
    folder=$(dirname "$file")
    while IFS= read -r target; do
        links=$((links + 1))
        [ -e "$folder/${target%%#*}" ] || { echo "$file links to $target, which is not there"; bad=1; }
    done < <(grep -oE '\]\([^)#:]+(#[^)]*)?\)' "$file" | sed -E 's/^\]\(//; s/\)$//')
done
[ "$links" -gt 0 ] || { echo "no link was found: the check checks nothing"; bad=1; }
exit $bad
