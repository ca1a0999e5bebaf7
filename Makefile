# Everything runs from the checkout's own .venv. `make check` never writes a source file; `make lint` does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The fits are small: more threads than one only wait for each other, at twice the processor time.
export OPENBLAS_NUM_THREADS = 1

.PHONY: help setup lint check test demo run kafka bench bench-trace soak migrate locks

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# The version the locks were tested with comes first.
CANDIDATES := python3.11 python3.12 python3.13 python3
WORKERS ?= 2
# Many tests wait for a broker or a database to come back: a third worker uses that time.
TEST_WORKERS ?= 3
PORT ?= 9092
SOAK ?= 20
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --python-version 3.11

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv (Python 3.11 or newer) and install the locked packages

$(STAMP): requirements/dev.txt
	@if [ ! -x $(PYTHON) ]; then \
		chosen=; \
		for candidate in $(CANDIDATES); do \
			if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
			then chosen=$$candidate; break; fi; \
		done; \
		if [ -z "$$chosen" ]; then \
			echo "Outpost needs Python 3.11 or newer with its venv module; tried: $(CANDIDATES)." >&2; \
			echo "On Debian: apt-get install python3 python3-venv" >&2; \
			exit 1; \
		fi; \
		"$$chosen" -m venv $(VENV); \
	fi
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $(STAMP)

lint: $(STAMP) ## format and repair what can be repaired (writes)
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

check: $(STAMP) ## format, lint, types, import contracts, tidy and unit tests (writes nothing)
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m pytest tests/tidy tests/unit -q -n $(WORKERS) --durations=0 --durations-min=5

# The processes that tests start need not compile everything anew where no bytecode is to be kept.
test: $(STAMP) ## the whole suite; REQUIRE_ALL=1 turns every skip into a failure
	PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest tests -n $(TEST_WORKERS) --dist loadfile $(ARGS)

demo: $(STAMP) ## watch a warning being born; ONCE=1 plays it to its end and checks the balance
	$(PYTHON) -m services demo $(if $(ONCE),--once)

run: $(STAMP) ## all five services in one process, PostgreSQL and event log embedded
	$(PYTHON) -m services

kafka: $(STAMP) ## a real Apache Kafka on PORT (9092), Java 17, no Docker
	$(PYTHON) deploy/kafka/broker.py --port $(PORT) --data var/kafka

bench: $(STAMP) ## the measurements of the README, two cores, about a minute each
	$(PYTHON) -m bench

bench-trace: $(STAMP) ## the tracing engines side by side; SIZES (1,10,50) million visits, 50 takes half an hour
	$(PYTHON) -m bench.trace --sizes $(or $(SIZES),1,10,50)

soak: $(STAMP) ## kill -9 at SOAK (20) seeded points per adapter
	SOAK=$(SOAK) $(PYTHON) -m pytest tests/failure

migrate: $(STAMP) ## bring every service's schema up to date (also done at start)
	$(PYTHON) -m services schema migrate

locks: $(STAMP) ## compile requirements/*.in to hashed locks without host names (writes)
	cd requirements && ../$(COMPILE) runtime.in -o runtime.txt && ../$(COMPILE) -c runtime.txt dev.in -o dev.txt
