# Mission Control. `make help` lists the targets.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# `make down PROJECT=examples/demo` is about another inventory than the one here.
MISSIONCTL := $(TARGET)/release/missionctl $(if $(PROJECT),--project $(PROJECT))
# The programs that the tests need, unpacked into a cache where the machine lacks them.
WITH_TOOLS = PATH="$$($(TARGET)/debug/missionctl tools --path):$$(scripts/postgres):$$(scripts/mariadb):$$(scripts/lancedb-python):$$(scripts/training-python):$$(scripts/dbus):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help prepare build up down status logs demo images test test-compose test-engine test-images lint fmt bench

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

prepare:
	@scripts/prepare

build: prepare ## build every program
	cargo build --release --locked --workspace --bins

up: build ## start everything, or apply what changed
	@$(MISSIONCTL) up

down: ## stop everything, keep the data
	@$(MISSIONCTL) down

status: ## say how everything is
	@$(MISSIONCTL) status

logs: ## follow all logs
	@$(MISSIONCTL) logs -f

demo: ## start everything on a made-up laptop, on ports of its own
	@$(MAKE) --no-print-directory up PROJECT=examples/demo

test: prepare ## prove that everything works, with the real programs
	cargo build --locked --workspace --bins
	$(TARGET)/debug/missionctl tools
	$(WITH_TOOLS) cargo test --locked --workspace

images: build ## build the container images of our programs
	@$(MISSIONCTL) images

test-compose: prepare ## prove the containers, with a real engine and docker compose
	cargo build --locked --workspace --bins
	$(TARGET)/debug/missionctl tools
	$(WITH_TOOLS) scripts/test-compose

test-engine: prepare ## prove lancedb-exporter with the library itself, which compiles for a quarter of an hour
	@scripts/prepare protoc:protobuf-compiler
	cargo build --locked --package missionctl
	$(TARGET)/debug/missionctl tools
	$(WITH_TOOLS) CARGO_PROFILE_DEV_DEBUG=0 cargo test --locked --package lancedb-exporter --features engine

test-images: build ## prove the pinned images, where the registries are reached
	scripts/test-images

lint: prepare ## format, clippy, documentation, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; else echo "cargo-deny is not installed: licences are not checked"; fi

fmt: ## format the code
	cargo fmt --all

bench: prepare ## measure beside the peers; ratios of one run
	cargo build --locked --workspace --bins
	cargo build --release --locked --workspace --bins
	PATH="$$(scripts/sql-exporter-peer):$$PATH"; export PATH; $(WITH_TOOLS) cargo bench --locked --workspace
