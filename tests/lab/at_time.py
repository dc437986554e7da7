"""`python -m tests.lab.at_time 2026-11-15T02:30:00+01:00 patch scan`: statectl with the controller's clock put there, and running on.

Hosts keep their own clocks. What measures spans of time, such as deadlines, is not touched.
"""

import datetime
import sys
import time

SHIFT = datetime.timedelta(0)
REAL = datetime.datetime


class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return (REAL.now(datetime.UTC) + SHIFT).astimezone(tz) if tz else REAL.now() + SHIFT


def shift(moment: datetime.datetime) -> None:
    global SHIFT
    SHIFT = moment - REAL.now(datetime.UTC)
    datetime.datetime = Shifted  # before anything of statectl is imported
    seconds, real = SHIFT.total_seconds(), time.time
    time.time = lambda: real() + seconds


if __name__ == "__main__":
    shift(datetime.datetime.fromisoformat(sys.argv[1]))
    from statectl.cli.main import run

    sys.exit(run(sys.argv[2:]))
