"""Names for the shapes that pass between the modules of the executor. Only annotations use them, so nothing imports this at run time."""

from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed, Unknown

JSON = Any  # a dict, list, text, number, bool or None, as deep as it comes
Address = str  # "file:/etc/motd"
Message = Dict[str, Any]  # one of the protocol, with its "type"
Limits = Dict[str, Any]  # {"paths", "deny", "max_removals", "become"}
Facts = Dict[str, Any]  # {topic: value}
Counts = Dict[str, int]
Change = Dict[str, Any]  # {"field", and how it differs}: see diff.changes
Error = Dict[str, Any]  # {"cause", "message", "argv", "code", "output"}: see Failed.record
LedgerEntry = Dict[str, Any]  # see Records.entry
Ledger = Dict[Address, LedgerEntry]
Debt = Dict[str, Any]  # {"verb", "because", "since", "run", "paying"}, and "waits" of one that had to wait
Holder = Dict[str, Any]  # of the lock: {"controller", "run", "pid", "since", ...}
Removal = Dict[str, Any]  # what a type's removal() is told: {"name", "created", "before", "want"}
Manifest = List[Dict[str, Any]]  # of a tree: see resources/tree.py

ResourceType = ModuleType  # the host's half of one: Desired, read, apply, and what else resources/__init__.py names
Keyed = Callable[[bytes], str]  # the host's keyed hash: bytes -> hex
Fetch = Callable[[List[Content]], None]
Deliver = Callable[[str, bytes], object]  # of a command's output: ("out" or "err", bytes)
Check = Callable[[JSON], bool]  # of one value of a message

Want = TypeVar("Want", bound=Any)  # a type's Desired


class Record(Tuple[Any, ...]):
    """The Desired of whatever type: a NamedTuple with a name, and fields that differ from type to type."""

    __slots__ = ()

    name: str
    _fields: Tuple[str, ...]

    def __getattr__(self, field: str) -> Any:
        """The value of a field."""


Found = Optional[Record]
Reading = Union[Found, Unknown, Failed]  # one thing, as a type's read() tells it
Read = Callable[..., Dict[str, Any]]  # read(host, wanted) of a type -> {name: Reading}
Planned = Dict[Address, Record]  # changes that come before, in one plan
Step = Tuple[Record, Found, Sequence[str]]  # one of a BATCH type's apply(): (want, found, differing)
