# The commands of this repository. A machine needs make and Python 3.10 or newer; all else goes into $(VENV).
#
#   PYTHON=/path/to/python   use this Python (its environment is .venv-3.x) instead of the newest one on the PATH
#   PYTEST_ARGS=tests/unit   what `make test` runs (default: all but the long ones, in parallel; -n 0 in it: one by one)
#   ARGS="--db jobs.db"      options for `make run`, `make demo`, the benchmarks and the torture

PYTHON ?=
PYTEST_ARGS ?=
ARGS ?=
VENV ?= $(if $(PYTHON),.venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),.venv)

BIN := $(VENV)/bin
READY := $(VENV)/.ready
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3.10 python3 python)
FITS := import sqlite3, sys; sys.exit(sys.version_info < (3, 10) or sqlite3.sqlite_version_info < (3, 37))
CLEAN := .venv .venv-* dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	snapshot_report.html

.PHONY: help run demo demo-hosts test test-long test-textual check lint format bench bench-short fuzz torture torture-short torture-mutants torture-hosts screenshots docs dist clean
.NOTPARALLEL:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: $(READY) ## open the dashboard on your own queue
	@$(BIN)/queuectl-tui $(ARGS)

demo: $(READY) ## open the dashboard on a throw-away queue full of jobs
	@$(BIN)/queuectl-tui --demo $(ARGS)

demo-hosts: $(READY) ## the same on a PostgreSQL server, with three workers that act as three hosts
	@$(BIN)/python -m tests.demo_hosts $(ARGS)

test: $(READY) ## run the tests but for the long ones (PYTEST_ARGS=tests/unit for some of them)
	$(BIN)/python -m pytest -n auto --dist worksteal $(or $(PYTEST_ARGS),-m "not long")

test-long: $(READY) ## run the long ones: whole terminals, kills, hosts that are cut off, servers that crash
	$(BIN)/python -m pytest -n auto --dist worksteal -m long $(PYTEST_ARGS)

# The snapshots are drawn with the pinned Textual and so are not compared; what never touches Textual is left out.
TEXTUAL_TESTS ?= tests/tui --ignore tests/tui/test_snapshots.py --ignore tests/tui/test_gateway.py \
	--ignore tests/tui/test_orphans.py --ignore tests/tui/test_cells.py --ignore tests/tui/test_window.py

test-textual: $(READY) ## run the dashboard's tests on the lowest and the newest Textual that pyproject.toml allows
	@lowest=$$(sed -n 's/^dependencies = .*"textual>=\([0-9.]*\)".*/\1/p' pyproject.toml); \
	version() { "$$1" -c 'from importlib.metadata import version; print(version("textual"))'; }; \
	for wanted in "textual==$$lowest" textual; do \
		python=.venv-$$wanted/bin/python; \
		[ -x "$$python" ] || $(BIN)/python -m venv ".venv-$$wanted" || exit 1; \
		"$$python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1" || exit 1; \
		"$$python" -m pip install --quiet --editable . --group dev || exit 1; \
		"$$python" -m pip install --quiet --upgrade "$$wanted" || exit 1; \
		if [ "$$(version "$$python")" = "$$(version $(BIN)/python)" ]; then \
			echo "Textual $$(version "$$python") is the pinned one: make test and make test-long run its tests"; \
			continue; \
		fi; \
		echo "Testing the dashboard on Textual $$(version "$$python")"; \
		"$$python" -m pytest -n auto --dist worksteal $(TEXTUAL_TESTS) || exit 1; \
	done

check: lint test test-long ## everything a change must pass

lint: $(READY) ## format, lint, types and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## measure the queue and the dashboard against their targets
	$(BIN)/python -m bench $(ARGS)

bench-short: $(READY) ## the same in a minute or two, without a verdict
	$(BIN)/python -m bench --quick $(ARGS)

fuzz: $(READY) ## send 500 random keys with 20 seeds at three sizes to the dashboard, with a terminal and without
	QUEUECTL_FUZZ_SEEDS=20 QUEUECTL_FUZZ_KEYS=500 \
		$(BIN)/python -m pytest -n 2 tests/tui/test_fuzz.py tests/tui/test_fuzz_terminal.py

torture: $(READY) ## kill, starve and corrupt the queue for minutes
	$(BIN)/python -m tests.torture $(ARGS)

torture-short: $(READY) ## the same in a minute or two
	$(BIN)/python -m tests.torture --short $(ARGS)

torture-mutants: $(READY) ## show that the torture notices each safeguard that is taken out
	$(BIN)/python -m tests.torture --mutants $(ARGS)

torture-hosts: $(READY) ## cut, kill and crash hosts that share a server, and show that each safeguard is needed
	$(BIN)/python -m tests.torture --only hosts $(ARGS)
	$(BIN)/python -m tests.torture --mutants --only no-fence --only no-wait --only no-gate --only no-failover-wait \
		--only from-the-question --only sentinel-first

screenshots: $(READY) ## draw the pictures in screenshots/ again
	$(BIN)/python -m tests.tui.make_screenshots

docs: $(READY) ## write the generated parts of README.md again
	$(BIN)/python -m tests.generate_docs

dist: $(READY) ## build the wheel and the source archive into dist/
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

clean: ## remove everything that make has made, the environment too
	rm -rf $(CLEAN)
	find . -name .git -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The environment: made once, brought up to date when pyproject.toml changes. Each candidate is tried by running it,
# because a name on the PATH may be a shim for a Python that is not there.
$(READY): pyproject.toml
	@if ! $(BIN)/python -c '$(FITS)' >/dev/null 2>&1; then \
		fits=; base=; \
		for candidate in $(CANDIDATES); do \
			"$$candidate" -c '$(FITS)' >/dev/null 2>&1 || continue; \
			fits=$$candidate; \
			if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then base=$$candidate; break; fi; \
		done; \
		if [ -z "$$fits" ]; then \
			echo "error: queuectl needs Python 3.10 or newer with SQLite 3.37 or newer, and none of these is one:" \
				"$(CANDIDATES); install it, or name it: make PYTHON=/path/to/python" >&2; \
			exit 1; \
		fi; \
		if [ -z "$$base" ]; then \
			version=$$("$$fits" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
			echo "error: $$fits cannot make environments, its ensurepip or venv is missing;" \
				"install it (Debian, Ubuntu: sudo apt install python$$version-venv)" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$base" --version)"; \
		rm -rf $(VENV) && "$$base" -m venv $(VENV) || exit 1; \
	fi
	@echo "Installing what pyproject.toml names into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@
