# make demo    a stock Debian kernel is fixed while it runs
# make test    lint, unit tests, and the tests on real kernels in QEMU
# make setup   installs what these need; both call it themselves
SHELL := /bin/bash
cache := $(or $(RESPLICE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/resplice)
# Outside of the checkout, so that a fresh clone does not build everything anew.
export CARGO_TARGET_DIR ?= $(cache)/cargo-target
export PATH := $(PATH):$(cache)/tools/bin:/usr/sbin:/sbin
# The kernels that tests and lint use.
export RESPLICE_TEST_TARGET ?= debian:oldest-cloud
RESPLICE_NEWER_TARGET = debian:latest-6.12-cloud
rooted := deploy/rooted

.PHONY: setup setup-test demo test lint fuzz chaos bench torture matrix debug-kernel other-kernel eval eval-match tuf-shim

setup:
	@deploy/setup

setup-test:
	@deploy/setup --test

demo: setup
	cargo build --quiet -p resplice-server -p resplice-worker -p resplice -p resplice-demo
	@$(rooted) cargo run --quiet -p resplice-demo

lint: setup-test
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet --manifest-path worker/objdiff/fuzz/Cargo.toml -- -D warnings
	cargo deny --log-level error check licenses bans sources
	npm --prefix web run --silent check
	deploy/systemd/check
	for kernel in $(RESPLICE_TEST_TARGET) $(RESPLICE_NEWER_TARGET); do \
	    $(rooted) cargo run --quiet -p resplice-target --example kbuild -- $$kernel kmod lint || exit; done

# The summary of the Rust tests comes last.
test: lint
	npm --prefix web test --silent
	# Tests run all programs; cargo by itself builds only those of crates with tests of their own.
	cargo build --quiet --workspace --bins
	npm --prefix web run --silent e2e
	$(rooted) cargo nextest run -j $$(($$(nproc) + 1)) --workspace

# Hostile input to differencing: each target for SECONDS=60; only TARGETS="elf delta …".
fuzz:
	@deploy/setup --fuzz
	SECONDS_EACH=$(SECONDS) deploy/fuzz

# Servers, workers and connections to the database die at random, on both databases;
# JOBS=, KILLS=, BUILDS=, and RESPLICE_SEED= to repeat a run.
chaos: setup-test
	cargo build --quiet --workspace --bins
	$(CARGO_TARGET_DIR)/debug/resplice-server target import $(RESPLICE_TEST_TARGET)
	RESPLICE_CHAOS=$(or $(JOBS),2000),$(or $(KILLS),200),$(or $(BUILDS),12) $(rooted) \
	    cargo nextest run --profile chaos --workspace --no-capture \
	    -E 'test(nothing_is_lost_or_published_twice)'

# These take OUT=DIR for their results and TARGET=… for the kernel: EVALUATION.md has all variables.

# What building, differencing and applying cost; ONLY=job,diff,growth,pause,call,agent,server,web.
bench: setup-test
	@deploy/setup --bench
	cargo build --quiet --release -p resplice-worker -p resplice -p resplice-server
	$(rooted) cargo run --quiet --release -p resplice-tests --bin bench

# Share of functions that match the shipped kernel's file and its memory once booted; on CPU=model,…
eval-match: setup-test
	$(rooted) cargo run --quiet -p resplice-tests --bin eval-match

# CYCLES=2000 of an update of hot functions on a busy machine; TRACE=1 TARGET=….
torture: setup-test
	cargo build --quiet -p resplice-worker
	$(rooted) cargo run --quiet -p resplice-tests --bin torture

# One update on each of 36 kernels: flavour, CPU model, KASLR, preemption.
matrix: setup-test
	cargo build --quiet -p resplice-worker
	$(rooted) cargo run --quiet -p resplice-tests --bin matrix

# The tests of resplice.ko on a kernel that watches over memory, locks and sleepers; it is built once.
# TESTS= is another selection of them. Agents know no kernels of one's own, and it has no bridge.
debug_tests := binary(kernel) & test(/^(await_module|debug|faults|hooks|hostile|labels|parts|supersede)::/) \
    - test(the_agent_brings) - test(a_label_of_a_module)
debug-kernel: setup-test
	cargo build --quiet --workspace --bins
	$(rooted) cargo run --quiet -p resplice-target --example own -- debian:oldest-cloud tests/kernels/debug.config
	RESPLICE_DEBUG_KERNEL=1 $(rooted) cargo nextest run --profile debug-kernel --workspace --run-ignored all \
	    -E '$(or $(TESTS),$(debug_tests))'

# The tests of resplice.ko on a kernel of the next series, or on KERNEL=…; TESTS= as above. Left out are those
# of what only 6.1 has: a section at several places, code that its boot ran, debug messages before jump labels.
other_tests := binary(kernel) - test(/^(debug|newer)::/) - test(several_places) - test(what_init_code_did) \
    - test(own_message)
other-kernel: setup-test
	cargo build --quiet --workspace --bins
	RESPLICE_OTHER_KERNEL=$(or $(KERNEL),$(RESPLICE_NEWER_TARGET)) $(rooted) cargo nextest run --no-fail-fast \
	    --workspace -E '$(or $(TESTS),$(other_tests))'

# What becomes of the patches in CORPUS=DIR; APPLY=1 tries them in QEMU; ONLY=name,…; JOBS=N.
eval: setup-test
	cargo build --quiet -p resplice-worker
	$(rooted) cargo run --quiet -p resplice-tests --bin eval

# The agent's TUF client as the conformance suite runs it: prints the program's path.
tuf-shim:
	@cargo build --quiet -p resplice-tuf --bin tuf-shim >&2
	@echo $(abspath $(CARGO_TARGET_DIR))/debug/tuf-shim
