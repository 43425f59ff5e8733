# make demo | test | check | test-fast | report | notebooks | benchmarks | clean     (PYTHON=python3.11 chooses the interpreter)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
INSTALL := $(if $(UV),uv pip install --compile-bytecode --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check)

.PHONY: demo test test-fast check lint report notebooks benchmarks clean

demo: $(VENV)/.installed  ## the lottery ticket on scikit-learn's digits: one to two minutes, no data to download
	$(BIN)/python run.py experiment=quick/lottery_ticket lab.results=outputs/demo

test: $(VENV)/.installed-dev  ## every test
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadgroup

test-fast: $(VENV)/.installed-dev  ## unit tests, without the slow ones
	$(BIN)/python -m pytest tests/unit -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --explicit-package-bases src run.py experiments benchmarks notebooks/execute.py

check: lint test  ## what CI runs

report: $(VENV)/.installed  ## tables, figures and claims again from results/records
	$(BIN)/python run.py report

notebooks: $(VENV)/.installed-dev  ## executed again, in place, on the results as they are
	$(BIN)/python notebooks/execute.py
	$(BIN)/ruff format --quiet notebooks

benchmarks: $(VENV)/.installed
	$(BIN)/python benchmarks/all.py

clean:  ## what runs and tools leave behind; results and the store stay (see `python run.py store clean --help`)
	rm -rf outputs results/logs multirun .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(if $(UV),uv venv --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements-dev.txt
	@touch $@
	@touch $(VENV)/.installed
