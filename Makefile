# Every target prepares its own environment; `make` alone lists them.
#
#   make demo PYTHON=/path/to/python3.12      another interpreter
#   make test AIRFLOW_VERSION=3.1.8           another Airflow, in an environment of its own
#   make test ARGS="-k transport -x"          arguments for pytest
#   make test JOBS=0 ARGS=--pdb               in one process; otherwise two share the files
#   make sandbox ARGS="--port 0"              a free port instead of 8425

PYTHON ?=
AIRFLOW_VERSION ?=
VENV ?= .venv$(if $(AIRFLOW_VERSION),-airflow-$(AIRFLOW_VERSION))
ARGS ?=
JOBS ?= 2
# Some shells and images set it; then every process compiles all of Airflow again, which doubles the cost of each start.
unexport PYTHONDONTWRITEBYTECODE

SETUP = @PYTHON="$(PYTHON)" AIRFLOW_VERSION="$(AIRFLOW_VERSION)" scripts/setup.sh "$(VENV)"
RUN = "$(VENV)/bin/python"
# Tools that stay apart from Airflow: nox, pip-audit, twine, and uv, which they need.
TOOLS = .venv-tools
SETUP_TOOLS = @PYTHON="$(PYTHON)" AIRFLOW_VERSION= TOOLS_ONLY=yes scripts/setup.sh $(TOOLS) matrix release
WITH_TOOLS = PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(TOOLS)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test campaign receiver-kills mutants lint format types bench scale-out scale-out-rate storm docs ui-check build package full audit sbom release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## send a real report by a real Airflow to a phone on the screen (sandbox, no account)
	$(SETUP) examples
	@$(RUN) scripts/demo.py

sandbox: ## start the sandbox and print the connection to paste
	$(SETUP) examples
	@$(RUN) -m airflow_provider_whatsapp.sandbox $(ARGS)

test: ## run the whole test suite
	$(SETUP) docs examples tests
	@# In their own order: by default the files with few tests come last, and those are the long ones.
	@$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

campaign: ## broadcasts that meet a fault each, processes of Airflow killed among them (five minutes; ARGS="--rounds 100": a night)
	$(SETUP) examples tests
	@$(RUN) tests/campaigns/rounds.py $(or $(ARGS),--seconds 120)
	@$(RUN) tests/campaigns/chaos.py $(or $(ARGS),--seconds 150)

mutants: ## change the critical modules one place at a time, and count what the tests notice (an hour; ARGS="--seed 7 --count 100")
	$(SETUP) examples tests
	@$(RUN) scripts/mutants.py --jobs $(JOBS) $(ARGS)

receiver-kills: ## kill the receiver fifty times under load, with SQLite and with PostgreSQL: no event that it took is lost
	$(SETUP) tests
	@$(RUN) tests/campaigns/receiver_kills.py $(ARGS)
	@$(RUN) tests/campaigns/receiver_kills.py --postgresql $(ARGS)

lint: ## ruff: rules and format; zizmor and the schemas: the code host's workflows
	$(SETUP) lint
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@"$(VENV)/bin/zizmor" --offline --quiet --no-progress .github
	@$(RUN) -m check_jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(RUN) -m check_jsonschema --quiet --builtin-schema vendor.readthedocs .readthedocs.yaml

format: ## ruff: put right what it can
	$(SETUP) lint
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

types: ## mypy, strict
	$(SETUP) lint
	@$(RUN) -m mypy

bench: ## measure sends, pacing, memory, imports, into build/benchmarks; ARGS="--write docs/benchmarks.md" (half an hour)
	$(SETUP) examples bench tests
	@$(RUN) benchmarks/run.py $(ARGS)

scale-out: VENV = .venv-scale-out
scale-out: ## measure a broadcast on Celery with four machines, one of them killed (needs root, PostgreSQL and Redis; minutes)
	$(SETUP) scale-out
	@$(RUN) benchmarks/scale_out/run.py $(ARGS)

scale-out-rate: VENV = .venv-scale-out
scale-out-rate: ## measure how four machines keep one account's limit, with Redis and without (needs root and Redis; minutes)
	$(SETUP) scale-out
	@$(RUN) benchmarks/scale_out/rate.py $(ARGS)

storm: VENV = .venv-scale-out
storm: ## let 500 mapped tasks fail on Celery with two machines, and count the alerts (needs root, PostgreSQL and Redis; minutes)
	$(SETUP) scale-out
	@$(RUN) benchmarks/scale_out/storm.py $(ARGS)

docs: ## the documentation, into build/docs; a warning is an error
	$(SETUP) docs
	@$(RUN) -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --quiet --builder html docs build/docs
	@echo "Open build/docs/index.html"

ui-check: ## fill in the connection form of a real Airflow in a real browser (needs Chromium; pictures into docs/images)
	$(SETUP) examples tests
	@$(RUN) scripts/ui_check.py

build: ## the wheel, into dist/
	$(SETUP) examples
	@rm -rf dist
	@if command -v uv >/dev/null 2>&1; then \
		uv build --quiet --wheel --python $(RUN) --out-dir dist; \
	else \
		$(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip >/dev/null; \
		$(RUN) -m pip wheel -qq --no-deps --wheel-dir dist .; \
	fi
	@ls dist/*.whl

package: ## source archive and wheel, into dist/: what they hold, and that they come out the same again
	$(SETUP_TOOLS)
	@$(WITH_TOOLS) scripts/check_package.py dist

full: ## all tests on every Airflow and Python (hours); SESSION="tests(3.1.8, 3.11)" runs one
	$(SETUP_TOOLS)
	@$(WITH_TOOLS) $(if $(SESSION),-m nox --session "$(SESSION)" -- $(ARGS),scripts/full.py $(ARGS))

audit: ## known vulnerabilities of what the package brings with it
	$(SETUP_TOOLS)
	@$(WITH_TOOLS) scripts/audit.py

sbom: ## what comes with the package, for other programs: build/sbom.cdx.json (CycloneDX)
	$(SETUP_TOOLS)
	@$(WITH_TOOLS) scripts/sbom.py build/sbom.cdx.json

release-check: ## everything short of uploading (hours; ARGS=--fast: minutes, without the gate and the matrix)
	$(SETUP_TOOLS)
	@$(WITH_TOOLS) scripts/release_check.py $(ARGS)

clean: ## remove everything that the other targets made
	rm -rf .venv .venv-airflow-* .venv-scale-out .venv-tools .nox .airflow demo-output dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
