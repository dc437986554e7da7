"""python -m statectl"""

import gc
import sys

YOUNG = 10_000  # objects that are made before garbage is looked for; Python's 700 costs a run over a fleet a tenth of its time


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(YOUNG, 10, 10)
    from statectl.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
