"""How `pytest -n` shares tests out: those that share something dear go to one worker together, and the longest go first.

pytest-xdist has `--dist loadgroup` for the first half, and under pytest 9.2 it does not group and does not say so: it
marks a test's name in an attribute that is not read any more. Then each worker makes each fixture of a module anew.
The process that shares out is told nothing but the names of the tests, so the units are known by name.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Modules, or tests with parameters, that share a fixture which takes seconds
TOGETHER = (
    "tests/hosts/test_apply_rules.py",
    "tests/hosts/test_collected_inventory.py",
    "tests/hosts/test_fault_oracles.py",
    "tests/hosts/test_faults.py",
    "tests/hosts/test_lock_out.py",
    "tests/hosts/test_plan_truth.py::test_a_host_that_moved_after_the_plan_is_stale",
    "tests/hosts/test_states.py",
    "tests/hosts/test_transports.py",
    "tests/unit/test_python_floor.py::test_host_half_passes_its_tests",
)
# The same, but for each system of the lab by itself
BY_SYSTEM = ("tests/hosts/test_types.py",)
SYSTEM = re.compile(r"\b(bullseye|bookworm|trixie|rpm)\b")
# Seconds of the longest units: only the order follows from them, so that no worker begins a long one when the others end
EXAMPLE = "tests/hosts/test_examples.py::test_an_example_converges"
IN_HOST = "tests/hosts/test_python_in_hosts.py::test_host_half_passes_its_tests_in_a_host"
SECONDS = {
    "tests/hosts/test_lock_out.py": 210,
    "tests/hosts/test_faults.py": 200,
    f"{EXAMPLE}[load-balanced]": 170,
    f"{EXAMPLE}[trial-dev]": 150,
    f"{IN_HOST}[forky-version1]": 90,
    f"{EXAMPLE}[trial-stage]": 90,
    "tests/hosts/test_apply_rules.py": 60,
    "tests/hosts/test_fault_oracles.py": 60,
    "tests/hosts/test_types.py: bullseye": 40,
    "tests/hosts/test_types.py: bookworm": 40,
    "tests/hosts/test_types.py: trixie": 40,
    "tests/hosts/test_types.py: rpm": 40,
    "tests/hosts/test_plan_truth.py::test_a_host_that_moved_after_the_plan_is_stale": 40,
    "tests/hosts/test_restart_debt.py::test_killed_between_file_and_service[reload]": 30,
    "tests/unit/test_python_floor.py::test_host_half_passes_its_tests": 150,
    "tests/hostile/test_local_users.py::test_link_swaps[40]": 50,
    "tests/hostile/test_sshd.py::test_no_ssh_at_all[garbage]": 30,
    "tests/unit/test_removal_sweep.py::test_no_wrong_removal_in_a_sample_of_histories": 25,
}


def unit_of(test: str) -> str:
    """What goes to one worker as a whole with this test; the test itself when it may run anywhere."""
    for unit in TOGETHER:
        if test == unit or test.startswith((unit + "::", unit + "[")):
            return unit
    module, _, name = test.partition("::")
    system = SYSTEM.search(name)
    return f"{module}: {system[0]}" if module in BY_SYSTEM and system else test


class Sharing(LoadScopeScheduling):
    """Hands out whole units, in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # else: by the number of tests in a unit

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing | None:
    """For `-n` as it is; another `--dist` is as xdist has it."""
    return Sharing(config, log) if config.getvalue("dist") == "load" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker: the longest first, the rest as collected."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -SECONDS.get(unit_of(item.nodeid), 0))
