# Fullsteam. `make` alone says what there is.
# Needs Python 3.11+, make and a package index; everything else goes into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
# SLOW=1 makes `make test` run the slow tests too, as CI does, and ends on pytest's own closing line.
# ARGS goes to pytest: make test ARGS="-k door".
SLOW   ?=
ARGS   ?=

# A stamp says which lock file .venv was made from: change the file, and the next command brings .venv up to date.
RUNTIME := $(VENV)/.runtime-installed
DEV     := $(VENV)/.dev-installed
FOREIGN := tests/foreign/node_modules/.package-lock.json
PIP     := $(BIN)/python -m pip --disable-pip-version-check -q -q
INSTALL := $(PIP) install --require-hashes

MARKS   := -m "not long$(if $(SLOW),, and not slow)"
LOCK    := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
say      = @printf '\033[36m==>\033[0m %s\n' "$(1)"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo test lint format unit slow bench mutants lock foreign screenshots clean

help: ## This list
	@echo "make ..."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: $(RUNTIME) ## A local .venv with fullsteam in it (what runs; `make test` adds what checks)

setup-dev: $(DEV) ## The same with everything that builds, checks and tests

demo: $(RUNTIME) ## A company of 500 and half a year of it in a few minutes, then a page to look around
	@$(BIN)/fullsteam demo

test: lint $(DEV) ## What CI checks: format, lint, types, import layers, all tests on SQLite and PostgreSQL
	$(call say,tests$(if $(SLOW), (slow ones too)))
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(MARKS) $(ARGS)
	$(if $(SLOW),,$(call say,all good - full steam ahead))

lint: $(DEV) ## Format, lint, import layers, types; nothing is changed
	$(call say,format)
	@$(BIN)/ruff format --check --quiet .
	$(call say,lint)
	@$(BIN)/ruff check --quiet .
	$(call say,import layers)
	@$(BIN)/lint-imports --no-cache >$(VENV)/.lint-imports.log 2>&1 || { cat $(VENV)/.lint-imports.log; exit 1; }
	$(call say,types)
	@$(BIN)/mypy --no-error-summary

format: $(DEV) ## Puts the code into its format and repairs what ruff can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

unit: $(DEV) ## The quick tests only
	@$(BIN)/python -m pytest -q tests/unit $(ARGS)

slow: $(DEV) ## The slow tests only: kill -9 at any instant, long replays, a million rows
	@$(BIN)/python -m pytest -q -m "slow or long" $(ARGS)

bench: $(DEV) ## Measures and prints, with the machine named; no pass or fail
	@$(BIN)/python -m bench $(ARGS)

mutants: $(DEV) ## Switches each promise off in turn and checks that a test notices
	@$(BIN)/python tests/mutants.py $(ARGS)

screenshots: $(DEV) ## Takes the pictures of the README anew, of the demo (needs Chromium)
	@$(BIN)/python docs/screenshots.py

lock: $(DEV) ## Writes requirements/*.txt from *.in; UPGRADE=1 takes newer versions
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/runtime.in -o requirements/runtime.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements/dev.in -o requirements/dev.txt
	$(call say,requirements/runtime.txt and dev.txt are written)

foreign: $(FOREIGN) ## Slack's own client for Node, for the test that holds the sandbox against it (needs Node 20)

clean: ## Removes .venv and what tools left behind
	rm -rf $(VENV) tests/foreign/node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv ------------------------------------------------------------------------------------------------------------

# A .venv whose Python is gone (upgraded, moved) is made again, whatever its stamps say.
ifeq ($(shell test -x $(BIN)/python && echo there),)
.PHONY: $(BIN)/python $(RUNTIME) $(DEV)
endif

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Fullsteam needs Python 3.11 or newer; there is no '$(PYTHON)' on the PATH. Install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Fullsteam needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Say make PYTHON=/path/to/a/newer/python3"; exit 1; }
	$(call say,making $(VENV))
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "Making $(VENV) failed. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(RUNTIME): requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(call say,installing what runs (about half a minute))
	@$(INSTALL) -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# dev.txt holds all of runtime.txt at the same versions, so it satisfies both stamps.
$(DEV): requirements/dev.txt pyproject.toml | $(BIN)/python
	$(call say,installing what runs and what checks it (about a minute))
	@$(INSTALL) -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(RUNTIME) $@

# npm writes the stamp itself; it may be older than the lock file that it was made from.
$(FOREIGN): tests/foreign/package-lock.json
	$(call say,installing the foreign client (about ten seconds))
	@cd tests/foreign && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
