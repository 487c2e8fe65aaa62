# make run, make test, make bench; `make` alone explains them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
export CROSSPOINT_BIN ?= $(CARGO_TARGET_DIR)/release/crosspoint

PYTHON ?= python3
BLACKBOX := tests/blackbox
VENV := .venv
VENV_READY := $(VENV)/.ready
NPM_READY := $(BLACKBOX)/js/node_modules/.ready
# Further arguments of the router (make run ARGS="--shards 2") or of pytest (make blackbox ARGS="-k PS_001").
ARGS ?=

.PHONY: help
help: ## Say what there is
	@echo "Crosspoint, a WAMP application router. What make can do:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# --- Running --------------------------------------------------------------------------------------------------------

.PHONY: run
run: release ## Build the router and start it with its default configuration (ARGS="--config FILE" for another)
	@exec "$(CROSSPOINT_BIN)" start $(ARGS)

.PHONY: release
release: tools ## Build the router
	@cargo build --release --locked --package crosspoint

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: apt-get install gcc libc6-dev"; exit 1; }
	@command -v git >/dev/null || { echo "git is missing, which the build of io_uring's library calls: apt-get install git"; exit 1; }

# --- Testing --------------------------------------------------------------------------------------------------------

.PHONY: test
test: check unit sim budget stalls blackbox ## Run all tests, and install what they need

.PHONY: check
check: tools ## Check formatting, lints and dependencies
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then \
	  cargo deny --log-level error check bans licenses sources; \
	else \
	  echo "cargo-deny is not installed (cargo install cargo-deny --locked): licences and sources are not checked"; \
	fi

.PHONY: unit
unit: tools ## Run the tests that are written in Rust
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked --no-fail-fast -E 'not binary(park)' && cargo test --workspace --locked --doc --quiet; \
	else \
	  cargo test --workspace --locked --quiet --no-fail-fast; \
	fi

.PHONY: sim
sim: tools ## Simulate 10,000 seeds (ARGS="--seeds N --from N --shards N" for others)
	@cargo run --release --locked --quiet --package crosspoint-sim -- $(or $(ARGS),--seeds 10000)

.PHONY: stalls
stalls: tools ## Look for shards that sleep over their work: 20 s of round trips between two executors
	@cargo test --release --locked --quiet --package crosspoint-shard --features glommio --test park -- --nocapture

.PHONY: sanitize
sanitize: tools ## Run the tests of the code that is unsafe under the address sanitizer (a build of its own)
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" cargo test --locked --quiet --package crosspoint-shard --package crosspoint-net \
	  --target $$(rustc --print host-tuple) --target-dir "$(CARGO_TARGET_DIR)/sanitize" --lib

.PHONY: blackbox
blackbox: release $(VENV_READY) $(NPM_READY) chromium ## Run the tests by clients from outside (ARGS for pytest)
	@rm -f $(BLACKBOX)/out/conformance.json
	@cd $(BLACKBOX) && "$(CURDIR)/$(VENV)/bin/pytest" $(ARGS)
	@[ -n "$(ARGS)" ] || $(VENV)/bin/python $(BLACKBOX)/conformance_table.py $(if $(CI),--check)

.PHONY: autobahn
autobahn: release $(VENV_READY) ## Run all WebSocket cases of the Autobahn test suite (10 minutes), and write docs/websocket-cases.md
	@cd $(BLACKBOX) && CROSSPOINT_CASES=all "$(CURDIR)/$(VENV)/bin/pytest" test_websocket_cases.py
	@$(VENV)/bin/python $(BLACKBOX)/websocket_cases.py --table

$(VENV_READY): $(BLACKBOX)/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is missing: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

$(NPM_READY): $(BLACKBOX)/js/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or later is missing: apt-get install nodejs npm"; exit 1; }
	@# Not `npm ci`: it wants every platform's optional packages in the lock file, and not all registries have those.
	@cd $(BLACKBOX)/js && npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

.PHONY: chromium
chromium:
	@if [ -x "$${CROSSPOINT_CHROMIUM:-/usr/bin/chromium}" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; \
	else \
	  echo "Chromium is missing (apt-get install chromium, or CROSSPOINT_CHROMIUM=/path): browser tests are skipped"; \
	fi

# --- Measuring ------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: tools ## Measure the parts (criterion)
	@cargo bench --locked --package crosspoint-bench $(if $(ARGS),-- $(ARGS))

.PHONY: loadtest
loadtest: harness ## Put load on a router that runs (ARGS="fanout -n 100", ARGS="fanout --help"); without ARGS, say how
	@"$(CARGO_TARGET_DIR)/release/crosspoint-loadtest" $(or $(ARGS),--help)

.PHONY: harness
harness: tools
	@cargo build --release --locked --package crosspoint-loadtest

.PHONY: compare
compare: release harness ## Measure the router beside Crossbar.io, NATS, Redis and mosquitto (ARGS="--quick", --help)
	@$(PYTHON) bench/compare/compare.py $(ARGS)

.PHONY: budget
budget: tools valgrind ## Count the instructions of hot operations and compare with bench/budget.json (ARGS=--write)
	@cargo run --release --locked --quiet --package crosspoint-bench --bin budget -- $(ARGS)

.PHONY: valgrind
valgrind:
	@if command -v valgrind >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends valgrind >/dev/null; \
	fi

.PHONY: clean
clean: ## Remove what was built and installed here
	@cargo clean
	@rm -rf $(VENV) $(BLACKBOX)/js/node_modules $(BLACKBOX)/out
