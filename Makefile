# The one command surface: what a person types, what CI runs and what the README names. `make` alone lists it.
# Nothing outside .venv and the system's temporary folder is written.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench lock clean
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/sh

VENV  := .venv
BIN   := $(VENV)/bin
CACHE := $(CURDIR)/$(VENV)/.cache
LOCKED := $(VENV)/.locked
STAMP := $(VENV)/.installed
ARGS  ?=

# Caches that have no key in pyproject.toml (pytest, mypy and ruff have theirs there).
export PYTHONPYCACHEPREFIX := $(CACHE)/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# An environment holds absolute paths: one that was moved or copied here is made anew.
ifneq ($(shell cat $(LOCKED) 2>/dev/null),$(CURDIR))
.PHONY: $(LOCKED)
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv from the lock (PYTHON=… chooses the interpreter); instant when nothing changed
	@echo "ready: $(VENV)"

demo: $(STAMP) ## the whole flow on this machine, no Docker, no Java (ARGS="--keep --data DIR")
	@$(BIN)/stillwatch demo $(ARGS)

test: $(STAMP) ## every test, two files at a time (ARGS="tests/base -k name" narrows)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(STAMP) ## ruff, the order of the rooms, the Dockerfile
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo --cache-dir "$(CACHE)/import-linter"
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint --failure-threshold style infra/docker/Dockerfile; \
	else echo "hadolint: no wheel for this machine, Dockerfile not linted"; fi

types: $(STAMP) ## mypy, strict
	@$(BIN)/python -m mypy

bench: $(STAMP) ## throughput and CPU by role, beside plain Faust + River (ARGS="--help" lists options)
	@$(BIN)/stillwatch bench throughput $(ARGS)

lock: | $(BIN)/uv ## pin the dependencies anew, with hashes, for every Python (ARGS=--upgrade takes newer ones)
	@set -e; \
	compile() { $(BIN)/uv --no-config --cache-dir "$(CACHE)/uv" pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url $(ARGS) "$$@"; }; \
	compile pyproject.toml -o requirements/product.txt; \
	compile pyproject.toml --all-extras --group dev -c requirements/product.txt -o requirements/dev.txt; \
	echo hatchling | compile - -c requirements/dev.txt -o requirements/build.txt

$(BIN)/uv: # no prerequisite: a lock that lags behind pyproject.toml is what `lock` repairs
	@$(MAKE) $(LOCKED)

clean: ## remove .venv, with every cache in it
	@rm -rf $(VENV)

# 1 interpreter, 2 empty environment, 3 locked packages (bytecode is made at first import): anew whenever the lock changes,
# so that nothing else is in it.
$(LOCKED): requirements/dev.txt
	@set -e; \
	found=; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	  if "$$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	    >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make setup: no Python 3.11, 3.12 or 3.13 with its venv module among: $(PYTHON) python3.13 python3.12 python3.11 python3." >&2; \
	  echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "setup: $(VENV) with $$("$$found" --version) from requirements/dev.txt, each package checked against its hash"; \
	"$$found" -m venv --clear $(VENV); \
	printf '%s\n' 'import sys; sys.pycache_prefix = sys.prefix + "/.cache/pycache"' \
	  > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pycache_prefix.pth"; \
	$(BIN)/python -m pip install --quiet --no-cache-dir --no-compile --require-hashes --no-deps -r requirements/dev.txt; \
	printf '%s\n' "$(CURDIR)" > $(LOCKED)

# 4 this package, editable, 5 self-check, and kernels compiled by using them once.
$(STAMP): $(LOCKED) pyproject.toml
	@set -e; \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .; \
	$(BIN)/python -m pip check --quiet; \
	$(BIN)/stillwatch --version; \
	warm=$$(mktemp -d); trap 'rm -rf "$$warm"' EXIT; \
	$(BIN)/stillwatch simulate --out "$$warm/requests.ndjson" --days 0.5 --accounts 20 --seed 1 >"$$warm/log" 2>&1 && \
	$(BIN)/stillwatch backtest "$$warm/requests.ndjson" --out "$$warm/out" >>"$$warm/log" 2>&1 || { cat "$$warm/log" >&2; exit 1; }; \
	touch $(STAMP)
