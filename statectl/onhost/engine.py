"""Read, compare, and say what would change: the plan of one host. What is then done about it is in walk.py.

The engine alone decides whether anything is written; a type only reads and makes things so. `Engine.plan` writes nothing.
"""

import time
from typing import TYPE_CHECKING

from statectl.onhost import compare, diff, removal
from statectl.onhost.content import Content
from statectl.onhost.failure import Failed, Unknown, system_says
from statectl.onhost.foresight import Foresight
from statectl.onhost.prerequisites import Prerequisites
from statectl.onhost.wanted import contents

if TYPE_CHECKING:
    from typing import Collection, Dict, List, Optional, Union

    from statectl.onhost.host import Host
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON, Address, Error, Fetch, Limits, Message, Read, Reading, Record, ResourceType
    from statectl.onhost.wanted import Item, Reader

PACKAGES = ("package", "package_repository")
PATHS = ("file", "directory", "link", "tree")


class Engine(object):
    """All items of one host and what is known about them.

    host        host.Host
    memory      memory.Memory, loaded
    catalogue   the message, checked
    reader      wanted.Reader
    fetch       fetch(list of Content): asks the controller for those that are not delivered; raises Failed when it cannot

    items       every resource that this run is about, in order of execution
    removals    items that remove orphans, in order of execution (only with `prune`)
    """

    def __init__(
        self, host: "Host", memory: "Memory", catalogue: "Message", reader: "Reader", fetch: "Fetch", limits: "Limits"
    ) -> None:
        self.host = host
        self.memory = memory
        self.catalogue = catalogue
        self.reader = reader
        self.fetch = fetch
        self.limits = limits
        self.generation = 0  # counts writes: a reading of an older generation may be out of date
        self.associations = {entry["name"]: entry for entry in catalogue["associations"]}
        self.selected = {name for name, entry in self.associations.items() if entry.get("selected", True)}
        only = catalogue.get("only")
        self.only = None if only is None else frozenset(only)
        self.declared = {resource["address"] for resource in catalogue["resources"]}
        self.items = [
            reader.item(resource, position)
            for position, resource in enumerate(catalogue["resources"])
            if self._in_scope(resource)
        ]
        self.by_address = {item.address: item for item in self.items}
        self.orphans = removal.Orphans(self)
        self.removals: "List[Item]" = []
        self.prerequisites = Prerequisites(self, written_path)

    def _in_scope(self, resource: "Dict[str, JSON]") -> bool:
        """A resource that two associations declare is acted on when either is selected."""
        if self.only is not None and resource["address"] not in self.only:
            return False
        return any(owner in self.selected for owner in resource.get("owners") or [resource["association"]])

    def enforced(self, item: "Item") -> bool:
        """May this item be written? Not in an association that only audits."""
        return bool(self.associations.get(item.association, {}).get("mode", "enforce") == "enforce")

    # -- reading

    def read(self, items: "List[Item]") -> None:
        """Read these items, one call per type, and compare. A type that cannot read one thing costs the others nothing."""
        by_module: "Dict[ResourceType, List[Item]]" = {}
        for item in items:
            by_module.setdefault(item.module, []).append(item)
        for module, group in by_module.items():
            found = self.read_type(module, [item.want for item in group], module.read)
            now = time.monotonic()
            for item in group:
                self.take(item, found.get(item.want.name), now)

    def read_type(self, module: "ResourceType", wanted: "List[Record]", read: "Read") -> "Dict[str, Reading]":
        """-> {name: found record, None, Unknown or Failed}"""
        try:
            return read(self.host, wanted)
        except Unknown as unknown:
            told: "Union[Unknown, Failed]" = unknown
        except Failed as error:
            told = error
        except Exception as error:  # noqa: BLE001  one bad thing must not cost the others their reading
            told = as_failed(error, "reading")
        if len(wanted) == 1:
            return {wanted[0].name: told}
        found: "Dict[str, Reading]" = {}
        for want in wanted:
            found.update(self.read_type(module, [want], read))
        return found

    def take(self, item: "Item", found: "Reading", now: float) -> None:
        item.read_at, item.generation = now, self.generation
        item.unknown = item.error = None
        item.foreseen = ()
        item.found, item.fields, item.found_hash = None, (), ""
        if isinstance(found, Failed):
            item.unknown, item.error = Unknown(found.message), found.record()
        elif isinstance(found, Unknown):
            item.unknown, item.error = found, trouble(found.reason, "cannot be read")
        else:
            try:
                item.fields = compare.differing(item.module, item.want, found)
            except Exception as error:  # noqa: BLE001  as for reading
                told = as_failed(error, "comparing")
                item.unknown, item.error = Unknown(told.message), told.record()
                return
            item.found = found
            item.hasher = lambda: compare.found_hash(
                item.module, item.want, found, self.memory.keyed, self.hidden(item)
            )
            item.found_hash = None

    def hidden(self, item: "Item") -> bool:
        """Must no value of this item be shown? Also when what was applied last held a secret: that is what is found now."""
        if item.sensitive or any(diff.holds_secret(value) for value in item.want):
            return True
        return bool(self.secret_fields(item))

    def secret_fields(self, item: "Item") -> "Collection[str]":
        """Names of the fields that must not be shown, whatever they hold.

        Of a sensitive resource all; else those in which a secret was applied last, unless its place in them is known.
        """
        entry = self.memory.ledger.get(item.address) or {}
        if item.sensitive or entry.get("sensitive"):
            return tuple(item.want._fields)
        were = (field for field, value in (entry.get("want") or {}).items() if compare.holds_keyed(value))
        return tuple(field for field in were if not getattr(getattr(item.want, field, None), "pieces", ()))

    # -- the plan

    def plan(self) -> "List[str]":
        """Read everything and judge it. -> list of removal refusals (texts); [] when the plan may be applied."""
        self.read(self.items)
        self.orphans.read()
        self._fetch_for_diffs(self.items + self.orphans.removals)
        foresight = Foresight(self)
        self.prerequisites = Prerequisites(self, written_path)
        for position, item in enumerate(self.items):
            foresight.look(item, position)
            self.judge(item)
            foresight.judged(item)
            self.prerequisites.judged(item)
        refusals = self.orphans.judge()
        self.removals = self.orphans.removals
        return refusals

    def fetch_first(self) -> None:
        """Contents without which a type cannot even look: those of its FETCHED_FIRST fields."""
        wanted = [
            content
            for item in self.items
            for field in getattr(item.module, "FETCHED_FIRST", ())
            for content in contents(getattr(item.want, field))
            if not content.delivered
        ]
        if wanted:
            self.fetch(wanted)

    def _fetch_for_diffs(self, items: "List[Item]") -> None:
        wanted = []
        for item in items:
            for field in item.fields:
                content = getattr(item.want, field)
                there = getattr(item.found, field, None)
                if not isinstance(content, Content) or content.delivered or self.hidden(item):
                    continue
                if diff.wants_bytes(content, there if isinstance(there, Content) else None):
                    wanted.append(content)
        if wanted:
            self.fetch(wanted)

    def judge(self, item: "Item") -> None:
        """The verdict on one item; those before it in the order are judged already.

        reading                          others                           verdict
        cannot be told                   something it waits for changes   unknown, until that
        read as changes will make it     those changes                    count no more: as if nothing changed
        cannot be told                   nothing                          refused: an error
        as wanted, and its type doubts   packages before it change         unknown, until those
        that it stays so
        as wanted                        any                              ok
        command by when_changed          a trigger changes, or it is owed change, predicted after it
        command by when_changed          a trigger is unknown             unknown, until that
        command by when_changed          nothing                          ok
        a command's guard                what it names changes            unknown, until that
        differs, its type objects        something before it changes      unknown, until that
        differs, its type objects        nothing                          refused
        differs, what it needs is not    see prerequisites.py             refused, unknown, or predicted
        differs                          see _predicted                   change, predicted after those
        """
        changing = [address for address in item.after if self._may_change(address) and address not in item.foreseen]
        item.kind, item.reason, item.changes = "", "", []
        item.predicted_after, item.unknown_until = [], []
        if item.unknown is not None:
            until = [address for address in item.unknown.until or changing if self._may_change(address)]
            if until:
                item.verdict, item.action, item.reason = "unknown", "none", item.unknown.reason
                item.unknown_until, item.error = until, None
            else:
                self.refuse(item, item.unknown.reason)
            return
        if item.triggers:
            self._judge_triggered(item)
            return
        doubt = self.prerequisites.guard(item)
        if doubt:
            item.verdict, item.action, item.unknown_until = "unknown", "none", doubt
            item.reason = "its guard looks at what this plan changes"
            return
        if not item.fields:
            item.verdict, item.action = "ok", "none"
            remark = getattr(item.module, "remark", None)
            item.reason = remark(item.want, item.found) if remark is not None else ""
            self._doubt(item, changing)
            loss = self.prerequisites.loses(item)
            if loss:
                self.refuse(item, loss)
            return
        refusal, until, bringing = self.prerequisites.look(item)
        if not refusal and not self.prerequisites.moot(item, bringing):
            refusal = self.refusal(item)
            until = self.prerequisites.may_clear(item, changing) + bringing
        if refusal and until:
            item.verdict, item.action, item.reason, item.unknown_until = "unknown", "none", refusal, until
            return
        item.verdict = "change"
        self.describe(item)
        item.predicted_after = sorted({*self._predicted(item, changing), *bringing})
        if refusal:
            self.refuse(item, refusal)
        elif not self.enforced(item):
            item.reason = "association %s only audits" % item.association

    def _doubt(self, item: "Item", changing: "List[Address]") -> None:
        """It is as wanted now. May packages that change before it make it otherwise?"""
        until = [address for address in changing if address.partition(":")[0] in PACKAGES]
        reason = item.module.doubt(item.want, item.found) if until and hasattr(item.module, "doubt") else ""
        if reason:
            item.verdict, item.reason, item.unknown_until = "unknown", reason, until

    def _judge_triggered(self, item: "Item") -> None:
        fired = [address for address in item.triggers if self._verdict(address) == "change"]
        waiting = [address for address in item.triggers if self._verdict(address) == "unknown"]
        fired, waiting = ([one for one in some if self.enforced(self.by_address[one])] for some in (fired, waiting))
        owed = self.memory.debts.get(item.address)
        if compare.compared(item.module, item.want) and not item.fields:
            fired, waiting, owed = [], [], None  # a guard as well, and it holds
        item.verdict, item.action = "ok", "none"
        if fired or owed:
            item.verdict = "change"
            self.describe(item)
            item.predicted_after = fired
            if owed:
                item.reason = "owed since run %s, which changed %s" % (owed["run"], ", ".join(owed["because"]))
            refusal = self.refusal(item)
            if refusal:
                self.refuse(item, refusal)
        elif waiting:
            item.verdict, item.unknown_until = "unknown", waiting

    def refuse(self, item: "Item", reason: str) -> None:
        """It cannot be applied as declared, and no other change of this plan will mend that."""
        item.verdict, item.action, item.reason, item.kind = "refused", "none", reason, ""
        item.predicted_after, item.unknown_until = [], []
        item.error = item.error or trouble(reason, "refused")

    def _verdict(self, address: "Address") -> str:
        item = self.by_address.get(address)
        return "ok" if item is None else item.verdict

    def _may_change(self, address: "Address") -> bool:
        """Is this address going to change, or can nobody tell yet?"""
        item = self.by_address.get(address)
        return item is not None and self.enforced(item) and (item.verdict == "change" or bool(item.unknown_until))

    def _predicted(self, item: "Item", changing: "List[Address]") -> "List[Address]":
        """Which of the changing prerequisites could alter what was read.

        Nothing there yet, or a command's guard: any of them. Something there: only what installs packages may replace it.
        """
        if item.runs or compare.is_absent(item.found):
            return changing
        return [address for address in changing if address.partition(":")[0] in PACKAGES]

    def describe(self, item: "Item") -> None:
        """Action, changes and kind of an item that differs."""
        item.action = compare.action(item.module, item.want, item.found)
        item.changes = diff.changes(item.module, item.want, item.found, item.fields, self.secret_fields(item))
        entry = self.memory.ledger.get(item.address)
        reached = entry is not None and entry["want_hash"] == item.want_hash
        item.kind = "corrective" if reached and item.removes is None and not item.runs else "intended"

    def refusal(self, item: "Item") -> str:
        """Why this change must not be made, '' when it may: the limits of the run, then the type's own objections."""
        if self.limits.get("become") is False and getattr(item.want, "user", None) and item.runs:
            try:
                if self.host.identity(item.want.user) is not None:
                    return "limits.become is false, and %s would run as %s" % (item.address, item.want.user)
            except Failed as error:
                return error.message
        allowed = self.limits.get("paths")
        path = written_path(item)
        if allowed and not path:
            return "limits.paths is set, and %s is not a path below it" % item.address
        if path:
            try:
                self.host.check_path(path)
            except Failed as error:
                return error.message
        check = getattr(item.module, "validate", None)
        if check is None or item.found is None:
            return ""
        try:
            return check(self.host, item.want, item.found) or ""
        except Failed as error:
            return error.message
        except Exception as error:  # noqa: BLE001  as for reading
            return as_failed(error, "checking").message

    def is_command(self, address: "Address") -> bool:
        return address.partition(":")[0] == "command"

    def verb(self, target: "Address") -> str:
        """What a notification does to its target: the service's on_notify, as declared or as it was owed."""
        item = self.by_address.get(target)
        verb = getattr(item.want, "on_notify", None) if item is not None else None
        if verb is None and target in self.memory.debts:
            verb = self.memory.debts[target]["verb"]
        return verb or "restart"

    def undelivered(self, items: "List[Item]") -> "List[Content]":
        """Contents that an apply of these items needs and that have not come yet.

        A type that needs only some of a field's contents says which: blobs(want, found) -> [(sha256, size)].
        """
        needed = []
        for item in items:
            choose = getattr(item.module, "blobs", None)
            if choose is None or item.found is None:
                for field in item.fields:
                    needed.extend(contents(getattr(item.want, field)))
            else:
                for sha256, _ in choose(item.want, item.found):
                    needed.extend(self.reader.blobs.get(sha256, ())[:1])
        return [content for content in needed if not content.delivered]

    def notices(self, item: "Item") -> "List[str]":
        """What a change of this item brings about afterwards -> ['reload service:nginx']."""
        return ["%s %s" % (self.verb(target), target) for target in item.notify]


def written_path(item: "Item") -> "Optional[str]":
    """The path that an item writes to, None for what is no path."""
    if item.type in PATHS:
        return str(item.want.name)
    path_of = getattr(item.module, "path_of", None)
    path: "Optional[str]" = path_of(item.want) if path_of is not None else getattr(item.want, "path", None)
    return path


def trouble(message: str, cause: str) -> "Error":
    """The `error` of a message, where no command failed."""
    return {"cause": cause, "message": message, "argv": [], "code": None, "output": ""}


def as_failed(error: "Exception", doing: str) -> "Failed":
    """A bug in a type, or an error of the system nobody mapped -> Failed with what helps to find it."""
    if isinstance(error, OSError):
        where = " %s" % error.filename if isinstance(error.filename, str) else ""
        return Failed("%s%s: %s" % (doing, where, system_says(error)), system_says(error))
    import traceback

    # no text of the exception: it may hold a value
    text = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    return Failed("internal error while %s: %s" % (doing, kind), "internal error: %s" % kind, output=text[-4096:])
