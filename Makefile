# Signalbox's commands. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/signalbox
export SIGNALBOX_TOOLS_DIR ?= $(CACHE)/tools
# CI clones anew each time: its target folder lives in the cache, so that a second
# run is incremental.
ifdef CI
export CARGO_TARGET_DIR ?= $(CACHE)/target
endif
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: run
run: build models ## Build, pull the models, serve; prints one answer, one embedding, one redaction
	@tools/run.sh $(TARGET)/release/signalbox

.PHONY: demo
demo: build models ## The same, then exit
	@tools/run.sh $(TARGET)/release/signalbox --exit

.PHONY: test
test: ## Everything that CI runs
	@tools/test.sh

.PHONY: bazel-test
bazel-test: setup ## Build and test everything with Bazel, images too
	@tools/bazel-test.sh

.PHONY: bazel-reproducible
bazel-reproducible: ## Build two clones in different places, compare every output
	@tools/checks/reproducible.sh

.PHONY: setup
setup: ## Install the tools that the tests use
	@tools/setup/all.sh

.PHONY: base
base:
	@tools/setup/base.sh

.PHONY: build
build: base ## Build the command line, which holds all three services
	cargo build --release --locked -p signalbox --bin signalbox

.PHONY: binaries
binaries: base ## Build all release binaries, the thin ones too
	cargo build --release --locked --bins

.PHONY: models
models: build ## Pull the models that are missing
	@$(TARGET)/release/signalbox models pull

.PHONY: fmt
fmt: ## Format everything
	cargo fmt --all

.PHONY: sync
sync: ## Mend the BUILD files after a change of Cargo.toml or of the list of files
	cargo run -q -p signalbox-sync -- mend

.PHONY: bench-startup
bench-startup: build models ## Time to ready, and memory of the three services
	@python3 tools/bench/startup.py $(TARGET)/release/signalbox --json $(TARGET)/bench/startup.json

.PHONY: load-embeddings
load-embeddings: models ## Embeddings over the wire: throughput, latency, fairness, overload; prints a table
	cargo build --release --locked -p signalbox-embeddings -p signalbox-bench-embeddings-load
	@$(TARGET)/release/signalbox-bench-embeddings-load $(TARGET)/release/signalbox-embeddings \
	  --json $(TARGET)/bench/embeddings-load.json

.PHONY: bench-embeddings
bench-embeddings: build models ## Our encoder beside ONNX Runtime, PyTorch and candle; ARGS="--accuracy" compares vectors
	@tools/setup/bench-embeddings.sh
	@cargo build --quiet --release --locked -p signalbox-bench-embeddings
	@$(SIGNALBOX_TOOLS_DIR)/bench-embeddings/bin/python tools/bench-embeddings/run.py \
	  $(TARGET)/release/signalbox-bench-embeddings --json $(TARGET)/bench/embeddings.json $(ARGS)

.PHONY: bench-guardrails
bench-guardrails: ## Our personal-data pass beside Presidio's; ARGS="--texts my.json" measures on yours
	@tools/setup/bench-guardrails.sh
	@cargo build --quiet --release --locked -p signalbox-guardrails --example scan_worker
	@$(SIGNALBOX_TOOLS_DIR)/bench-guardrails/bin/python tools/bench-guardrails/run.py \
	  $(TARGET)/release/examples/scan_worker --json $(TARGET)/bench/guardrails.json $(ARGS)

.PHONY: bench-transcode
bench-transcode: ## JSON to protobuf and back, beside two peers
	cargo run --release --locked -p signalbox-bench-transcode

.PHONY: jobs-kill
jobs-kill: setup ## kill -9 of embedding workers 20 times over jobs of 10,000 texts, with Redis and Kafka too
	cargo build --locked -p signalbox -p signalbox-embeddings --bins
	SIGNALBOX_JOBS_KILLS=20 SIGNALBOX_JOBS_TEXTS=10000 \
		cargo test --locked -p signalbox --test jobs_kill --test jobs_kill_distributed -- --nocapture

.PHONY: contracts
contracts: setup ## Five languages of clients, pacts, gateways and hard cases, on the real binaries
	@tools/contracts.sh

.PHONY: release-baseline
release-baseline: setup ## Move contracts/baseline to this contract; part of a release
	@cargo build --quiet --locked --bins
	@SIGNALBOX_BINARIES=$(TARGET)/debug tools/release/baseline.sh

.PHONY: load
load: setup binaries ## Load each service over gRPC and REST for 10 s; prints a table
	@tools/setup/k6.sh
	@python3 tools/load/run.py $(TARGET)/release --json $(TARGET)/bench/load.json
