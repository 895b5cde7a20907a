#!/bin/sh
# Builds a real OpenTelemetry Collector (OTLP in, JSON lines out) from its Go modules
# into TOOLS/bin/otelcol, by the project's own builder.
#
# Needs go. Go's own configuration (proxy, module cache) is honoured.

. "$(dirname "$0")/common.sh"

need go "install Go (Debian: apt-get install golang)"
stamp=$({ go version && echo "$COLLECTOR_VERSION $COLLECTOR_CONFMAP_VERSION" && cat "$0"; } | hash_of)
if is_current collector "$stamp" && [ -x "$TOOLS/bin/otelcol" ]; then
    exit 0
fi
one_at_a_time collector

say "building the OpenTelemetry Collector $COLLECTOR_VERSION (about a minute)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/build.yaml" <<YAML
dist:
  name: otelcol
  description: OpenTelemetry Collector for Signalbox's tests
  output_path: $work/out
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $COLLECTOR_VERSION
exporters:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter $COLLECTOR_VERSION
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider $COLLECTOR_CONFMAP_VERSION
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider $COLLECTOR_CONFMAP_VERSION
YAML
GOBIN=$work go install "go.opentelemetry.io/collector/cmd/builder@$COLLECTOR_VERSION" >&2
"$work/builder" --config "$work/build.yaml" >"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    fail "the collector does not build"
}
mv "$work/out/otelcol" "$TOOLS/bin/otelcol"
set_current collector "$stamp"
say "the collector is ready"
