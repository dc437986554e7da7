"""A short run of every fuzz target: nothing but errors of our own, and none that takes long. `make fuzz` runs them for hours."""

import random
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests.fuzz`, however pytest was started

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import SEEDS, TARGETS, attempt

EXAMPLES = {"states": 40, "inventory": 60, "template": 60}
SLOW_S = 5.0  # a busy machine; `make fuzz` says 1 s


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_gets_anything_but_our_own_errors(target: str) -> None:
    """Seeds, changed seeds and arbitrary bytes: every one is read or refused in words."""
    for seed in SEEDS[target]:
        attempt(target, seed)

    @settings(max_examples=EXAMPLES.get(target, 200))
    @given(st.integers(0, 2**32), st.binary(max_size=200))
    def run(number: int, noise: bytes) -> None:
        chance = random.Random(number)
        seeds = SEEDS[target]
        for data in (noise, mutated(chance.choice(seeds), chance.choice(seeds), chance)):
            began = time.monotonic()
            attempt(target, data)
            assert time.monotonic() - began < SLOW_S, data

    run()
