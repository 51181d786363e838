# Everything here works on a fresh clone with Python 3.11+ and make alone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
STAMP  := $(VENV)/.installed
FULL   := $(VENV)/.installed-full
CHECKOV := .venv-checkov
SUPPLY := .venv-supply
MEMBERS := services/contract services/adapter services/manager
MANIFESTS := pyproject.toml $(MEMBERS:%=%/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install install-full up images test check format lock schema dashboards chart bench clean security audit sbom

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with agent-adapter, agent-manager and agentctl in it

$(UV):
	@echo "==> $(VENV): $$($(PYTHON) --version), uv from the package index"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say which with PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt

$(STAMP): requirements/dev.txt $(MANIFESTS) | $(UV)
	@echo "==> locked dependencies (requirements/dev.txt) and the three packages, editable"
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=-e ./%)
	@touch $@
	@echo "==> ready: $(BIN)/agent-adapter $(BIN)/agent-manager $(BIN)/agentctl"

up: install ## run the manager and the example agents here, until Ctrl-C
	@$(BIN)/agentctl up

install-full: $(FULL) $(CHECKOV)/.installed ## what the full profile needs too: the retriever's embeddings, checkov (about 320 MB)

$(FULL): requirements/full.txt | $(STAMP)
	@echo "==> locked dependencies of the embeddings (requirements/full.txt)"
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --compile-bytecode --require-hashes -r requirements/full.txt
	@touch $@

$(CHECKOV)/.installed: requirements/checkov.txt | $(UV)
	@echo "==> checkov in an environment of its own (requirements/checkov.txt): it pins what others need newer"
	@$(PYTHON) -m venv --without-pip $(CHECKOV)
	@VIRTUAL_ENV=$(CHECKOV) $(UV) pip install --quiet --compile-bytecode --require-hashes -r requirements/checkov.txt
	@touch $@

REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE = docker build --quiet --build-arg REVISION=$(REVISION)

images: ## build agent-manager:dev, agent-adapter:dev and agent-examples:dev
	@$(IMAGE) -f Dockerfile.manager -t agent-manager:dev .
	@$(IMAGE) -f Dockerfile.adapter -t agent-adapter:dev .
	@$(IMAGE) -f Dockerfile.adapter --target examples -t agent-examples:dev .

# These share one engine, cluster or browser, or measure: their tests run one after the other.
ALONE := tests/containers tests/cluster tests/browser

test: install $(if $(filter full,$(TEST_PROFILE)),install-full) ## run the tests (TEST_PROFILE=full for all of them)
	@$(BIN)/pytest $(ALONE:%=--ignore %)
	@$(if $(filter full,$(TEST_PROFILE)),$(BIN)/pytest -n 0 $(wildcard $(ALONE)))

COMPOSE := docker-compose.yml deploy/compose/closed.yaml

check: install ## lint, types, formatting, images, compose, the chart's values, and the rules of SECURITY.md
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile.adapter Dockerfile.manager
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec $(COMPOSE)
	@$(BIN)/yamllint --strict -c deploy/helm/yamllint.yaml $(CHART)/values.yaml $(CHART)/Chart.yaml $(CHART)/ci deploy/helm/yamllint.yaml
	@if docker compose version >/dev/null 2>&1; then docker compose $(COMPOSE:%=-f %) --profile '*' config --quiet; \
	else echo "==> docker compose config: no docker here, so this is not checked"; fi
	@$(MAKE) --no-print-directory security

security: install ## run the tests of the rules in SECURITY.md, those that need nothing but Python
	@TEST_PROFILE=fast $(BIN)/pytest -q $$(grep -oE 'tests/[a-z_/]+\.py::test_[a-z0-9_]+' SECURITY.md | sort -u)

$(SUPPLY)/.installed: requirements/audit.txt requirements/sbom.txt | $(UV)
	@echo "==> pip-audit and cyclonedx-py in an environment of their own (requirements/audit.txt, requirements/sbom.txt)"
	@$(PYTHON) -m venv --without-pip $(SUPPLY)
	@VIRTUAL_ENV=$(SUPPLY) $(UV) pip install --quiet --compile-bytecode --require-hashes -r requirements/audit.txt -r requirements/sbom.txt
	@touch $@

