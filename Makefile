# `make` or `make help` lists the targets. Each does the set-up that it needs, so any of them works on a fresh clone.
# Give options to a command with ARGS: make run ARGS="--help"

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# As if .venv were activated, so that notebooks find `mlflow` and `jupyter` by name.
COURSE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/course
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip --no-input

.DEFAULT_GOAL := help
.PHONY: help setup setup-newest run test build lab ui workflow site screenshots lint audit lock clean check-python

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv from requirements.lock; does nothing when it is up to date

run: $(STAMP) ## run all lectures and solutions as one batch, with a report
	@$(COURSE) run $(ARGS)

test: $(STAMP) ## run every test, and compare every notebook with a fresh run
	@$(COURSE) test $(ARGS)

build: $(STAMP) ## build notebooks, solutions and exercises from source/
	@$(COURSE) build $(ARGS)

lab: $(STAMP) ## open the lectures in JupyterLab
	@$(COURSE) lab $(ARGS)

ui: $(STAMP) ## open the MLflow UI on your store
	@$(COURSE) ui $(ARGS)

workflow: $(STAMP) ## run the eight-step workflow without Jupyter
	@$(COURSE) workflow $(ARGS)

site: $(STAMP) ## build the web site into site/_build/html
	@$(BIN)/python site/build.py $(ARGS)

screenshots: $(STAMP) ## take the pictures of README and lecture 00 again (needs Chromium, and `make site` first)
	@$(BIN)/python site/screenshots.py $(ARGS)

lint: $(STAMP) ## check style and formatting of all Python files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# --strict: without it a package that the advisory database could not be asked about counts as well.
audit: $(STAMP) ## ask PyPI's advisory database about every locked package (needs the network)
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock $(ARGS)

lock: $(STAMP) ## compile requirements.lock and environment.yml again (ARGS=--upgrade: newest releases)
	@$(BIN)/uv pip compile pyproject.toml --all-extras --quiet $(ARGS) --output-file requirements.lock
	@$(BIN)/python -m course_runner.environment

clean: ## remove caches, outputs/ and runs/; keep .venv, your MLflow store and your progress
	@rm -rf outputs runs site/_build build .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# The stamp is written last and removed first: a set-up that was interrupted has none, and starts from an empty .venv.
$(STAMP): requirements.lock pyproject.toml | check-python
	@if [ ! -f $(STAMP) ]; then "$(PYTHON)" -m venv --clear $(VENV); fi
	@rm -f $(STAMP)
	@total=$$(grep -c '^[A-Za-z0-9]' requirements.lock); \
	echo "Setting up .venv: $$total packages from requirements.lock; the first time takes a few minutes."; \
	{ $(PIP) install --require-hashes -r requirements.lock 2>&1 && \
	  $(PIP) install --no-deps --no-build-isolation -e . 2>&1 && echo "set-up is whole"; } | { \
	  seen=0; whole=no; \
	  while IFS= read -r line; do \
	    printf '%s\n' "$$line" >&3; \
	    case $$line in \
	      *"-r requirements.lock"*|Ignoring*) seen=$$((seen + 1)); \
	        if [ -t 1 ]; then printf '\r  %d of %d found' $$seen $$total; fi ;; \
	      "Installing collected packages: "*","*) \
	        if [ -t 1 ]; then echo; fi; echo "  all found, writing them to .venv" ;; \
	      "set-up is whole") whole=yes ;; \
	    esac; \
	  done 3>$(VENV)/setup.log; \
	  if [ $$whole = no ]; then \
	    echo >&2; grep -i -A 12 '^ *error' $(VENV)/setup.log | head -n 20 >&2; \
	    echo "Set-up failed, for pip's reason above (all it said: $(VENV)/setup.log); mend it and run make again." >&2; \
	    exit 1; \
	  fi; }
	@touch $(STAMP)

check-python:
	@version=$$("$(PYTHON)" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null) || version="not a Python that runs here"; \
	if [ "$$version" != "Python 3.11" ]; then \
	  echo "The course needs Python 3.11, and $(PYTHON) is $$version: install 3.11, or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module (on Debian and Ubuntu: python3.11-venv)." >&2; \
	  exit 1; \
	fi

# What the weekly job tests: the exact pins of pyproject.toml are lifted after the rest is resolved.
setup-newest: check-python ## make .venv from the newest releases instead of the lock
	@rm -f $(STAMP)
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) install --quiet --upgrade pip
	@$(PIP) install --quiet -e '.[test,site,dev]'
	@$(PIP) install --quiet --upgrade --upgrade-strategy eager 'mlflow[auth]' scikit-learn skops
	@touch $(STAMP)
