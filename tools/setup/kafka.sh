#!/bin/sh
# What the tests of distributed jobs need: Apache Kafka (45 MB) as jars, TOOLS/kafka/libs.
# A test runs one of its own, on free ports. Needs a JDK and Maven, which
# consumers-java.sh installs; Maven's own configuration is honoured.

. "$(dirname "$0")/common.sh"

pom=$SETUP/kafka/pom.xml
stamp=$(cat "$pom" "$0" | hash_of)
is_current kafka "$stamp" && exit 0
one_at_a_time kafka
is_current kafka "$stamp" && exit 0

"$SETUP/consumers-java.sh"
say "fetching Kafka"
rm -rf "$TOOLS/kafka"
mvn --quiet --batch-mode --file "$pom" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$TOOLS/kafka/libs" >&2
set_current kafka "$stamp"
