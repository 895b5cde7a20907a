#!/usr/bin/env bash
# A real OpenTelemetry Collector (OTLP in, JSON lines out), built from the Go
# modules with the project's own builder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.env"
tools=${SIGNALBOX_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/signalbox/tools}
stamp=$tools/collector/$COLLECTOR_VERSION
[ -x "$tools/bin/otelcol" ] && [ -e "$stamp" ] && exit 0

echo "building the OpenTelemetry Collector $COLLECTOR_VERSION (about a minute)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/build.yaml" << YAML
dist:
  name: otelcol
  description: OpenTelemetry Collector for Signalbox's tests
  output_path: $work/out
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v$COLLECTOR_VERSION
exporters:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter v$COLLECTOR_VERSION
YAML
GOBIN=$work go install "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION"
"$work/builder" --config "$work/build.yaml" > "$work/log" 2>&1 || { tail -20 "$work/log"; exit 1; }
mkdir -p "$tools/bin" "$tools/collector"
mv "$work/out/otelcol" "$tools/bin/otelcol"
touch "$stamp"
