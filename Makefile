# Two commands matter: `make demo` and `make test`. Both install what is missing first (scripts/setup).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TERM_COLOR ?= auto
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help setup build demo playground playground-down test fmt clippy unit e2e test-kubernetes fuzz-formats bench fuzz deny mutation

help: ## what there is
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing (Debian packages, Rust toolchain)
	@scripts/setup

build: setup ## every program: daemons, CLI, and what runs inside containers
	cargo build --quiet --workspace --bins
	scripts/static-build

demo: build ## one workload gets its password on two nodes; six other requests get nothing
	scripts/as-root target/debug/podseal-demo

playground: build ## the demo's parts, left running; writes playground.json
	scripts/as-root target/debug/podseal-playground up

playground-down: ## end the playground and remove everything of it
	scripts/as-root target/debug/podseal-playground down

test: fmt clippy build unit e2e fuzz-formats ## fmt, clippy, unit, vectors, house, end to end, formats of evidence fuzzed

fmt: setup
	cargo fmt --all --check

clippy: setup
	cargo clippy --quiet --workspace --all-targets -- -D warnings

unit: build ## everything but the end-to-end tests
	cargo test --workspace --lib --bins --test '[!ek]*' --test 'e[!2]*'
	cargo test --workspace --doc

e2e: build ## real TPM, real containers, shipped programs
	scripts/e2e

test-kubernetes: build ## the same on a Kubernetes cluster, which it builds the first time (needs Go)
	scripts/kubernetes
	scripts/e2e --program kubernetes

bench: setup ## figures and gates, with raw samples in target/bench/
	cargo build --quiet --release --workspace $(addprefix --bin ,podseal podseal-verifier podseal-node-attester podseal-test-issuer podseal-bench)
	scripts/static-build
	held=0; cargo bench --quiet --no-fail-fast --package podseal-appraisal --bench appraise --bench evidence || held=1; \
	scripts/as-root target/release/podseal-bench || held=1; exit $$held

fuzz-formats: setup ## thirty seconds for each format of hardware evidence
	scripts/fuzz 30 formats

fuzz: setup ## thirty seconds for each parser of outside bytes
	scripts/fuzz 30

deny: setup ## licences, sources and bans of every dependency
	scripts/deny

mutation: build ## make each single check pass, one at a time: which tests go red?
	scripts/as-root scripts/mutation
