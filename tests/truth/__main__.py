"""python -m tests.truth --catalogues 200"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.lab import Lab, missing_requirements
from tests.truth.catalogues import generate
from tests.truth.checking import Tally
from tests.truth.feeding import feed_generated


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description="is what plans say true? on lab hosts")
    parser.add_argument("--catalogues", type=int, default=200, help="how many generated ones (200)")
    parser.add_argument("--hosts", type=int, default=4, help="on how many hosts at a time (4)")
    parser.add_argument("--seed", type=int, default=0, help="other ones (0)")
    parser.add_argument("--suite", default="bookworm")
    order = parser.parse_args()
    reason = missing_requirements()
    if reason:
        sys.stderr.write(f"error: {reason}\n")
        return 1
    tally = Tally()
    with Lab() as lab, tempfile.TemporaryDirectory() as place:
        hosts = lab.start(order.hosts, order.suite)
        feed_generated(tally, hosts, Path(place), generate(order.catalogues, order.seed), say)
    for title, entries in (("unknown", tally.unknown), ("wrong", tally.wrong)):
        for entry in entries:
            say(f"{title}: {entry}")
    for entry, count in sorted(tally.refusals.items()):
        say(f"refused {count} times: {entry}")
    for (kind, verdict), count in sorted(tally.by_type.items()):
        say(f"{kind:20} {verdict:8} {count}")
    say(str(tally))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
