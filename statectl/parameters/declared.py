"""Declared parameters against the parameter store: what differs, what moved since it was put, and making it so. The same three words as on
hosts: wanted (files), placed (what an apply put), found (the store now).
"""

import difflib
import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from statectl.errors import Refused, StatectlError
from statectl.parameters.model import SECURE, Filter, NewVersion, Parameter
from statectl.parameters.placed import Ledger, Placed
from statectl.parameters.store import ParameterStore
from statectl.secrets import Secret

GONE = ("E610", "E624")  # not there, expired
FIELDS = ("description", "data_type", "allowed_pattern", "policies", "tags")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One declared parameter. `value` None: it shall not be there. `more`: those of FIELDS that the files say."""

    name: str
    type: str
    value: str | Secret | None
    more: Mapping[str, Any]
    association: str
    file: str
    line: int
    audited: bool = False


@dataclass(slots=True)
class Standing:
    """How one parameter stands that is not simply as wanted; the words are those of a plan's verdict."""

    name: str
    association: str
    verdict: Literal["change", "orphan", "refused"]
    action: Literal["add", "change", "remove", "none"]
    kind: Literal["", "intended", "corrective"] = ""
    changes: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    file: str = ""
    line: int = 0
    audited: bool = False
    version: int = 0  # found; 0: not there

    @property
    def address(self) -> str:
        return address_of(self.name)

    @property
    def observed(self) -> str:
        return hashlib.sha256(f"{self.name}:{self.version}".encode()).hexdigest()


@dataclass(slots=True)
class Compared:
    standings: list[Standing]
    right: list[tuple[str, str]]  # (association, address) of what is as wanted


def address_of(name: str) -> str:
    return f"parameter:{name}"


def in_scope(name: str, association: str, selected: Sequence[str] | None, only: Sequence[str] | None) -> bool:
    """selected: associations; None: all. Those of no association are always in scope. only: addresses; None: all."""
    return (selected is None or not association or association in selected) and (
        only is None or address_of(name) in only
    )


