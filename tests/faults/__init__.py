"""Faults: every row injects one into a real run on lab hosts, and six oracles judge what became of it.

python -m tests.faults                     every row three times; ends with `survived n/N`
python -m tests.faults N03 D --times 1     some rows; a letter is a family
"""

from tests.faults.row import NOT_RUN, ROWS, Row, row

__all__ = ["NOT_RUN", "ROWS", "Row", "row"]
