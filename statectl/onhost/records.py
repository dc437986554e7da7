"""Ledger entries: what is remembered about one managed resource, and what was on the machine before it was managed."""

import os
import time

from statectl.onhost import compare, diff
from statectl.onhost.content import Content, SecretText
from statectl.onhost.protected import resolved
from statectl.onhost.wanted import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Tuple

    from statectl.onhost.engine import Engine
    from statectl.onhost.host import Host
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON, Found, LedgerEntry, Record
    from statectl.onhost.wanted import Item


PATHS = ("file", "directory", "link", "tree")


def leads_to(host: "Host", address: str) -> str:
    """The directory in which a path of this address really is, '' for what is no path."""
    kind, _, name = address.partition(":")
    return resolved(os.path.dirname(name) or "/", host.root) if kind in PATHS else ""


def leads_elsewhere(entry: "LedgerEntry", where: str) -> bool:
    """Did somebody put a link in the way since, so that the same path is another thing?"""
    return bool(entry.get("where")) and entry["where"] != where


def of_projects(entry: "LedgerEntry") -> "List[str]":
    """The projects that declare it, each until it lets go of it."""
    return list(entry.get("projects") or filter(None, [entry.get("project")]))


class Records(object):
    """Makes ledger entries. Contents go to memory.preimages; secrets are kept as keyed hashes only."""

    def __init__(self, engine: "Engine", memory: "Memory", run: str) -> None:
        self._engine = engine
        self._memory = memory
        self._run = run
        self._led: "Dict[Tuple[int, str], str]" = {}

    def entry(self, item: "Item", found: "Found") -> "LedgerEntry":
        """The entry of an item that is about to be changed, or was found as wanted. `found`: before the change.

        in the ledger                    created                before
        no, or as something absent       nothing is there       what is there, None when nothing is
        yes                              as remembered          as remembered, plus fields that are managed only now
        yes, and the way to it leads     as if it were not      as if it were not in the ledger: what is there now is
        elsewhere now: a link            in the ledger          not what we made

        projects   all that declare it and have not let go of it
        """
        old = self._memory.ledger.get(item.address)
        project = self._engine.catalogue.get("project", "")
        projects = sorted({project, *of_projects(old)} - {""}) if old is not None else [project] if project else []
        where = self._where(item.address)
        if old is not None and leads_elsewhere(old, where):
            old = None
        if old is not None and old["want"].get("state") in compare.GONE and not compare.want_gone(item.want):
            old = None
        if item.runs:
            created, before = False, None
        elif old is None:
            created = compare.is_absent(found)
            before = None if created or found is None else self._kept(item, found, found._fields)
        else:
            created, before = old["created"], old["before"]
            if not created and found is not None and not compare.is_absent(found):
                known = before or {}
                new = [field for field in compare.compared(item.module, item.want) if known.get(field) is None]
                if new:
                    before = dict(known, **self._kept(item, found, new))
        return {
            "association": item.association,
            "project": project,
            "projects": projects,
            "where": where,
            "owners": list(item.owners),
            "run": self._run,
            "created": created,
            "before": before,
            "want": item.declared,
            "want_hash": item.want_hash,
            "on_removal": item.on_removal,
            "protect": item.protect,
            "sensitive": item.sensitive,
            "notify": list(item.notify),
            "command": item.runs,
            "since": int(time.time()),
            "position": item.position,
        }

    def _where(self, address: str) -> str:
        """`leads_to`, asked once for each directory until this run writes something."""
        kind, _, name = address.partition(":")
        key = (self._engine.generation, os.path.dirname(name)) if kind in PATHS else (0, "")
        if key not in self._led:
            self._led[key] = leads_to(self._engine.host, address)
        return self._led[key]

    def confirmed(self, item: "Item") -> "LedgerEntry":
        """The entry of an item that was found as wanted: the old one where nothing about it has moved."""
        old = self._memory.ledger.get(item.address)
        new = self.entry(item, item.found)
        if old is not None and all(old.get(key) == value for key, value in new.items() if key not in ("run", "since")):
            return old
        if old is not None and old["want_hash"] == new["want_hash"]:
            new["since"] = old["since"]
        return new

    def keep_replaced(self, item: "Item", found: "Found") -> None:
        """Keep a content that is about to be replaced, for looking back. Never a secret one."""
        if compare.is_absent(found) or self._engine.hidden(item):
            return
        for field in item.fields:
            content = getattr(found, field, None)
            if isinstance(content, Content) and not content.secret:
                self._memory.preimages.put(content, content.sha256, durable=False)

    def keep_applied(self, item: "Item") -> None:
        """Keep a copy of the small contents that are in place now: drift shows what was changed by hand from them."""
        for field in compare.compared(item.module, item.want):
            content = getattr(item.found, field, None)
            if not isinstance(content, Content) or content.secret or content.size > diff.MAX_DIFFED_BYTES:
                continue
            if content.sha256 not in self._memory.preimages and not self._engine.hidden(item):
                self._memory.preimages.put(content, content.sha256, durable=False)

    def _kept(self, item: "Item", found: "Record", fields: "Sequence[str]") -> "Dict[str, JSON]":
        kept = {}
        for field in fields:
            value = getattr(found, field)
            if field != "name" and value is not None:
                # what is found where a secret is wanted may be the secret of before
                kept[field] = self._store(item, value, diff.holds_secret(getattr(item.want, field)))
        return kept

    def _store(self, item: "Item", value: "JSON", hide: bool) -> "JSON":
        if isinstance(value, Content):
            hide = hide or value.secret or item.sensitive
            if any(wanted.secret and wanted == value for wanted in contents(list(item.want))):
                # the secret itself: there is nothing else to put back, and it is kept nowhere
                return compare.plain(Content(value.sha256, value.size, secret=True), self._memory.keyed)
            identity = self._memory.keyed(value.sha256.encode("ascii")) if hide else value.sha256
            if not self._memory.preimages.put(value, identity):
                return {"$lost": "%d bytes were too large or left too little room" % value.size}
            return {"$preimage": identity, "size": value.size, "secret": hide}
        if isinstance(value, (list, tuple)):
            return [self._store(item, one, hide) for one in value]
        if isinstance(value, dict):
            return {key: self._store(item, one, hide) for key, one in value.items()}
        return compare.plain(SecretText(value) if hide and isinstance(value, str) else value, self._memory.keyed)
