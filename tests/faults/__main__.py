"""One command for all rows; prints a line for each, what is broken in full, and `survived n/N` at the end."""

import argparse
import sys
from collections.abc import Sequence

from tests.faults import rows  # noqa: F401  registers them
from tests.faults.peers.compare import compare
from tests.faults.play import Stage
from tests.faults.row import NOT_RUN, ROWS
from tests.lab import HostPool, Lab, missing_requirements


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", help="ids or families (N, E, D, P, C, V); default: all")
    parser.add_argument("--times", type=int, default=3, help="how often in a row each is played (default 3)")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument(
        "--peers", action="store_true", help="play the comparable rows once with ansible-core and pyinfra as well"
    )
    order = parser.parse_args(argv)
    chosen = [one for name, one in sorted(ROWS.items()) if _wanted(name, order.rows)]
    if order.list:
        for one in chosen:
            print(f"{one.id:14} {one.title}")
        return 0
    if not chosen:
        parser.error(f"no row is called {' '.join(order.rows)}; --list shows them")
    reason = missing_requirements()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    if order.peers:
        with Lab() as lab:
            return compare(HostPool(lab), chosen)
    survived = 0
    with Lab() as lab:
        stage = Stage(HostPool(lab))
        for one in chosen:
            for time in range(order.times):
                played = stage.play(one)
                if not played.survived:
                    print(f"{one.id:14} BROKEN in round {time + 1}: {one.title}\n{played.seen}\n", flush=True)
                    break
            else:
                survived += 1
                print(f"{one.id:14} survived {order.times} times ({played.seconds:.1f} s)  {one.title}", flush=True)
    for name, feature in sorted(NOT_RUN.items()):
        if _wanted(name, order.rows):
            print(f"{name:14} not run: {feature}")
    print(f"survived {survived}/{len(chosen)}")
    return 0 if survived == len(chosen) else 1


def _wanted(name: str, asked: Sequence[str]) -> bool:
    return not asked or any(name == one or name.split(".")[0] == one or name[0] == one for one in asked)


if __name__ == "__main__":
    sys.exit(main())
