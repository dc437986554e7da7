"""`python -m tests.fuzz [SECONDS for each target] [TARGET...]`: seeds, changed. `--guided TARGET SECONDS`: by coverage, with atheris.

Prints the executions of each target; an input that breaks one is printed and ends with exit 1.
"""

import random
import resource
import sys
import time
import traceback

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import SEEDS, TARGETS, attempt

SLOW_S = 1.0
MOST = 256 * 1024 * 1024  # bytes of memory more than at the start


def one(target: str, seconds: float) -> bool:
    """Fuzz for so long; False when an input broke it."""
    chance = random.Random(time.time_ns())
    corpus = list(SEEDS[target])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = time.monotonic() + seconds
    executions = slow = 0
    while time.monotonic() < end:
        data = mutated(chance.choice(corpus), chance.choice(corpus), chance)
        began = time.process_time()
        try:
            attempt(target, data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            print(f"{target}: broken by {data!r}")
            traceback.print_exc()
            return False
        executions += 1
        slow += time.process_time() - began > SLOW_S
        if chance.random() < 0.02 and len(corpus) < 500:
            corpus.append(data)  # changes add up
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(
        f"{target}: {executions:,} executions in {seconds:.0f} s, {slow} over {SLOW_S:g} s, {grown >> 20} MiB more",
        flush=True,
    )
    return slow == 0 and grown < MOST


def guided(target: str, seconds: float) -> None:
    """By coverage, with atheris; never returns."""
    import atheris

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-max_len=4096"], lambda data: attempt(target, data))
    atheris.Fuzz()


def main(argv: list[str]) -> int:
    if argv[:1] == ["--guided"]:
        guided(argv[1], float(argv[2]))
    seconds = float(argv[0]) if argv else 60.0
    names = argv[1:] or list(TARGETS)
    done = [one(name, seconds) for name in names]  # every one, whatever the others find
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
