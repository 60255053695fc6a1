# From a fresh clone to everything the project does. `make help` lists the targets.
#
# pip installs, not a faster tool, because pip is what every Python brings and what obeys the
# PIP_* variables and pip.conf of the machine. The lock file holds the closure of the package and
# of its dev group: as constraints (-c) it pins what the package needs, as requirements (-r) it
# brings the dev group too, which pip before 25.1 could not read from pyproject.toml.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet

# The suite runs on the first of these; the others are supported.
PYTHONS := python3.11 python3.12 python3.13 python3
PYTHON ?=

# Further arguments for the tool that a target runs, as in: make test ARGS="-k window -x"
ARGS ?=

.PHONY: help
help: ## List the targets
	@echo 'Targets (ARGS="..." reaches the tool, PYTHON=... chooses the interpreter):'
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	  while IFS='|' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

.PHONY: demo
demo: .venv/.installed ## Install, then watch real events turn into alerts on an embedded broker
	.venv/bin/ruptura demo $(ARGS)

.PHONY: test
test: .venv/.installed-dev ## Install, then run the default test suite (nothing but Python needed)
	.venv/bin/pytest --numprocesses auto --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: integration
integration: servers .venv/.installed-dev ## Run the suite with real servers (Kafka, Prometheus, Alertmanager)
	.venv/bin/pytest -m integration $(ARGS)

.PHONY: e2e
e2e: servers .venv/.installed-dev ## Follow one rupture from a recording to the team that is told
	.venv/bin/pytest -m integration tests/integration/test_end_to_end.py $(ARGS)

.PHONY: quality
quality: .venv/.installed-dev ## Measure how early and how quiet detection is, against minimum figures
	@# RUPTURA_QUALITY=whole: beside all baselines, and a month, too
	.venv/bin/pytest -m quality --numprocesses auto --dist loadscope $(ARGS)

.PHONY: bench
bench: build/baselines/.installed .venv/.installed-dev ## Measure the worker beside others on a real Kafka
	.venv/bin/python -m tests.bench $(ARGS)

# What shapes results, at both ends of what pyproject.toml allows, each in an environment of its own.
# The lock does not count here, but for the tools of the tests. uv reads UV_*.
BOUNDS_TESTS := tests/golden tests/core/detect tests/core/decide tests/core/test_state.py \
  tests/core/test_state_components.py tests/core/test_engine_order.py tests/forecast tests/assembly tests/tools/test_replay.py
BOUNDS_TOOLS := hypothesis|jsonschema|pytest|pytest-timeout|pytest-xdist|pyyaml

.PHONY: bounds
bounds: .venv/bin/uv ## Test with the lowest and the highest versions that pyproject.toml allows
	@for edge in lowest-direct highest; do \
	  folder=build/bounds/$$edge; mkdir -p $$folder; echo "Versions: $$edge"; \
	  .venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python $$folder && \
	  grep -E "^($(BOUNDS_TOOLS))==" requirements.lock >$$folder/tools.txt && \
	  .venv/bin/uv pip install --quiet --python $$folder/bin/python --upgrade --resolution $$edge \
	    --editable . --requirement $$folder/tools.txt && \
	  .venv/bin/uv pip list --python $$folder/bin/python 2>/dev/null | \
	    grep -E '^(holidays|msgspec|numpy|river|scipy|xxhash) ' && \
	  $$folder/bin/python -m pytest --quiet --numprocesses auto $(BOUNDS_TESTS) $(ARGS) || exit 1; \
	done

.PHONY: mutants
mutants: .venv/.installed-dev ## Change the core a little, see which changes no test notices
	.venv/bin/python -m tests.mutation.run $(ARGS)

.PHONY: soak
soak: servers .venv/.installed-dev ## Disturb workers and Kafka at random, compare with a replay
	.venv/bin/python -m tests.soak.run $(ARGS)

.PHONY: dashboards
dashboards: .venv/.installed-dev ## Write the Grafana dashboards as JSON (ARGS=--check compares)
	.venv/bin/python deploy/grafana/generate.py $(ARGS)

.PHONY: install
install: .venv/.installed ## Install Ruptura into .venv, and nothing else

.PHONY: develop
develop: .venv/.installed-dev ## Install Ruptura and the tools of its developers into .venv

.PHONY: check
check: lint types contracts test ## All that must pass before a change is sent

.PHONY: lint
lint: .venv/.installed-dev ## Check style and formatting (ruff)
	.venv/bin/ruff check
	.venv/bin/ruff format --check

.PHONY: types
types: .venv/.installed-dev ## Check types, strictly (mypy)
	.venv/bin/mypy

.PHONY: contracts
contracts: .venv/.installed-dev ## Check who may import whom (import-linter)
	.venv/bin/lint-imports --no-logo

.PHONY: wheel
wheel: .venv/.installed-dev ## Build the wheel into dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: lock
lock: .venv/bin/uv ## Renew the lock file; ARGS=--upgrade takes the newest versions (uv reads UV_*)
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --group dev pyproject.toml --output-file requirements.lock $(ARGS)
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --group bench --output-file tests/bench/baselines.lock $(ARGS)

.PHONY: clean
clean: ## Remove .venv and everything built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.PHONY: servers
servers:
	@missing=; \
	for program in java mvn kcat prometheus promtool prometheus-alertmanager amtool; do \
	  command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "make integration misses$$missing; on Debian:" \
	    "apt-get install default-jre-headless maven kcat prometheus prometheus-alertmanager" >&2; \
	  exit 1; \
	fi

# A virtual environment that is already there is kept, so that nobody loses one made by hand.
.venv/.created:
	@python=; bare=; \
	for candidate in $(or $(PYTHON),$(PYTHONS)); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	    2>/dev/null || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	  bare=$${bare:-$$candidate}; \
	done; \
	if [ -n "$$python" ]; then \
	  :; \
	elif [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; \
	  exit 1; \
	else \
	  echo "Ruptura needs Python 3.11, 3.12 or 3.13, found none in:" \
	    "$(or $(PYTHON),$(PYTHONS)); on Debian: apt-get install python3 python3-venv" >&2; \
	  exit 1; \
	fi; \
	if [ -x .venv/bin/python ]; then "$$python" -m venv .venv; \
	else "$$python" -m venv --clear .venv; fi
	@touch $@

.venv/.installed: .venv/.created pyproject.toml requirements.lock
	@echo "Installing Ruptura into .venv (about half a minute)"
	@$(PIP) install --constraint requirements.lock --editable .
	@touch $@

.venv/.installed-dev: .venv/.created pyproject.toml requirements.lock
	@echo "Installing Ruptura and its development tools into .venv (about a minute)"
	@$(PIP) install --requirement requirements.lock --editable .
	@touch .venv/.installed $@

# An environment of their own: Quix Streams wants an older confluent-kafka than the package.
build/baselines/.installed: .venv/.created tests/bench/baselines.lock
	@echo "Installing Quix Streams and Bytewax into build/baselines (about half a minute)"
	@.venv/bin/python -m venv --clear build/baselines
	@build/baselines/bin/python -m pip --disable-pip-version-check --quiet install \
	  --requirement tests/bench/baselines.lock
	@touch $@

.venv/bin/uv: | .venv/.created
	@$(PIP) install --constraint requirements.lock uv