class DeclaredParameters:
    """Those of one project, in one run.

    selected   associations in scope; None: all. Those of no association are always in scope
    only       addresses in scope; None: all
    """

    def __init__(
        self,
        store: ParameterStore,
        ledger: Ledger,
        wanted: Iterable[Wanted],
        *,
        selected: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        prune: bool = False,
        release: bool = False,
        max_removals: int | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._selected, self._only = selected, only
        self._declared = {one.name: one for one in wanted}
        self.wanted = {name: one for name, one in self._declared.items() if self._in_scope(name, one.association)}
        self.others = {name: one for name, one in self._declared.items() if name not in self.wanted}
        self._prune, self._release, self._max_removals = prune, release, max_removals
        self._key = secrets.token_bytes(32)

    def _in_scope(self, name: str, association: str) -> bool:
        return in_scope(name, association, self._selected, self._only)

    # --- looking

    def compared(self) -> Compared:
        """Wanted against found, and orphans."""
        placed = self._ledger.all()
        found = Compared([], [])
        for one in self.wanted.values():
            standing = self._standing(one, placed.get(one.name))
            if standing is None:
                found.right.append((one.association, address_of(one.name)))
            else:
                found.standings.append(standing)
        found.standings += self._orphans(placed)
        removed = [one for one in found.standings if one.verdict == "orphan" and one.action != "none"]
        if self._max_removals is not None and len(removed) > self._max_removals:
            for orphan in removed:
                orphan.verdict, orphan.action = "refused", "none"
                orphan.reason = (
                    f"{len(removed)} parameters would be removed, and limits.max_removals is {self._max_removals}"
                )
        return found

    def drifted(self) -> Compared:
        """What was put against found: what somebody changed since."""
        found = Compared([], [])
        for one in self._ledger.all().values():
            if not self._in_scope(one.name, one.association):
                continue
            now = self._found(one.name)
            version = now.version if now is not None else 0
            changes = [] if _untouched(one, now) else self._moved(one, now)
            if not changes:
                found.right.append((one.association, address_of(one.name)))
                continue
            action: Literal["add", "change", "remove"] = "change"
            if now is None:
                action = "add"
            elif not one.version:
                action = "remove"
            by = f"written {now.modified} by {now.who}" if now is not None else "it was deleted"
            found.standings.append(
                Standing(
                    one.name,
                    one.association,
                    "change",
                    action,
                    "corrective",
                    changes,
                    by,
                    one.file,
                    one.line,
                    version=version,
                )
            )
        return found

    def _standing(self, one: Wanted, placed: Placed | None) -> Standing | None:
        """None: as wanted."""
        try:
            now = self._found(one.name, decrypt=isinstance(one.value, Secret))
        except StatectlError as error:
            now = None
            refused: StatectlError | None = error
        else:
            refused = None
        version = now.version if now is not None else 0
        standing = Standing(
            one.name,
            one.association,
            "change",
            "change",
            "intended",
            file=one.file,
            line=one.line,
            audited=one.audited,
            version=version,
        )
        if refused is not None:
            return replace(standing, verdict="refused", action="none", kind="", reason=refused.message)
        if placed is not None and not _untouched(placed, now):
            standing.kind = "corrective"
        if one.value is None:
            if now is None:
                return None
            return replace(standing, action="remove", reason="declared absent")
        if now is None:
            standing.action = "add"
            standing.changes = _changes({}, _said(one), self._key)
            return standing
        standing.changes = _changes(self._fields(now, tags="tags" in one.more), _said(one), self._key)
        return standing if standing.changes else None

    def _orphans(self, placed: Mapping[str, Placed]) -> list[Standing]:
        found = []
        for name, one in placed.items():
            if name in self._declared or not self._in_scope(name, one.association):
                continue
            now = self._found(name)
            if now is None or not one.version:
                continue  # gone already, or nothing of ours to begin with
            standing = Standing(
                name, one.association, "orphan", "none", file="", version=now.version, reason="no longer declared; kept"
            )
            if self._release:
                standing.reason = "released: it stays as it is"
            elif self._prune and one.made:
                standing.action, standing.reason = "remove", "no longer declared"
            elif self._prune:
                standing.action = "change"
                standing.reason = f"no longer declared; as it was before, version {one.before}"
            found.append(standing)
        return found

    def _found(self, selector: str, *, decrypt: bool = False) -> Parameter | None:
        try:
            found = self._store.get(selector, decrypt=False)
            if decrypt and found.type == SECURE:
                return self._store.get(selector, decrypt=True)
            return found
        except Refused as error:
            if error.code in GONE:
                return None
            raise

    def _moved(self, one: Placed, now: Parameter | None) -> list[dict[str, Any]]:
        """What differs from the version that was put; [] when it is the same after all."""
        if now is None:
            return [_change("state", "absent", "present")] if one.version else []
        if not one.version:
            return [_change("state", "present", "absent")]
        try:
            then = self._store.get(f"{one.name}:{one.version}", decrypt=False)
        except Refused:
            return [_change("version", now.version, one.version)]  # it is no longer kept
        if not one.is_of(then):  # it was deleted and made anew, and nobody has what was put
            return [_change("written", now.modified, one.modified)]
        if SECURE in (then.type, now.type):
            return [{"field": "value", "secret": True}]
        return _changes(self._fields(now), self._fields(then), self._key)

    def _fields(self, one: Parameter, *, tags: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": one.type,
            "value": one.value,
            "description": one.description,
            "data_type": one.data_type,
            "allowed_pattern": one.allowed_pattern,
            "policies": one.policies,
        }
        if tags:
            described = self._store.describe("/", filters=[Filter("Name", (one.name,))]).parameters
            found["tags"] = dict(described[0].tags) if described else {}
        return found

    def versions(self) -> dict[str, int]:
        """Of what was put, by name."""
        return {name: one.version for name, one in self._ledger.all().items()}

    # --- making it so

    def put(self, standing: Standing, *, run_id: str, why: str) -> dict[str, Any]:
        """Do what a standing says, and look again -> an entry of a run's results."""
        started = time.monotonic()
        entry: dict[str, Any] = {
            "type": "result",
            "address": standing.address,
            "action": standing.action,
            "kind": standing.kind,
            "changes": standing.changes,
            "outcome": "changed",
        }
        try:
            self._do(standing, run_id, why)
            left = self._left(standing)
            if left:
                entry |= {"outcome": "failed", "error": {"message": left, "cause": "it is not as it was written"}}
        except StatectlError as error:
            entry |= {
                "outcome": "failed",
                "error": {"message": error.message, "cause": error.message, "hint": error.hint},
            }
        entry["duration_ms"] = int((time.monotonic() - started) * 1000)
        return entry

    def adopt(self, run_id: str) -> None:
        """Remember what is as wanted and was not known as ours, or stands elsewhere in the files by now."""
        placed = self._ledger.all()
        for one in self.wanted.values():
            before = placed.get(one.name)
            here = (one.association, one.file, one.line)
            if one.audited or (before is not None and (before.association, before.file, before.line) == here):
                continue
            if self._standing(one, before) is not None:
                continue
            now = self._found(one.name)
            version = now.version if now is not None else 0
            self._ledger.remember(
                replace(before, association=one.association, file=one.file, line=one.line, run_id=run_id)
                if before is not None
                else Placed(
                    one.name,
                    one.association,
                    version,
                    now.modified if now is not None else "",
                    False,
                    version or None,
                    one.file,
                    one.line,
                    run_id,
                )
            )

    def _do(self, standing: Standing, run_id: str, why: str) -> None:
        placed = self._ledger.all().get(standing.name)
        if standing.verdict == "orphan":
            assert placed is not None
            self._drop(standing, placed, why)
            return
        one = self.wanted[standing.name]
        if placed is not None and not placed.made and placed.before is None:
            placed = None  # it was declared absent before
        made = placed.made if placed is not None else standing.version == 0
        before = placed.before if placed is not None else standing.version or None
        mark = Placed(one.name, one.association, 0, "", made, before, one.file, one.line, run_id)
        if one.value is None:
            self._ledger.remember(mark)
            self._store.delete(one.name)
            return
        mark = replace(mark, version=standing.version + 1)
        self._ledger.remember(mark)
        new = NewVersion(
            one.name,
            one.value,
            type=one.type,
            description=one.more.get("description"),
            data_type=one.more.get("data_type"),
            allowed_pattern=one.more.get("allowed_pattern"),
            policies=one.more.get("policies"),
            tags=one.more.get("tags") if not standing.version else None,
            expected_version=standing.version,
            why=f"{why} {mark.mark}",
        )
        try:
            self._store.put_many([new])
        except StatectlError:
            if placed is None:
                self._ledger.forget(one.name)
            else:
                self._ledger.remember(placed)
            raise
        if standing.version and "tags" in one.more:
            there = self._fields(self._store.get(one.name), tags=True)["tags"]
            self._store.tag(one.name, one.more["tags"], [tag for tag in there if tag not in one.more["tags"]])
        now = self._store.get(one.name)
        self._ledger.remember(replace(mark, version=now.version, modified=now.modified))

    def release(self, standing: Standing) -> None:
        """Nothing happens to it, and it is not ours any more."""
        self._ledger.forget(standing.name)

    def _drop(self, standing: Standing, placed: Placed, why: str) -> None:
        if standing.action == "remove":
            self._store.delete(placed.name)
        elif placed.before and placed.before != standing.version:
            then = self._store.get(f"{placed.name}:{placed.before}", decrypt=True)
            assert then.value is not None
            self._store.put(
                then.name, then.value, type=then.type, expected_version=standing.version, why=f"{why}, as it was before"
            )
        self._ledger.forget(placed.name)

    def _left(self, standing: Standing) -> str:
        """'' when a second look finds it as wanted, else what is wrong."""
        if standing.verdict == "orphan":
            gone = self._found(standing.name) is None
            return "" if gone or standing.action != "remove" else "it is still there"
        again = self._standing(self.wanted[standing.name], None)
        if again is None:
            return ""
        return again.reason or f"it differs again: {', '.join(change['field'] for change in again.changes)}"


def _said(one: Wanted) -> dict[str, Any]:
    return {"type": one.type, "value": one.value, **one.more}


def _untouched(placed: Placed, now: Parameter | None) -> bool:
    """Is it still what was put?"""
    if now is None:
        return not placed.version or placed.begun
    return placed.is_of(now) or (placed.begun and now.version < placed.version)


def _change(name: str, found: Any, wanted: Any) -> dict[str, Any]:
    return {"field": name, "found": found, "wanted": wanted}


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any], key: bytes) -> list[dict[str, Any]]:
    """Field by field, for the fields that are wanted. Of secrets only that they differ."""
    told = []
    for name, value in wanted.items():
        there = found.get(name)
        if isinstance(value, Secret) or isinstance(there, Secret):
            if not (isinstance(value, Secret) and isinstance(there, Secret)) or value.fingerprint(
                key
            ) != there.fingerprint(key):
                told.append({"field": name, "secret": True})
        elif name == "policies":
            if json.dumps(value, sort_keys=True) != json.dumps(there or [], sort_keys=True):
                told.append(_change(name, there, list(value)))
        elif value != there and not (not value and not there):
            told.append(_text(name, there, value))
    return told


def _text(name: str, found: Any, wanted: Any) -> dict[str, Any]:
    before, after = (text.splitlines() if isinstance(text, str) else [] for text in (found, wanted))
    if max(len(before), len(after)) < 2 or found is None:
        return _change(name, found, wanted)
    shown = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return {"field": name, "diff": shown}
