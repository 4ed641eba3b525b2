# What a person does with a clone. `make help` lists it.

# Where cargo builds; what the demo and the tests need besides goes beside it.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(TARGET)/tools
OCTARM := $(TARGET)/debug/octarm
# How long `make fuzz` tries each target.
FUZZ_SECONDS ?= 30
# Where its randomness starts: 0 is another place each time.
FUZZ_SEED ?= 0
# How long `make storm` lasts, and where its randomness starts.
DEPLOYMENTS ?= 2000
SEED ?= 1

# What is optional and tested too, such as `otel`; and which of the integration tests, when not all of them.
FEATURES ?=
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help demo build test storm fuzz check bench bench-server bench-worker tools tools-python clean-tools

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools-python build ## Deploy a function through two environments, on this machine only
	@exec python3 -B packaging/demo/demo.py --octarm '$(OCTARM)' --tools '$(TOOLS)'

build: ## Build the octarm program
	@tests/tools/prerequisites.sh build
	cargo build --locked

test: tools ## Run all tests; installs what they need. FEATURES=otel: of an octarm that can send traces
ifeq ($(TESTS),)
	cd packaging/demo && '$(TOOLS)/venv/bin/python' -B -m unittest --quiet
	cd packaging/examples/elb-log-processor && '$(TOOLS)/venv/bin/python' -B -m unittest discover --quiet -t . -s tests
	OCTARM_TOOLS='$(TOOLS)' cargo test --locked --features '$(FEATURES)'
else
	OCTARM_TOOLS='$(TOOLS)' cargo test --locked --features '$(FEATURES)' --test integration '$(TESTS)'
endif

storm: tools ## Deploy DEPLOYMENTS (2000) times while everything fails, and print the tally; SEED (1) says what fails when
	OCTARM_TOOLS='$(TOOLS)' OCTARM_STORM_DEPLOYMENTS='$(DEPLOYMENTS)' OCTARM_STORM_SEED='$(SEED)' \
		cargo test --locked --test integration storm:: -- --nocapture

fuzz: ## Try random input on all that reads strangers' bytes, FUZZ_SECONDS (30) for each target
	@tests/tools/prerequisites.sh build
	tests/fuzz/run.sh '$(TARGET)/fuzz' '$(FUZZ_SECONDS)' '$(FUZZ_SEED)'

check: ## Check format, lints, documentation and licences
	cargo fmt --check
	cargo clippy --locked --all-targets --features otel -- -D warnings
	cargo clippy --locked --bins --test integration -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	cargo deny --config .cargo/deny.toml check bans licenses sources

bench: ## Measure repacking in a release build, beside other tools
	python3 -B tests/benches/repack.py --folder '$(TARGET)/benches'

bench-server: ## Measure the server in a release build, under thousands of workers
	@tests/tools/prerequisites.sh build
	cargo build --locked --release --bin octarm
	cargo bench --locked --profile dev --bench server -- --octarm '$(TARGET)/release/octarm' --folder '$(TARGET)'

bench-worker: ## Measure a worker that waits for work, beside buildbot's, in a release build
	@tests/tools/prerequisites.sh build
	python3 -B tests/benches/idle.py --folder '$(TARGET)/benches'

tools: ## Install the pinned tools of the demo and the tests into target/tools
	@tests/tools/prerequisites.sh test
	@tests/tools/install.sh python '$(TOOLS)'
	@tests/tools/install.sh node '$(TOOLS)'

tools-python:
	@tests/tools/prerequisites.sh demo
	@tests/tools/install.sh python '$(TOOLS)'

clean-tools: ## Remove the installed tools
	rm -rf '$(TOOLS)'