# The smallest first: where the database cannot be asked, that is known at once.
AUDITED := $(addprefix requirements/,$(addsuffix .txt,uv build adapter manager sbom audit full dev checkov))

audit: $(SUPPLY)/.installed ## ask the advisory database about every locked dependency (needs the network)
	@$(SUPPLY)/bin/python deploy/audit.py $(AUDITED)

sbom: $(SUPPLY)/.installed ## write dist/sbom/*.cdx.json, what the images' dependencies are locked to
	@mkdir -p dist/sbom
	@$(foreach image,adapter manager,PYTHONWARNINGS=ignore $(SUPPLY)/bin/cyclonedx-py requirements --output-reproducible \
	  --pyproject services/$(image)/pyproject.toml -o dist/sbom/agent-$(image).cdx.json requirements/$(image).txt &&) true
	@ls dist/sbom/*.cdx.json

format: install ## format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

schema: install ## write config/agents.config.schema.json from the structs
	@$(BIN)/python -m agent_contract.schema > config/agents.config.schema.json

dashboards: install ## write deploy/dashboards/*.json, which compose mounts and the chart copies (make chart)
	@$(BIN)/python -m deploy.dashboards.generate

CHART := deploy/helm/agent-orchestration
DASHBOARDS = $(wildcard deploy/dashboards/*.json)
ALERTS = $(shell grep -ls '^groups:' deploy/alerts/*.yaml)

chart: install ## write the chart's schema, README, dashboards and alerts from what they are made of
	@$(BIN)/python -m deploy.helm.values_schema > $(CHART)/values.schema.json
	@$(BIN)/python -m deploy.helm.chart_readme > $(CHART)/README.md
	@rm -rf $(CHART)/files && mkdir -p $(CHART)/files/dashboards $(CHART)/files/alerts
	@cp $(DASHBOARDS) $(CHART)/files/dashboards/
	@$(if $(ALERTS),cp $(ALERTS) $(CHART)/files/alerts/)

bench: install ## measure the hot paths beside something real, and what telemetry costs
	@$(BIN)/python benchmarks/hot_paths.py
	@$(BIN)/python -m benchmarks.metrics
	@$(BIN)/python -m benchmarks.tracing

RESOLVE := pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
  --no-emit-package agent-contract --no-emit-package agent-adapter --no-emit-package agent-manager \
  --custom-compile-command "make lock"

# What litestar declares and these services do not import: 26 MB that make examples for its own OpenAPI page, and 14 MB of
# its command line, which the adapter has no part of (agentctl, beside the manager, draws tables with rich).
WITHOUT := $(addprefix --no-emit-package ,faker polyfactory)
WITHOUT_adapter := $(WITHOUT) $(addprefix --no-emit-package ,rich rich-click pygments markdown-it-py mdurl)
WITHOUT_manager := $(WITHOUT)

lock: | $(UV) ## resolve the dependencies again, with hashes
	@$(UV) $(RESOLVE) --group dev --extra otel $(MANIFESTS) -o requirements/dev.txt
	@$(UV) $(RESOLVE) --no-deps -c requirements/dev.txt -o requirements/full.txt requirements/full.in
	@$(foreach image,adapter manager,$(UV) $(RESOLVE) $(WITHOUT_$(image)) --extra otel -c requirements/dev.txt \
	  -o requirements/$(image).txt services/contract/pyproject.toml services/$(image)/pyproject.toml &&) true
	@echo checkov | $(UV) $(RESOLVE) -o requirements/checkov.txt -
	@echo cyclonedx-bom | $(UV) $(RESOLVE) -o requirements/sbom.txt -
	@echo pip-audit | $(UV) $(RESOLVE) -c requirements/sbom.txt -o requirements/audit.txt -
	@printf 'hatchling\nuv\n' | $(UV) $(RESOLVE) -c requirements/dev.txt -o requirements/build.txt -
	@grep -A200 '^uv==' requirements/dev.txt | awk 'NR==1 || /^ /{print; next} {exit}' > requirements/uv.txt

clean: ## remove the environment and what the tests left
	@rm -rf $(VENV) $(CHECKOV) $(SUPPLY) .mypy_cache .ruff_cache .pytest_cache .hypothesis
