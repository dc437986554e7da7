"""The catalogue as items: each resource with its type's module and its `Desired`, in the order of execution.

Special values inside `want`: {"$blob": sha256, "size": n} becomes a Content that the controller delivers on demand;
{"$parts": [text, {"$secret": id}]} becomes a Content (field `content`) or a SecretText.
"""

import importlib
import re

from statectl.onhost.compare import record_hash
from statectl.onhost.content import Content, SecretText
from statectl.onhost.messages import SHA256
from statectl.onhost.protocol import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

    from statectl.onhost.failure import Unknown
    from statectl.onhost.shapes import (
        JSON,
        Address,
        Change,
        Error,
        Found,
        Keyed,
        Ledger,
        LedgerEntry,
        Record,
        ResourceType,
    )

TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
PACKAGE = "statectl.onhost.resources"


class Item(object):
    """One resource of this run, or one removal of what is no longer declared.

    From the catalogue: address, type, association, owners, phase, after, notify, sensitive, on_removal, protect,
    want (Desired), declared (the want as sent), want_hash, position.
    `removes`: the ledger's entry when this item removes an orphan, else None.
    From the readings: found, fields (differing), unknown (failure.Unknown), read_at (monotonic), generation,
    foreseen (addresses of planned changes that this reading takes as made).
    From the plan: verdict, action, changes, found_hash, predicted_after, unknown_until, kind, reason, error.
    """

    __slots__ = (
        "_found_hash",
        "action",
        "address",
        "after",
        "association",
        "changes",
        "declared",
        "error",
        "fields",
        "foreseen",
        "found",
        "generation",
        "hasher",
        "kind",
        "module",
        "notify",
        "on_removal",
        "owners",
        "phase",
        "position",
        "predicted_after",
        "protect",
        "read_at",
        "reason",
        "removes",
        "sensitive",
        "type",
        "unknown",
        "unknown_until",
        "verdict",
        "want",
        "want_hash",
    )

    def __init__(
        self, address: "Address", association: str, phase: int, module: "ResourceType", want: "Any", position: int
    ) -> None:
        self.address = address
        self.type = address.partition(":")[0]
        self.association = association
        self.owners = [association]
        self.phase = phase
        self.module = module
        self.want: "Any" = want  # the Desired of its type
        self.position = position
        self.declared: "Dict[str, JSON]" = {}
        self.want_hash = ""
        self.after: "List[Address]" = []
        self.notify: "List[Address]" = []
        self.sensitive = False
        self.on_removal: "Optional[str]" = None
        self.protect = False
        self.removes: "Optional[LedgerEntry]" = None
        self.found: "Found" = None
        self.fields: "Tuple[str, ...]" = ()
        self.foreseen: "Tuple[Address, ...]" = ()
        self.unknown: "Optional[Unknown]" = None
        self.read_at: "Optional[float]" = None
        self.generation = -1
        self.verdict = "ok"
        self.action = "none"
        self.changes: "List[Change]" = []
        self._found_hash: "Optional[str]" = ""
        self.hasher: "Callable[[], str]" = str
        self.predicted_after: "List[Address]" = []
        self.unknown_until: "List[Address]" = []
        self.kind = ""
        self.reason = ""
        self.error: "Optional[Error]" = None

    @property
    def found_hash(self) -> str:
        """Of the reading; made when somebody asks, for nobody asks about what is as wanted."""
        if self._found_hash is None:
            self._found_hash = self.hasher()
        return self._found_hash

    @found_hash.setter
    def found_hash(self, value: "Optional[str]") -> None:
        """None: `hasher` makes it."""
        self._found_hash = value

    @property
    def runs(self) -> bool:
        """Is it a command: something that is run and not a state that is there?"""
        return getattr(self.module, "KIND_RUN", False)

    @property
    def triggers(self) -> "Sequence[Address]":
        """Addresses whose change makes this command run."""
        return getattr(self.want, "when_changed", None) or ()


def load_type(name: str) -> "ResourceType":
    """-> the host's half of a type. Raises ProtocolError for what is not a type of this bundle."""
    if TYPE.match(name) is None:
        raise ProtocolError("not a type of resource: %s" % ascii(name[:64]))
    path = PACKAGE + "." + name
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        if error.name != path:
            raise
        raise ProtocolError("this executor has no type %s" % name)
    if not all(hasattr(module, part) for part in ("Desired", "read", "apply")):
        raise ProtocolError("this executor has no type %s" % name)
    return module


def secret_ids(value: "JSON") -> "Set[str]":
    """Ids of the secrets that a catalogue, or a part of one, refers to."""
    found = set()
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "$secret" in value:
                found.add(value["$secret"])
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return found


