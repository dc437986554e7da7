"""`python -m tests.lab.at_time 2026-11-15T02:30:00+01:00 patch scan`: statectl with the controller's clock put there, and running on.

Hosts keep their own clocks. What measures spans of time, such as deadlines, is not touched.
"""

import datetime as dt
import sys
import time

REAL = dt.datetime


class Shifted(dt.datetime):
    by = dt.timedelta(0)

    @classmethod
    def now(cls, tz=None):
        return (REAL.now(dt.UTC) + cls.by).astimezone(tz) if tz else REAL.now() + cls.by


def shift(moment: dt.datetime) -> None:
    """Before anything of statectl is imported."""
    Shifted.by = moment - REAL.now(dt.UTC)
    dt.datetime = Shifted
    seconds, real = Shifted.by.total_seconds(), time.time
    time.time = lambda: real() + seconds


if __name__ == "__main__":
    shift(dt.datetime.fromisoformat(sys.argv[1]))
    from statectl.cli.main import run

    sys.exit(run(sys.argv[2:]))
