# The targets that people and CI call; `make` alone explains them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
ARGS ?=
PYTEST_ARGS ?=
SEED ?=
FAULTS ?=

.PHONY: help setup check test demo chaos bench bench-core bench-match bench-ingest bench-store bench-touch bench-load clean

help: ## Print this help
	@echo "swept: which streets were swept, when, how completely and how often"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything in it (needs Python 3.11 to 3.14, nothing else)

# Debian's python3 comes without ensurepip until python3-venv is installed, so that is asked too.
$(STAMP): requirements-dev.lock pyproject.toml
	@python=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1; \
	  then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "swept needs Python 3.11 to 3.14 with its venv module: install it (Debian, Ubuntu: python3 and python3-venv; else python.org or pyenv), or name one with make setup PYTHON=/path/to/python3." >&2; \
	  exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV); \
	fi
	@echo "installing what requirements-dev.lock names (a few minutes with an empty cache)"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
	@echo "$(BIN)/swept is ready"

check: setup ## Lint, format, types, who imports whom, purity of processing/, compose.yaml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/test_purity.py tests/unit/test_compose.py

# A file's tests stay together, since they share their servers.
test: setup ## Run all tests (PYTEST_ARGS='-k name' for some, PYTEST_ARGS='-n 0' one after the other)
	$(BIN)/pytest -n 2 --dist loadfile -m 'not chaos' $(PYTEST_ARGS)

demo: setup ## Sweep a district for a shift of 8 hours in 3 minutes (ARGS=--exit to end then)
	@$(BIN)/swept demo $(ARGS)

chaos: setup ## Kill, cut, freeze, fill and misset everything, 200 times; the figures must not change (SEED=n, FAULTS=n)
	CHAOS_SEED=$(SEED) CHAOS_FAULTS=$(FAULTS) $(BIN)/pytest -s -m chaos tests/chaos $(PYTEST_ARGS)

bench: bench-core bench-ingest ## Measure what this machine does

bench-core: setup ## Microseconds a fix costs in each stage of the core
	$(BIN)/python benchmarks/core.py $(ARGS)

# SEEDS and SHIFTS make it shorter: all of it takes about half an hour.
SEEDS ?= 20
SHIFTS ?= 1000
bench-match: setup ## How right and how fast matching is, beside its peers (SEEDS=20, SHIFTS=1000)
	$(BIN)/python benchmarks/accuracy.py --families held-out --seeds $(SEEDS) $(ARGS)
	$(BIN)/python benchmarks/no_credit.py --shifts $(SHIFTS) $(ARGS)
	$(BIN)/python benchmarks/match.py

# A year takes about ten minutes and 8 GB.
DAYS ?= 365
bench-store: setup ## Load a year of the district into a store, time its questions, print its sizes (DAYS=365)
	$(BIN)/python benchmarks/store.py --days $(DAYS) $(ARGS)
	$(BIN)/python benchmarks/timescale.py

bench-touch: setup ## Microseconds that a worker spends on a unit with one new fix, by the length of its track
	$(BIN)/python benchmarks/touch.py $(ARGS)

bench-ingest: setup ## Messages a second that one ingest process makes durable
	$(BIN)/python benchmarks/ingest.py $(ARGS)

bench-load: setup ## What a machine with everything on it carries, and microseconds a fix in each stage (ARGS=--budget in three minutes)
	$(BIN)/python benchmarks/load.py --fixes 1 $(ARGS)
	$(BIN)/python benchmarks/load.py --fixes 50 $(ARGS)

clean: ## Remove .venv, caches and builds
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
