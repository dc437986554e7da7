"""Does a plan say the truth? Plans are made, applied, and every verdict is compared with what then happened on real hosts.

`python -m tests.truth --catalogues 200` prints how many verdicts were wrong, and how many `unknown`. The parts:

    universe.py     a few dozen resources that collide, and what a person breaks by hand
    catalogues.py   hypothesis makes valid catalogues of them
    observing.py    what is on a host, read without statectl
    checking.py     plan, apply, compare: one step
    feeding.py      examples, type cases and generated catalogues, host by host
"""
