"""The write-ahead journal of one apply: what is about to be done, then that it is done. One JSON object per line.

what        keys                                        durable   meaning after a crash
begin       run plan_id counter controller commit at    yes       this run was cut off
writing     directory                                   no        temporary files may be left there
intent      address entry owes                          yes       it may have been changed: the entry holds, want_hash unknown
done        address entry owes result                   yes       it was changed (or not: result says so)
paying      address instance                            yes       a restart may have happened: see debt.py
paid        address                                     yes       it did
released    address                                     no        forgotten on request
"""

import json
import os

from statectl.onhost.memory.files import Corrupt, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    from statectl.onhost.shapes import JSON, Address, Debt, LedgerEntry, Message


class Overtaken(Exception):
    """Another executor took this host over while we could not act. Nothing may be written any more, to the machine or to the memory."""


class Journal(object):
    """Append-only, one writer: the holder of the lock.

    It is also the fence. Who takes a host over removes the journal of the one before him, before he writes anything; so whoever
    finds his own journal removed has been overtaken, however long he was paused and whatever became of the lock.
    """

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        sync_directory(os.path.dirname(path))

    def check(self) -> None:
        """Before every write. Raises Overtaken."""
        if os.fstat(self._fd).st_nlink == 0:
            raise Overtaken("this host was taken over by another run; nothing more was written")

    def add(self, line: "Dict[str, JSON]", durable: bool = True) -> None:
        self.check()
        data = (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")
        while data:
            data = data[os.write(self._fd, data) :]
        if durable:
            os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def replay(path: str) -> "Optional[Dict[str, JSON]]":
    """What a run that was cut off had done, or None when none was.

    -> {"begin": line, "entries": {address: entry or None}, "debts": {address: debt or None},
        "directories": set, "result": an undelivered result}; begin and result are None when nothing had begun
    A last line that was cut off in the middle of writing did not happen: whatever it announces comes after it is durable.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except FileNotFoundError:
        return None
    whole, _, _ = raw.rpartition(b"\n")
    lines = []
    for number, text in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            line = json.loads(text.decode("ascii"))
            line["what"]
        except (ValueError, KeyError, TypeError):
            raise Corrupt(
                "%s is damaged in line %d; move it away (then what the interrupted run created counts as adopted, "
                "and restarts that it owed are forgotten)" % (path, number)
            )
        lines.append(line)
    if not lines or lines[0]["what"] != "begin":
        # cut off before its first line was durable: nothing had been written to the machine
        return {"begin": None, "entries": {}, "debts": {}, "directories": set(), "result": None}
    return _tell(lines)


def _tell(lines: "List[Dict[str, JSON]]") -> "Dict[str, JSON]":
    begin = lines[0]
    entries: "Dict[Address, Optional[LedgerEntry]]" = {}
    debts: "Dict[Address, Optional[Debt]]" = {}
    results: "Dict[Address, Message]" = {}
    notified: "Dict[Address, Message]" = {}
    directories: "Set[str]" = set()
    for line in lines[1:]:
        what, address = line["what"], line.get("address", "")
        if what == "writing":
            directories.add(line["directory"])
        elif what in ("intent", "done"):
            entries[address] = line["entry"]
            debts.update(line["owes"])
            results[address] = line.get("result") or {
                "address": address,
                "outcome": "unknown",
                "reason": "the executor ended while it was changing this",
            }
        elif what == "paying":
            debts[address] = line["debt"]
            notified.pop(address, None)  # paid before, and it did not stay up
        elif what == "paid":
            debts[address] = None
            notified[address] = line["notified"]
        elif what == "released":
            entries[address] = None
    return {
        "begin": begin,
        "entries": entries,
        "debts": debts,
        "directories": directories,
        "result": _result(begin, results, list(notified.values())),
    }


def _result(begin: "Dict[str, JSON]", results: "Dict[Address, Message]", notified: "List[Message]") -> "Message":
    return {
        "run": begin["run"],
        "kind": "apply",
        "plan_id": begin.get("plan_id"),
        "counter": begin.get("counter", 0),
        "controller": begin.get("controller", ""),
        "commit": begin.get("commit"),
        "catalogue": begin.get("catalogue"),
        "started": begin.get("at", 0),
        "ended": None,
        "outcome": "unknown",
        "reason": "the executor ended before the run did",
        "results": list(results.values()),
        "notified": notified,
        "counts": {},
    }
