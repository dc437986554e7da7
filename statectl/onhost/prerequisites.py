"""What a change needs before it can be made: a directory, a user, a group, a unit. Known in the plan, with what the plan itself makes.

the host has it            an earlier change          the change is
yes                        leaves it                  planned
yes                        removes it                 refused
no                         makes it                   planned, predicted after that
no                         a package of that name     planned, predicted after that: its name says what it brings
no                         other packages, commands   unknown until those: nobody can tell what they bring
no                         nothing                    refused

A command's guard that names the path of an earlier change is unknown until that: nobody can tell what it will say then.
"""

import re
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from statectl.onhost import compare
from statectl.onhost.failure import Failed
from statectl.onhost.place import open_place

if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from statectl.onhost.engine import Engine
    from statectl.onhost.shapes import Address
    from statectl.onhost.wanted import Item

_PARENT = ("file", "directory", "link", "tree", "line", "text_block", "cron_job", "sysctl")
_OWNED = ("file", "directory", "tree")
_IN_PLACE = ("file", "directory", "link", "tree", "unit")
# where packages of a distribution put nothing
_OF_THE_SITE = ("/srv/", "/home/", "/usr/local/", "/root/", "/mnt/", "/media/", "/tmp/", "/var/tmp/")  # noqa: S108
_ENDING = re.compile(r"-(?:server|common|core|daemon|client|full|light|utils|tools)$|[-.]?\d[\d.]*$")
OWN_UNIT = "/etc/systemd/system/"
Thing = Tuple[str, str]  # kind (directory, user, group, unit), name