class Reader(object):
    """Turns wants into Desired. secrets: {id: value}; keyed: the host's keyed hash; ledger: what is remembered, by address.

    blobs: {sha256: [Content, ...]} of all contents that are not delivered yet; whoever has the bytes delivers them to each.
    """

    def __init__(self, secrets: "Dict[str, str]", keyed: "Keyed", ledger: "Optional[Ledger]" = None) -> None:
        self._secrets = secrets
        self._keyed = keyed
        self._ledger = ledger or {}
        self.blobs: "Dict[str, List[Content]]" = {}

    def item(self, resource: "Dict[str, JSON]", position: int) -> "Item":
        """One entry of catalogue.resources -> Item. Raises ProtocolError."""
        address, name = resource["address"], resource["address"].partition(":")[2]
        if resource["type"] != address.partition(":")[0]:
            raise ProtocolError("resource %s is sent as another type" % ascii(address[:200]))
        module = load_type(resource["type"])
        declared = resource["want"]
        if declared.get("name") != name:
            raise ProtocolError("resource %s is sent with another name" % ascii(address[:200]))
        item = Item(address, resource["association"], resource["phase"], module, None, position)
        item.want = self.desired(module, declared, address)
        if resource.get("sensitive", False):
            for content in contents(list(item.want)):
                content.secret = True
        item.declared = self.masked(declared)
        known = self._ledger.get(address)
        if known is not None and known["want_hash"] and known["want"] == item.declared:
            item.want_hash = known["want_hash"]
        else:
            item.want_hash = record_hash({"want": item.declared}, self._keyed)
        item.owners = resource.get("owners") or [resource["association"]]
        item.after = resource.get("after") or []
        item.notify = resource.get("notify") or []
        item.sensitive = resource.get("sensitive", False)
        item.on_removal = resource.get("on_removal")
        item.protect = resource.get("protect", False)
        return item

    def desired(self, module: "ResourceType", declared: "Dict[str, JSON]", address: "Address") -> "Record":
        unknown = sorted(set(declared) - set(module.Desired._fields))
        if unknown:
            raise ProtocolError("resource %s has fields that its type does not know: %s" % (address, ascii(unknown)))
        made: "Record" = module.Desired(**{field: self._value(field, value) for field, value in declared.items()})
        return made

    def _value(self, field: str, value: "JSON") -> "JSON":
        if isinstance(value, list):
            return [self._value("", item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"$blob", "size"}:
            return self._blob(value)
        if set(value) == {"$parts"}:
            text = "".join(self._part(part) for part in value["$parts"])
            if field == "content":
                content = Content.of_bytes(text.encode("utf-8", "surrogatepass"), secret=True)
                content.pieces = [(self._part(part), not isinstance(part, str)) for part in value["$parts"]]
                return content
            return SecretText(text)
        if set(value) == {"$manifest"}:
            return [self._value_in_manifest(entry) for entry in value["$manifest"]]
        return {key: self._value("", item) for key, item in value.items()}

    def _value_in_manifest(self, entry: "JSON") -> "JSON":
        if not isinstance(entry, dict):
            return self._value("", entry)
        return {key: self._value(key, item) for key, item in entry.items()}

    def _blob(self, value: "Dict[str, JSON]") -> "Content":
        sha256, size = value["$blob"], value["size"]
        if not isinstance(sha256, str) or SHA256.match(sha256) is None:
            raise ProtocolError("a blob without a sha256")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ProtocolError("a blob without a size")
        content = Content.wanted(sha256, size)
        self.blobs.setdefault(sha256, []).append(content)
        return content

    def _part(self, part: "JSON") -> str:
        if isinstance(part, str):
            return part
        identity = part.get("$secret") if isinstance(part, dict) else None
        if identity not in self._secrets:
            raise ProtocolError("the catalogue refers to a secret that was not sent")
        return self._secrets[identity]

    def masked(self, value: "JSON") -> "JSON":
        """The want as it may be stored: texts with secrets as keyed hashes. What holds none is not copied: a tree's manifest is long."""
        if isinstance(value, dict):
            if set(value) == {"$parts"}:
                text = "".join(self._part(part) for part in value["$parts"])
                return {"$keyed": self._keyed(text.encode("utf-8", "surrogatepass"))}
            pairs = value.items()
        elif isinstance(value, list):
            pairs = enumerate(value)  # type: ignore[assignment]
        else:
            return value
        stored: "JSON" = None
        for key, item in pairs:
            masked = self.masked(item)
            if masked is not item:
                stored = value.copy() if stored is None else stored
                stored[key] = masked
        return value if stored is None else stored


def contents(value: "JSON") -> "List[Content]":
    """Every Content inside a field's value."""
    if isinstance(value, Content):
        return [value]
    if isinstance(value, dict):
        return [content for item in value.values() for content in contents(item)]
    if isinstance(value, (list, tuple)):
        return [content for item in value for content in contents(item)]
    return []
