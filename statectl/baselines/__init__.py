"""Patch baselines: which patches are approved, and what that makes of a host. Pure: no store, no files, no clock of its own.

model.py      what a baseline says
scan.py       what a host told of its packages
seen.py       what is remembered of versions: since when they are known
evaluate.py   the three of them and a moment -> what is approved, what is missing, why
"""