class Prerequisites(object):
    """Goes along while an engine judges its items in their order. path_of(item) -> path that it writes to, or None."""

    def __init__(self, engine: "Engine", path_of: "Callable[[Item], Optional[str]]") -> None:
        self._engine = engine
        self._path_of = path_of
        self._made: Dict[Thing, str] = {}  # by which address
        self._gone: Dict[Thing, str] = {}
        self._unsure: Dict[Thing, str] = {}  # of verdict unknown: may be made
        self._packages: List[str] = []  # addresses of packages that come
        self._commands: List[str] = []
        self._leaving: List[Item] = []  # packages that go, as items
        self._paths: Dict[str, str] = {}  # written or removed: by which address

    # -- what earlier items do

    def judged(self, item: "Item") -> None:
        if item.verdict not in ("change", "unknown") or not self._engine.enforced(item):
            return
        path = self._path_of(item)
        if path:
            self._paths.setdefault(path, item.address)
        if item.runs:
            self._commands.append(item.address)
        if item.type == "package" and not compare.want_gone(item.want):
            self._packages.append(item.address)
        if compare.want_gone(item.want):
            self._goes(item, path)
            return
        for thing in _brings(item, path):
            if item.verdict == "change":
                self._made[thing] = item.address
            else:
                self._unsure[thing] = item.address

    def _goes(self, item: "Item", path: "Optional[str]") -> None:
        if item.type == "package":
            self._leaving.append(item)
        things = {"user": ["user", "group"], "unix_group": ["group"]}.get(item.type, [])
        gone = [(kind, item.want.name) for kind in things]
        if item.type in ("directory", "link"):
            gone.append(("directory", path or item.want.name))
        if item.type == "file":
            gone.append(("file", path or item.want.name))
        if item.type == "unit" and not item.want.drop_in:
            gone += _units(item.want.name)
        for thing in gone:
            self._gone[thing] = item.address
            self._made.pop(thing, None)

    # -- what this one needs

    def look(self, item: "Item") -> "Tuple[str, List[Address], List[Address]]":
        """-> (reason, until, after). reason '': nothing is missing; until []: it will be missing; after: changes that bring it."""
        after: List[str] = []
        if compare.want_gone(item.want) or not self._engine.enforced(item):
            return "", [], after
        if item.type == "service" and item.want.masked and "masked" in item.fields:
            by = [self._paths[OWN_UNIT + name] for _, name in _units(item.want.name) if OWN_UNIT + name in self._paths]
            if by:
                return "%s cannot be masked: %s puts a file in the place of the mask" % (item.want.name, by[0]), [], []
        for thing in self._needs(item):
            reason = self._missing(item, thing)
            if not reason:
                continue
            if thing in self._made:
                after.append(self._made[thing])
                continue
            bringing = [address for address in self._packages if _related(address.partition(":")[2], thing[1])]
            if bringing:
                after += bringing
                continue
            if self._declared_gone(thing):
                return reason, [], []
            packages = [] if (thing[1] + "/").startswith(_OF_THE_SITE) else self._packages
            until = [self._unsure[thing]] if thing in self._unsure else packages + self._commands
            return reason, sorted(set(until)), []
        return "", [], sorted(set(after))

    def _declared_gone(self, thing: "Thing") -> bool:
        """Is it declared absent? Then nothing is going to bring it."""
        kinds = {"group": ("unix_group",), "unit": ("unit",), "directory": ("directory", "link", "tree")}.get(
            thing[0], thing[:1]
        )
        items = [self._engine.by_address.get("%s:%s" % (kind, thing[1])) for kind in kinds]
        return any(item is not None and compare.want_gone(item.want) for item in items)

    def loses(self, item: "Item") -> str:
        """Why what is as wanted now will not be, '' when it will: an earlier change takes away its user, directory or unit."""
        if compare.want_gone(item.want) or item.runs:
            return ""
        for thing in self._needs(item, whole=True):
            goes = self._going(thing)
            if goes:
                return "%s %s goes with %s" % (thing[0], thing[1], goes)
        return ""

    def moot(self, item: "Item", bringing: "Sequence[Address]") -> bool:
        """Is what a mount objects to that nothing stands at its place yet, which this plan makes?"""
        return item.type == "mount" and bool(bringing) and self._engine.host.lstat(item.want.name) is None

    def needed(self, removal: "Item") -> "Address":
        """Which declared resource needs what an orphan's removal takes away, '' : none."""
        name = removal.want.name
        for item in self._engine.items:
            want = item.want
            if compare.want_gone(want) or not self._engine.enforced(item):
                continue
            lost = False
            if item.type == "service" and (want.state == "running" or want.enabled):
                lost = removal.type == "unit" and not removal.want.drop_in and ("unit", want.name) in _units(name)
                lost = lost or (removal.type == "package" and _related(name, want.name))
            if removal.type == "user":
                people = [getattr(want, "owner", None), getattr(want, "user", None)]
                lost = name in people or (item.type == "authorized_key" and want.name == name)
            if removal.type == "unix_group":
                groups = [getattr(want, "group", None), *(getattr(want, "groups", None) or ())]
                lost = name in groups
            if removal.type == "file" and item.type in ("line", "text_block"):
                lost = (self._path_of(item) or want.name) == name
            if lost:
                return str(item.address)
        return ""

    def may_clear(self, item: "Item", changing: "List[Address]") -> "List[Address]":
        """Those of the changing prerequisites that may do away with what its type objects to, as with a file in the way."""
        path = self._path_of(item)
        if item.type not in _IN_PLACE or not path:
            return changing
        near = [address for written, address in self._paths.items() if _nests(written, path)]
        return [address for address in changing if address in near or address in self._packages + self._commands]

    def guard(self, item: "Item") -> "List[Address]":
        """Addresses of earlier changes to what a command's guard names."""
        if not item.runs:
            return []
        guard = [getattr(item.want, "creates", None)]
        unless = getattr(item.want, "unless", None)
        guard += [unless] if isinstance(unless, str) else list(unless or ())
        text = "\n".join("".join(word) for word in guard if word)
        found = [address for path, address in self._paths.items() if _names(text, path)]
        if getattr(item.want, "creates", None):
            found = [address for address in found if self._paths.get(item.want.creates) == address or unless]
        programs = {word.rpartition("/")[2] for word in re.split(r"[\s'\";|&]+", text) if word}
        found += [address for address in self._packages_moving() if address.partition(":")[2] in programs]
        return sorted(set(found))

    def _packages_moving(self) -> "List[Address]":
        return [item.address for item in self._engine.items if item.type == "package" and item.verdict == "change"]

    def _needs(self, item: "Item", whole: bool = False) -> "List[Thing]":
        """`whole`: all that it needs to be there, not only what this change needs."""
        want, found = item.want, item.found
        whole = whole or compare.is_absent(found)
        needs: List[Thing] = []
        path = self._path_of(item)
        if item.type in _PARENT and path:
            needs.append(("directory", path.rpartition("/")[0] or "/"))
        if item.type in ("line", "text_block") and not want.create:
            needs.append(("file", path or want.name))
        if item.type in _OWNED:
            for kind, field in (("user", "owner"), ("group", "group")):
                name = getattr(want, field)
                if name is not None and (whole or field in item.fields or item.type == "tree"):
                    needs.append((kind, str(name)))
        if item.type == "user":
            names = [want.group] if want.group is not None and (whole or "group" in item.fields) else []
            names += list(want.groups or ()) if whole or "groups" in item.fields else []
            needs += [("group", str(name)) for name in names]
        if item.type == "authorized_key":
            needs.append(("user", want.name))
        if item.type == "mount" and want.state == "mounted":
            needs.append(("directory", want.name))
        if item.type == "command":
            needs += [("user", str(want.user))] if want.user is not None else []
            needs += [("directory", want.cwd)] if want.cwd is not None else []
        if item.type == "service" and (want.state == "running" or want.enabled):
            needs.append(("unit", want.name))
        return needs

    def _missing(self, item: "Item", thing: "Thing") -> str:
        """Why it will not be there as far as the host goes, '' when it is there."""
        kind, name = thing
        goes = self._going(thing)
        if kind == "directory":
            if goes:
                return "%s: directory missing: %s, which %s removes" % (item.want.name, name, goes)
            try:
                with open_place(name.rstrip("/") + "/.statectl", self._engine.host.root):
                    return ""
            except Failed as error:
                return error.message.replace(name.rstrip("/") + "/.statectl", item.want.name)
        if goes:
            return "%s: %s %s goes with %s" % (item.want.name, kind, name, goes)
        if kind == "file":
            status = self._engine.host.lstat(name)
            return "%s does not exist; `create: true` makes it" % name if status is None else ""
        if kind == "unit":
            if not compare.is_absent(item.found):
                return ""
            return "no unit %s on this host, and nothing in this plan brings it" % name
        there = self._engine.host.user_id(name) if kind == "user" else self._engine.host.group_id(name)
        return "no such %s: %s" % (kind, name) if there is None else ""

    def _going(self, thing: "Thing") -> "Address":
        """Address of the earlier change that removes it, or a directory above it; '' : none."""
        kind, name = thing
        for item in self._leaving:
            if _related(item.want.name, name) and (kind == "unit" or (kind == "file" and item.want.state == "purged")):
                return str(item.address)
        names = [name]
        while kind == "directory" and name.rstrip("/"):
            name = name.rpartition("/")[0]
            names.append(name)
        return next((self._gone[kind, one] for one in names if (kind, one) in self._gone), "")


