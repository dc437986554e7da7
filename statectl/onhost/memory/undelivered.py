"""Results of runs that no controller has acknowledged: handed over at the next contact, deleted at `ack`."""

import json
import os
from typing import TYPE_CHECKING

from statectl.onhost.memory.files import read_json, write_json

if TYPE_CHECKING:
    from typing import Iterable, List, Optional

    from statectl.onhost.shapes import Message

MAX_ONE = 4 * 1024 * 1024  # bytes of one result
MAX_HANDED_OVER = 8 * 1024 * 1024  # bytes in one ready message; the rest waits for the next contact


class Undelivered(object):
    """One file per run. Run ids are checked against a closed pattern before they come here."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def _path(self, run: str) -> str:
        return os.path.join(self._directory, run + ".json")

    def put(self, run: str, result: "Message") -> None:
        """Durable on return. Of a very large result the diffs are left out, then what was as wanted: it says so."""
        for shorter in (None, _without_changes, _without_ok):
            if shorter is not None:
                result = dict(result, results=shorter(result["results"]), shortened=True)
            if len(json.dumps(result)) <= MAX_ONE:
                break
        write_json(self._path(run), result)

    def names(self) -> "List[str]":
        """Run ids, oldest first."""
        found = []
        for name in os.listdir(self._directory):
            if name.endswith(".json"):
                path = os.path.join(self._directory, name)
                found.append((os.stat(path).st_mtime, name[: -len(".json")]))
        return [run for _, run in sorted(found)]

    def all(self) -> "List[Message]":
        """-> results, oldest first, as many as fit into one message. Raises Corrupt."""
        results: "List[Message]" = []
        size = 0
        for run in self.names():
            size += os.stat(self._path(run)).st_size
            if results and size > MAX_HANDED_OVER:
                break
            result = self.get(run)
            if result is not None:
                results.append(result)
        return results

    def get(self, run: str) -> "Optional[Message]":
        """-> the result, or None. Raises Corrupt."""
        found: "Optional[Message]" = read_json(self._path(run), "the result of run %s is lost" % run)
        return found

    def acknowledge(self, runs: "Iterable[str]") -> None:
        """The controller has them. Unknown ids are fine: an ack may come twice."""
        for run in runs:
            try:
                os.unlink(self._path(run))
            except FileNotFoundError:
                continue


def _without_changes(results: "List[Message]") -> "List[Message]":
    return [dict(result, changes=[]) if result.get("changes") else result for result in results]


def _without_ok(results: "List[Message]") -> "List[Message]":
    return [result for result in results if result["outcome"] != "ok"]
