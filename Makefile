# Set-up and checks. Nothing but Python 3.11 or later is needed: everything else goes into .venv.
#
#   make install   make .venv and install autokd
#   make demo      install, then search on the digits that come with scikit-learn (under two minutes on 2 CPU cores)
#   make test      install with the test extra, then run the whole test suite
#   make properties  install with the test extra, then read 10,000 made-up tables and pictures
#   make lint      install with the dev extra, then ruff, mypy, import-linter and the bars on sizes and keyed reads
#   make sizes     tables: how large folders, files and functions are, and who reads a study's records by key
#   make coverage  install with the dev extra, then the suite with a count of the lines that it runs (htmlcov/)
#   make golden    train and search with the version BASE too (BASE=main), and compare every number
#   make docs      write the lists of components, losses, recipes and checks again, from the code
#   make clean     remove .venv and caches

PYTHON ?= python3
PYTEST_ARGS ?=
BASE ?= main
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
SETUP := pyproject.toml constraints.txt
TIMED := tests/cli/test_contract.py::test_help_imports_nothing_heavy_and_is_quick
WORKERS := --numprocesses logical --maxprocesses 8 --dist worksteal

# What is compiled is kept, whatever the shell says: tests start processes that would compile all of autokd again.
test properties coverage: export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test properties coverage lint sizes golden docs clean

install: .venv/installed

demo: .venv/installed
	$(BIN)/autokd search --dataset digits
	@echo
	@echo "The report is at $(CURDIR)/reports/digits/index.html; autokd itself is at $(BIN)/autokd"

test: .venv/installed-test
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

properties: .venv/installed-test
	$(BIN)/python -m pytest $(WORKERS) tests/properties --hypothesis-profile=thorough $(PYTEST_ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/sizes.py --check
	$(BIN)/python tools/keys.py --check

sizes: .venv/installed-dev
	$(BIN)/python tools/sizes.py
	@echo
	$(BIN)/python tools/keys.py

coverage: .venv/installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(WORKERS) --deselect $(TIMED) $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report

golden: .venv/installed
	$(BIN)/python tools/golden.py $(BASE)

docs: .venv/installed
	$(BIN)/python docs/components.py
	$(BIN)/python docs/methods.py
	$(BIN)/python docs/losses.py
	$(BIN)/python docs/recipes.py
	$(BIN)/python docs/checks.py

clean:
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# A stamp is written after an installation went through, so a second make installs only what has changed.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "autokd needs Python 3.11 or later, and this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/installed: EXTRA :=
.venv/installed-test: EXTRA := [test]
.venv/installed-dev: EXTRA := [dev]
.venv/installed .venv/installed-test .venv/installed-dev: $(SETUP) | .venv/bin/python
	@echo "installing autokd$(EXTRA) into .venv; PyTorch is large, so the first time takes minutes …"
	$(PIP_INSTALL) --editable '.$(EXTRA)'
	@touch .venv/installed $@
