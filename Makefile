.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: ## Make .venv with what running needs
	@.ci/setup run

demo: setup ## The main job on this machine alone, in a directory of its own
	@.ci/demo

setup-dev:
	@.ci/setup dev

lint: setup-dev ## ruff, mypy --strict, vermin for the part that travels
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vermin --no-tips --quiet --violations -t=3.6- statectl/onhost statectl/__init__.py

test-fast: setup-dev ## Everything that needs neither root nor the lab
	$(BIN)/pytest -q -n 2 -m "not lab and not slow" --ignore=tests/onhost
	$(BIN)/python -W error -m unittest discover -s tests/onhost -t tests/onhost

lab-packages:
	@.ci/lab_packages

test: setup-dev lab-packages ## Everything; lab tests skip loudly where root or systemd-container is missing
	@.ci/test

faults: setup-dev lab-packages ## Every fault three times in a row, judged by six oracles; hours
	$(BIN)/python -m tests.faults

sweeps: setup-dev lab-packages ## Every crash point, power cut, racing writer, history of removals, schedule, and a month of serve; hours
	$(BIN)/python -m tests.sweeps.crash_points --fault KILL --fault EIO --fault ENOSPC
	$(BIN)/python -m tests.sweeps.power_cut --runs 2000
	$(BIN)/python -m tests.sweeps.one_writer --runs 1000
	$(BIN)/python -m tests.sweeps.removal --histories 1000
	$(BIN)/python -m tests.sweeps.link_swaps --writes 100000
	$(BIN)/python -m tests.sweeps.schedules --expressions 100000
	$(BIN)/python -m tests.sweeps.requirements --runs 20000
	$(BIN)/python -m tests.sweeps.month --days 30

truth: setup-dev lab-packages ## 200 generated catalogues: is every verdict of a plan what then happens?; an hour
	$(BIN)/python -m tests.truth --catalogues 200

benchmark: setup-dev lab-packages ## What statectl costs, and statectl beside its peers on lab hosts; writes docs/benchmarks.md; hours
	$(BIN)/python -m tests.benchmarks.offline
	$(BIN)/python -m tests.benchmarks.stores
	$(BIN)/python -m tests.benchmarks.parameters
	$(BIN)/python -m tests.benchmarks.patch_memory
	$(BIN)/python -m tests.benchmarks.inventory
	$(BIN)/python -m tests.benchmarks.patches_apt
	$(BIN)/python -m tests.benchmarks.patches
	$(BIN)/python -m tests.benchmarks.cost
	$(BIN)/python -m tests.benchmarks.growth
	$(BIN)/python -m tests.benchmarks.run

floor: setup-dev ## Every test of the host half on every Python from 3.6 up that is here
	STATECTL_EVERY_PYTHON=1 $(BIN)/pytest -q tests/unit/test_python_floor.py tests/hosts/test_python_in_hosts.py

fuzz: setup-dev ## Every fuzz target for an hour; for the night
	$(BIN)/python -m tests.fuzz 3600

lock: ## Renew the hash-locked requirements files (needs uv)
	.ci/lock

.PHONY: help setup demo setup-dev lint test-fast lab-packages test faults sweeps truth benchmark lock floor fuzz