def _brings(item: "Item", path: "Optional[str]") -> "List[Thing]":
    """What a resource makes that others may need -> list of Thing."""
    want: Any = item.want
    path = path or str(want.name)
    if item.type in ("directory", "link", "mount"):
        return [("directory", path)]
    if item.type == "file" or (item.type in ("line", "text_block") and want.create):
        return [("file", path)]
    if item.type == "tree":
        below = [entry["path"] for entry in want.manifest or () if entry.get("kind") == "directory"]
        return [("directory", path)] + [("directory", path + "/" + name) for name in below if name != "."]
    if item.type == "unix_group":
        return [("group", want.name)]
    if item.type == "user":
        own = [("group", want.name)] if want.group is None else []
        home = [("directory", want.home or "/home/" + want.name)]
        return [("user", want.name), *own, *([] if want.system else home)]
    if item.type == "unit" and not want.drop_in:
        return _units(want.name)
    return []


def _units(name: str) -> List[Thing]:
    """`nginx` and `nginx.service` are one unit."""
    return [("unit", name), ("unit", name[: -len(".service")] if name.endswith(".service") else name + ".service")]


def _related(package: str, name: str) -> bool:
    """Does a package's name say that it brings this? nginx: /etc/nginx and the unit nginx; postgresql-15: postgresql@15-main."""
    names = {package}
    while _ENDING.search(package):
        package = _ENDING.sub("", package)
        names.add(package)
    parts = {part.lstrip("_") for part in re.split(r"[/@]", name)}
    parts |= {re.sub(r"\.(service|socket|timer|path|mount|target)$|\.d$", "", part) for part in parts}
    parts |= {part.rpartition(".")[0] for part in parts}
    return bool(names & parts)


def _nests(one: str, other: str) -> bool:
    """Is one of these paths the other, or above it?"""
    return one == other or one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/")


def _names(text: str, path: str) -> bool:
    """Does this path stand in the text, and not as the beginning of a longer name?"""
    return re.search(re.escape(path) + r"(?![\w.-])", text) is not None
