"""The patches that a baseline approves: packages at the versions that the controller named, installed in one transaction.

installed at or above the wanted version      nothing to do
installed below it                            will be installed, when the whole transaction can be made as it was planned
it would remove, downgrade or bring what      that patch is kept back, with the reason; the others go on
  is not allowed
needs what is blocked                         kept back
left half-configured by an interrupted run    will be repaired first
nothing can be told of the packages           unknown

What is installed is exactly what the plan showed. Only an open maintenance window or a person's own word lets it happen: see disrupts.
"""

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.reading import each
from statectl.onhost.versions import compare_versions

if TYPE_CHECKING:
    from typing import Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Removal

COMPILED = True  # the controller makes it of a baseline; nothing of it is written in files
FETCHED_FIRST = ("cached",)  # contents that a reading needs
OPTIONS = (
    "manager",
    "allowed",
    "blocked",
    "dependencies",
    "cached",
    "sources",
    "downgrade",
    "reboot",
    "restart",
    "hooks",
    "max_reboots",
    "reboot_timeout_s",
)


class Desired(NamedTuple):
    """versions  [[name, arch, version], ...] to install; with `cached` {"name arch version": Content} those that come from the controller."""

    name: str
    versions: Optional[Sequence[Sequence[str]]] = None
    manager: Optional[str] = None
    allowed: Optional[Sequence[Sequence[str]]] = None  # as versions: what may come along
    blocked: Optional[Sequence[str]] = None  # names
    dependencies: Optional[str] = None  # approved | any
    cached: Optional[Mapping[str, Any]] = None
    sources: Optional[Sequence[Mapping[str, Any]]] = None
    downgrade: Optional[bool] = None  # a rollback: exactly these versions, also below the installed ones
    reboot: Optional[str] = None  # never | if_needed | always
    restart: Optional[str] = None  # never | needed
    hooks: Optional[Mapping[str, Any]] = None
    max_reboots: Optional[int] = None
    reboot_timeout_s: Optional[int] = None


class Found(Desired):
    """versions: what is installed of the wanted ones now, and in their order; '' for none. foreseen: None where nothing has to be done."""

    foreseen: "Optional[Foreseen]" = None


class Foreseen(NamedTuple):
    """What a manager says that a transaction would do.

    moves    [(name, arch, from or '', to), ...], everything that would be unpacked
    kept     {(name, arch): why it would stay as it is}, of what was wanted
    repair   what has to be brought to its end first, '' : nothing
    """

    moves: "Sequence[Tuple[str, str, str, str]]"
    kept: "Dict[Tuple[str, str], str]"
    repair: str = ""


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    from statectl.onhost.patching import scanning

    manager = scanning.module_of(host, want.manager)
    wanted = [(str(name), str(arch), str(version)) for name, arch, version in want.versions or ()]
    there = manager.current(host, sorted({name for name, _, _ in wanted}))
    versions = [[name, arch, there.get((name, arch), "")] for name, arch, _ in wanted]
    found = Found(want.name, versions=versions)
    pending = [one for one, now in zip(wanted, versions) if _behind(manager, want, one[2], now[2])]
    if pending or manager.interrupted(host):
        found.foreseen = _look(host, manager, want, pending, there)
    return found


def _look(
    host: "Host", manager: "Any", want: "Desired", pending: "List[Tuple[str, str, str]]", there: "Dict[Any, str]"
) -> "Foreseen":
    if any(not content.delivered for content in (want.cached or {}).values()):
        # nobody is asked for contents: what was applied once is compared, and nothing will be installed
        return Foreseen([(name, arch, there.get((name, arch), ""), version) for name, arch, version in pending], {})
    with manager.Prepared(host, want) as prepared:
        foreseen: "Foreseen" = prepared.look()
        return foreseen


def _behind(manager: "Any", want: "Desired", wanted: str, now: str) -> bool:
    if not now:
        return True
    order = compare_versions(now, wanted, "deb" if manager.__name__.endswith("apt") else "rpm")
    return order != 0 if want.downgrade else order < 0


def differs(want: "Desired", found: "Desired") -> "Sequence[str]":  # noqa: ARG001  the contract of every type
    """In place of a comparison field by field: is there anything that would really be done?"""
    foreseen = getattr(found, "foreseen", None)
    return ("versions",) if foreseen is not None and (foreseen.moves or foreseen.repair) else ()


def remark(want: "Desired", found: "Desired") -> str:  # noqa: ARG001  the contract of every type
    """What stays as it is although it was wanted, one line each: `lab-lib amd64: needs lab-base 2.0, which is not approved`."""
    foreseen = getattr(found, "foreseen", None)
    if foreseen is None:
        return ""
    return "\n".join("%s %s: %s" % (name, arch, why) for (name, arch), why in sorted(foreseen.kept.items()))


def diff(field: str, want: "Desired", found: "Desired") -> "Optional[List[str]]":  # noqa: ARG001  the contract of every type
    foreseen = getattr(found, "foreseen", None)
    if foreseen is None:
        return None
    lines = ["! %s" % foreseen.repair] if foreseen.repair else []
    for name, arch, there, to in sorted(foreseen.moves):
        lines.append("~%s:%s %s -> %s" % (name, arch, there, to) if there else "+%s:%s %s" % (name, arch, to))
    return lines + ["?kept back: " + line for line in remark(want, found).split("\n") if line]


def detail(field: str, want: "Desired", found: "Desired") -> "Dict[str, JSON]":  # noqa: ARG001  the contract of every type
    """The moves and what is kept back as data, for whoever keeps the history of them."""
    foreseen = getattr(found, "foreseen", None)
    if foreseen is None:
        return {}
    kept = [[name, arch, why] for (name, arch), why in sorted(foreseen.kept.items())]
    return {"moves": [list(move) for move in foreseen.moves], "kept": kept}


def disrupts(want: "Desired", found: "Desired", differing: "Sequence[str]") -> str:  # noqa: ARG001  the contract of every type
    return "upgrade"


def installs(want: "Desired", found: "Desired") -> "List[List[str]]":  # noqa: ARG001  the contract of such types
    """[[name, arch, version], ...] that its change would install. A type that has this leaves hooks, restarts and a reboot to be done."""
    foreseen = getattr(found, "foreseen", None)
    return [[name, arch, to] for name, arch, _, to in foreseen.moves] if foreseen is not None else []


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  one field
    from statectl.onhost.patching import scanning

    planned = getattr(found, "foreseen", None)
    manager = scanning.module_of(host, want.manager)
    with manager.Prepared(host, want) as prepared:
        now = prepared.look()
        beyond = sorted(set(now.moves) - set(planned.moves)) if planned is not None else []
        if beyond:
            shown = ", ".join("%s %s" % (name, to) for name, _, _, to in beyond[:5])
            raise Failed("it would now also install %s, which the plan did not show" % shown, "transaction refused")
        prepared.install()


def removal(record: "Removal") -> None:  # noqa: ARG001  the contract of every type
    """Patches stay when their baseline goes; `statectl rollback` takes them back."""
    return
