# Everything runs in a virtual environment that holds exactly the locked versions of requirements/*.txt.
# Variables: PYTHON (interpreter to build the environment from), VENV (where), ARGS (passed to demo, test and bench).

VENV ?= .venv
PYTHON ?=
ARGS ?=
UV ?= uv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --require-hashes --only-binary :all: --requirement
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all bench lint format docs lock clean interpreter

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.run ## three hospitals compute an average on this machine
	$(BIN)/quorate demo $(ARGS)

test: $(VENV)/.dev ## run the tests except the slow ones
	$(BIN)/python -m pytest -q -n 2 -m "not slow" $(ARGS)

test-all: $(VENV)/.dev ## run all tests
	$(BIN)/python -m pytest -q -n 2 $(ARGS)

bench: $(VENV)/.run ## measure speed and traffic
	$(BIN)/quorate bench $(ARGS)

lint: $(VENV)/.dev ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## rewrite the code in the agreed style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: $(VENV)/.docs ## build the documentation into site/
	$(BIN)/mkdocs build --strict

lock: ## resolve pyproject.toml anew into requirements/*.txt (needs uv; UPGRADE=1 takes newest versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group build --output-file requirements/run.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements/run.txt --group dev --output-file requirements/dev.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements/run.txt --constraint requirements/dev.txt \
		--group docs --output-file requirements/docs.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements/run.txt --constraint requirements/dev.txt \
		--group broker --output-file requirements/broker.txt

clean: ## remove the environment, caches and build results
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an install runs again only after its lock file changed.
interpreter:
	@scripts/venv "$(VENV)" "$(PYTHON)"

$(VENV)/.run: requirements/run.txt pyproject.toml | interpreter
	@echo "installing quorate into $(VENV) (the first time takes a minute)"
	@$(INSTALL) requirements/run.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "installing the development tools into $(VENV)"
	@$(INSTALL) requirements/dev.txt
	@touch $@

$(VENV)/.docs: requirements/docs.txt $(VENV)/.run
	@echo "installing the documentation tools into $(VENV)"
	@$(INSTALL) requirements/docs.txt
	@touch $@
