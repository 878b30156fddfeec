# Every target does its own set-up: it builds, and installs missing Debian packages by apt-get
# (as root or through sudo).

CARGO_TARGET_DIR ?= target

.PHONY: help demo test faults check bench corpus fuzz

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## build, and watch two campaigns go round the loop, with nothing else installed
	@scripts/setup build
	cargo build --release --locked
	@"$(CARGO_TARGET_DIR)/release/colloquy" demo

test: ## run all tests, on SQLite and on a throw-away PostgreSQL
	@scripts/test

faults: ## stage every fault at length: killed and frozen processes, broken relays, full disks, clocks (COLLOQUY_SEED=N)
	@scripts/faults

check: ## formatting, clippy and rustdoc, with warnings as errors
	@scripts/setup build
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

bench: ## measure against the limits, in a release build
	@scripts/bench

corpus: ## hold the classification of returned mail against a corpus (COLLOQUY_CORPUS=DIR)
	@scripts/setup build
	cargo run --release --locked --example corpus

fuzz: ## feed the reading of returned mail with broken messages (SECONDS=60 for each target; nightly)
	@scripts/fuzz $(SECONDS)
