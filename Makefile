# `make` alone lists what can be done here. Needed: make, and Python 3.11 or newer.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

# uv is used where it is on the PATH, and else brought into .uv/. It is told never to fetch a Python.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .uv/bin/uv)
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$python && break; done)
export UV_PYTHON_DOWNLOADS := never

# Each target brings the dependency groups that it needs, as uv.lock has them.
RUN := $(UV) run --frozen --no-default-groups
STACK := $(RUN) --group api --group worker --group monitor --group local

##@ Use
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: uv ## Process a recording before your eyes (FILE=recording.wav for one of yours)
	@$(STACK) python -m deploy.local.demo "$$FILE"

.PHONY: run
run: uv ## Run Wavemill here until Ctrl-C (WORKERS=3 for three workers)
	@$(STACK) python -m deploy.local.run

.PHONY: up-monitoring
up-monitoring: uv ## The same, watched by Prometheus and Alertmanager (needs both on the PATH)
	@$(STACK) python -m deploy.local.run --monitoring

##@ Containers
.PHONY: env
env: uv ## Write .env with random passwords for docker-compose.yml; one that is there stays as it is
	@$(RUN) python -m deploy.compose.environment

.PHONY: up
up: ## Build and start everything in containers (after `make env`)
	@docker compose up -d --build

.PHONY: down
down: ## End the containers; what they hold stays in its volumes
	@docker compose down

.PHONY: compose-test
compose-test: uv ## Try docker-compose.yml on the Docker engine here: load, crashes, restarts, walls
	@$(UV) run --frozen --no-group lint python -m tests.deploy.compose

.PHONY: deploy-check
deploy-check: uv ## Hold the files for Kubernetes and systemd against their schemas and checkers
	@$(UV) run --frozen --no-group lint python -m tests.deploy.check

##@ Operate
.PHONY: worker
worker: uv ## Start one Celery worker (needs REDIS_HOST and DATABASE_URL, or a `make run`'s)
	@$(RUN) --group worker deploy/local/start_celery_worker.sh

# EXPIRES=2030-01-31 or 90d; what else a key can have: `python -m services.api.access.cli --help`.
SCOPES ?= submit,read
.PHONY: key
key: uv ## Make an API key: NAME="podcast site", SCOPES=submit,read,admin, EXPIRES=90d (needs DATABASE_URL)
	@$(RUN) --group api python -m services.api.access.cli --name "$$NAME" --scopes "$(SCOPES)" --expires "$$EXPIRES"

.PHONY: flower
flower: uv ## Watch the Celery workers with Flower
	@$(RUN) --group worker --group flower celery -A services.worker.app flower

.PHONY: migrate
migrate: uv ## Bring the database of DATABASE_URL up to date
	@$(RUN) python -m shared.store.migrate

.PHONY: redis-check
redis-check: uv ## Say whether Redis answers
	@$(RUN) python -m deploy.local.redis_check

##@ Develop
# Most tests wait for servers most of the time.
TWO_AT_A_TIME := --numprocesses 2 --dist worksteal

.PHONY: test
test: uv ## Run all tests
	@$(UV) run --frozen --no-group lint pytest $(TWO_AT_A_TIME)

# Several seeds are several runs, one after the other; the page has a column for each.
MINUTES ?= 10
SEED ?= 1
.PHONY: chaos
chaos: uv ## Kill, stop and cut off parts under load; writes docs/reliability.md (MINUTES=3 SEED="1 2 3")
	@$(UV) run --frozen --no-group lint python -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

INPUTS ?= 10000
.PHONY: fuzz
fuzz: uv ## Send damaged files through the audio engine, and keep those that it does not stand (INPUTS=1000 SEED=2)
	@$(UV) run --frozen --no-group lint python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

.PHONY: bench-jobs
bench-jobs: uv ## Measure the life of a job beside Celery, procrastinate and others, and write docs/benchmarks.md
	@$(UV) run --frozen --group bench python -m tests.benchmarks.jobs

.PHONY: bench-audio
bench-audio: uv ## Measure the audio engine beside ffmpeg, ffmpeg-normalize and audiowaveform, and write docs/benchmarks.md
	@$(UV) run --frozen --group bench python -m tests.benchmarks.audio

.PHONY: bench-api
bench-api: uv ## Measure the API under a large upload and with many open event streams, and write docs/benchmarks.md
	@$(UV) run --frozen --no-group lint python -m tests.benchmarks.api

.PHONY: sizing
sizing: uv ## Measure what one core of a worker does in an hour, and write it into docs/deploy.md
	@$(UV) run --frozen --no-group lint python -m tests.benchmarks.sizing

.PHONY: lint
lint: uv ## Check style, types and the walls between the services
	@$(UV) run --frozen ruff check
	@$(UV) run --frozen ruff format --check
	@$(UV) run --frozen --group bench mypy
	@$(UV) run --frozen lint-imports
	@$(UV) run --frozen hadolint services/*/Dockerfile

.PHONY: format
format: uv ## Format the code, and put right what the linter can
	@$(RUN) --group lint ruff check --fix
	@$(RUN) --group lint ruff format

.PHONY: dashboards
dashboards: uv ## Write Grafana's dashboards from deploy/dashboards/
	@$(STACK) python -m deploy.dashboards

.PHONY: docs
docs: uv ## Write the pages and resources that come from the code, the rules and the dashboards
	@$(STACK) python -m deploy.docs.configuration >docs/configuration.md
	@$(STACK) python -m deploy.docs.openapi >docs/openapi.json
	@$(RUN) --group test python -m deploy.kubernetes.generated_files

.PHONY: client
client: uv ## Write the typed Python client of docs/openapi.json into clients/python/
	@$(RUN) --group test python -m deploy.client clients/python

.PHONY: screenshots
screenshots: uv ## Take the pictures of the operations page again, of a Wavemill under load (needs chromium)
	@$(STACK) --group test --group browser python -m deploy.docs.screenshots

.PHONY: pictures
pictures: uv ## Draw the pictures of docs/operations.md again, by the audio engine
	@$(RUN) --group worker python -m deploy.docs.pictures

.PHONY: lock
lock: uv ## Bring uv.lock in line with pyproject.toml
	@$(UV) lock

.PHONY: clean
clean: ## Remove environments and caches; data/ stays
	@rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find deploy services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: uv python
uv: python $(filter .uv/bin/uv,$(UV))

python:
	@test -n "$(PYTHON)" || { echo "Wavemill needs Python 3.11 or newer, and found none on the PATH." >&2; exit 1; }

# Debian's python3 may lack venv's ensurepip; then pip alone does. pip keeps no cache: nothing is written elsewhere.
.uv/bin/uv:
	@echo "Bringing uv into .uv/ ..."
	@{ $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet --no-cache-dir uv; } >.uv.log 2>&1 || \
		{ rm -rf .uv; $(PYTHON) -m pip install --quiet --no-cache-dir --target .uv uv; } >>.uv.log 2>&1 || \
		{ rm -rf .uv; cat .uv.log; rm -f .uv.log; \
		  echo "uv could not be brought; install it, or your system's python3-venv package." >&2; exit 1; }
	@rm -f .uv.log
