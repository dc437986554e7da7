"""Packages, by whichever manager the host has: apt, dnf or zypper, each in a module of its own.

Reading never refreshes an index or takes a lock. What differs is tried out first (a simulation that changes nothing): a
change that would take away or downgrade packages nobody named is refused, with the list. Applying is one transaction per manager for
all packages of an association; different values of `recommends` need one each.

What a manager's module offers:
  usable(host)                   -> is its tool here?
  installed(host, names)         -> {name: Installed}
  Index(host, planned=None)      context manager, what the repositories have; planned: see as_planned.py
    .offers(names)               -> {name: Offer}, names without any left out
    .simulate(transaction)       -> '' or why it must not be done
    .brought                     {name: version} of what the last simulation would install, as far as its manager says so
  commit(host, transaction)      do it; raises Failed
  hold(host, names, on)          keep these versions, or do not
"""

import importlib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from statectl.onhost.failure import Failed, Unknown

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Iterable, Mapping, Union

    from statectl.onhost.host import Host
    from statectl.onhost.resources.package.as_planned import _Scratch
    from statectl.onhost.shapes import Address, Planned, Removal

BATCH = True
OPTIONS = ("recommends", "manager")
MANAGERS = ("apt", "dnf", "zypper")
GONE = ("absent", "purged")


class Desired(NamedTuple):
    name: str
    state: Optional[str] = None
    version: Optional[str] = None
    hold: Optional[bool] = None
    recommends: Optional[bool] = None
    manager: Optional[str] = None


class Found(Desired):
    """A Desired, and what else a reading tells.

    state    present, absent (only its configuration is left), purged (nothing is left), outdated, or a state of dpkg such as half-configured
    chosen   the version that an apply would install, None when none would be
    refusal  why the change must not be made, '' when it may
    """

    chosen: Optional[str] = None
    refusal: str = ""

    def having(self, **changes: "Any") -> "Found":
        """A copy with other fields, `chosen` or `refusal`; _replace would forget those two."""
        extra = {name: changes.pop(name, getattr(self, name)) for name in ("chosen", "refusal")}
        copy = self._replace(**changes)
        for name, value in extra.items():
            setattr(copy, name, value)
        return copy


class Installed(NamedTuple):
    """state as in Found; version None unless something of it is unpacked."""

    state: str
    version: Optional[str]
    hold: bool


class Offer(NamedTuple):
    """candidate: what the manager would install by itself; versions: all that the repositories have, newest first.

    trouble: why nobody knows whether there is one.
    """

    candidate: Optional[str]
    versions: Sequence[str]
    trouble: str = ""


class Transaction(NamedTuple):
    """install: (name, version or None) pairs; replaced: names among them that are installed in another version.

    held: names in it that are on hold now.
    """

    install: Sequence[Tuple[str, Optional[str]]]
    remove: Sequence[str] = ()
    purge: Sequence[str] = ()
    recommends: Optional[bool] = None
    replaced: Sequence[str] = ()
    held: Sequence[str] = ()

    def leaving(self) -> "List[str]":
        return sorted(set(self.remove) | set(self.purge))

    def names(self) -> "List[str]":
        return [name for name, _ in self.install] + self.leaving()


def manager_of(host: "Host", name: "Optional[str]") -> "ModuleType":
    """'auto' or a manager's name -> its module. Raises Failed when the host has no such tool."""
    if name in (None, "auto"):
        name = host.facts.get("package_manager")
        if name not in MANAGERS:
            name = next((known for known in MANAGERS if _module(known).usable(host)), None)
        if name is None:
            raise Failed("this host has none of the package managers apt, dnf and zypper", "no package manager")
    module = _module(name)
    if not module.usable(host):
        there = [known for known in MANAGERS if known != name and _module(known).usable(host)]
        hint = "it has %s: leave `manager` out, or limit the targets" % " and ".join(there) if there else "it has none"
        raise Failed("package manager %s is not on this host; %s" % (name, hint), "no package manager")
    return module


def _module(name: str) -> "ModuleType":
    return importlib.import_module(__name__ + "." + name)


def _by_manager(host: "Host", wanted: "Sequence[Desired]") -> "Iterable[Tuple[ModuleType, List[Desired]]]":
    groups: Dict[Any, List[Desired]] = {}
    for want in wanted:
        groups.setdefault(manager_of(host, want.manager), []).append(want)
    return groups.items()


def matches(version: str, pattern: str) -> bool:
    """Is this version as wanted? A pattern may leave out the epoch and the revision: 1.22.1 fits 1:1.22.1-9."""
    plain = version.partition(":")[2] or version
    forms = {version, plain, plain.rpartition("-")[0] or plain}
    return any(fnmatchcase(form, pattern) for form in forms)


def same(field: str, wanted: "Any", found: "Any") -> bool:
    if field == "version":
        return found is not None and matches(found, wanted)
    if field == "state":
        return bool(wanted == found or (wanted == "latest" and found == "present"))
    return bool(wanted == found)


# -- reading


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Found]":
    found = {}
    for manager, group in _by_manager(host, wanted):
        found.update(_read(host, manager, group))
    return found


def foreseen(planned: "Planned") -> "List[Address]":
    """{address: want} of changes that come before -> addresses of those that bear on what a package comes to."""
    if not any(address.startswith(("package_repository:", "file:")) for address in planned):
        return []
    from statectl.onhost.resources.package import as_planned

    return as_planned.foreseen(planned)


def read_ahead(host: "Host", wanted: "Sequence[Desired]", planned: "Planned") -> "Dict[str, Union[Found, Unknown]]":
    """As `read`, of the time when these changes, {address: want}, have been made. Unknown where their indexes cannot be had."""
    from statectl.onhost.resources.package import as_planned

    found: "Dict[str, Union[Found, Unknown]]" = {}
    for manager, group in _by_manager(host, wanted):
        there = manager.installed(host, [want.name for want in group])
        scratch = as_planned.scratch(host, manager.__name__.rpartition(".")[2], planned)
        if scratch is None or not any(_pending(want, there[want.name]) for want in group):
            found.update(_read(host, manager, group))
            continue
        with scratch as ahead:
            if not ahead.trouble:
                found.update(_read(host, manager, group, ahead))
                continue
        reason = "what this plan makes of the repositories cannot be looked at: %s" % ahead.trouble
        for want in group:
            unsure = _pending(want, there[want.name])
            found[want.name] = Unknown(reason, planned) if unsure else _found(want, there[want.name])
    return found


def _read(
    host: "Host", manager: "ModuleType", group: "List[Desired]", ahead: "Optional[_Scratch]" = None
) -> "Dict[str, Found]":
    there = manager.installed(host, [want.name for want in group])
    pending = [want for want in group if _pending(want, there[want.name])]
    if not pending:
        return {want.name: _found(want, there[want.name]) for want in group}
    with manager.Index(host, ahead) as index:
        try:
            chosen, refusals = choose(index, pending, there)
        except Failed as error:
            chosen, refusals = {}, {want.name: error.message for want in pending}
        found = {}
        for want in group:
            name = want.name
            outdated = want.state == "latest" and name in chosen and chosen[name] != there[name].version
            found[name] = _found(want, there[name], chosen.get(name), refusals.get(name, ""), outdated)
        moving = [(want, found[want.name]) for want in pending if _moves(want, found[want.name])]
        for transaction in transactions(moving):
            refusal = index.simulate(transaction) or _unwanted(index.brought, transaction, group)
            for name in transaction.names() if refusal else ():
                found[name] = found[name].having(refusal=refusal)
    return found


def _unwanted(brought: "Mapping[str, str]", transaction: "Transaction", group: "List[Desired]") -> str:
    """What a transaction would bring along against what is declared for it -> text, '' : nothing."""
    against = []
    for want in group:
        version = brought.get(want.name)
        if version is None or want.name in transaction.names():
            continue
        if want.state in GONE:
            against.append("%s, which is declared %s" % (want.name, want.state))
        elif want.version is not None and not matches(version, want.version):
            against.append("%s %s, which is declared %s" % (want.name, version, want.version))
    if not against:
        return ""
    return "%s would bring %s" % (", ".join(name for name, _ in transaction.install), " and ".join(against))


def _found(
    want: "Desired", there: "Installed", chosen: "Optional[str]" = None, refusal: str = "", outdated: bool = False
) -> "Found":
    state = "outdated" if outdated and there.state == "present" else there.state
    installed = there.version is not None and state not in GONE
    moving = state == "outdated" or (
        want.version is not None and installed and not matches(there.version or "", want.version)
    )
    moving = moving or (want.state not in GONE and not installed)
    if moving and there.hold and want.hold is None and not refusal:
        at = there.version if installed else "nothing: it is not installed"  # dpkg keeps the hold of what was removed
        refusal = "%s is on hold at %s; say `hold: true` or `hold: false` with it to move it" % (want.name, at)
    record = Found(
        want.name,
        state=state,
        version=there.version if installed else None,
        hold=there.hold if installed or there.hold else None,
    )
    return record.having(chosen=None if chosen == there.version and state == "present" else chosen, refusal=refusal)


def _pending(want: "Desired", there: "Installed") -> bool:
    """May an apply have to move this package?"""
    if want.state in GONE:
        return there.state != "purged" if want.state == "purged" else there.state not in GONE
    if want.state == "latest" or there.state != "present":
        return True
    return want.version is not None and not matches(there.version or "", want.version)


def _moves(want: "Desired", found: "Found") -> bool:
    """Is it really going to move, now that the candidate is known?"""
    return found.refusal == "" and (want.state in GONE or found.chosen is not None)


def choose(
    index: "Any", wanted: "Sequence[Desired]", there: "Dict[str, Installed]"
) -> "Tuple[Dict[str, Optional[str]], Dict[str, str]]":
    """Which version of each would be installed -> ({name: version}, {name: why there is none})."""
    names = [want.name for want in wanted if want.state not in GONE]
    offers = index.offers(names) if names else {}
    chosen, refusals = {}, {}
    for want in wanted:
        if want.state in GONE:
            continue
        offer = offers.get(want.name)
        if offer is None or offer.candidate is None:
            if there[want.name].state == "present" and want.version is None:
                chosen[want.name] = there[want.name].version  # latest of what no repository has any more
            else:
                trouble = " (%s)" % offer.trouble if offer is not None and offer.trouble else ""
                refusals[want.name] = "no package called %s in the configured repositories%s" % (want.name, trouble)
        elif want.version is None:
            chosen[want.name] = offer.candidate
        else:
            fitting = [version for version in [offer.candidate, *offer.versions] if matches(version, want.version)]
            if fitting:
                chosen[want.name] = fitting[0]
            else:
                known = ", ".join(offer.versions[:5]) or offer.candidate
                refusals[want.name] = "no version of %s matches %s; the repositories have %s" % (
                    want.name,
                    want.version,
                    known,
                )
    return chosen, refusals


def transactions(pairs: "Sequence[Tuple[Desired, Found]]") -> "List[Transaction]":
    """[(want, found)] -> list of Transaction: one, or one for each value of `recommends`. Removals go with the first."""
    installs: Dict[Optional[bool], List[Any]] = {}
    for want, found in pairs:
        if want.state not in GONE:
            installs.setdefault(want.recommends, []).append((want, found))
    remove = sorted(want.name for want, found in pairs if want.state == "absent")
    purge = sorted(want.name for want, found in pairs if want.state == "purged")
    held = sorted(want.name for want, found in pairs if found.hold)
    result = []
    for recommends in sorted(installs, key=str) or [None]:
        group = installs.get(recommends, [])
        install = sorted((want.name, found.chosen) for want, found in group)
        replaced = sorted(want.name for want, found in group if found.version not in (None, found.chosen))
        result.append(Transaction(install, remove, purge, recommends, replaced, held))
        remove, purge = [], []
    return [entry for entry in result if entry.install or entry.remove or entry.purge]


def disrupts(want: "Desired", found: "Found", differing: "Sequence[str]") -> str:
    """See disruption.py. The scripts of a package restart and stop what it brought; nobody can tell before whether they will."""
    if want.state in GONE:
        return "" if found.state in GONE else "remove"
    replaced = "version" in differing or found.state == "outdated"
    return "upgrade" if replaced and found.version is not None else ""


def validate(host: "Host", want: "Desired", found: "Found") -> str:  # noqa: ARG001  the contract of every type
    return found.refusal


# -- applying


def apply(host: "Host", items: "Sequence[Tuple[Desired, Found, Sequence[str]]]") -> None:
    """items: [(want, found, differing)] of one association."""
    groups: Dict[Any, List[Any]] = {}
    for want, found, differing in items:
        groups.setdefault(manager_of(host, want.manager), []).append((want, found, differing))
    for manager, group in groups.items():
        _apply(host, manager, group)


def _apply(host: "Host", manager: "ModuleType", group: "List[Tuple[Desired, Found, Sequence[str]]]") -> None:
    moving = [
        (want, found)
        for want, found, differing in group
        if "version" in differing or ("state" in differing and (want.state in GONE or found.state != "present"))
    ]
    if any(want.state not in GONE and found.chosen is None for want, found in moving):
        moving = _chosen_now(host, manager, moving)
    moved = {want.name for want, _ in moving}
    # what is held cannot be moved, and dpkg forgets a hold when the package is replaced: open before, close again after
    freed = {want.name for want, found, differing in group if found.hold and (want.name in moved or want.hold is False)}
    held = {want.name for want, _, differing in group if want.hold and ("hold" in differing or want.name in moved)}
    if freed:
        manager.hold(host, sorted(freed), False)
    for transaction in transactions([(want, found.having(hold=False)) for want, found in moving]):
        manager.commit(host, transaction)
    if held:
        manager.hold(host, sorted(held), True)


def _chosen_now(
    host: "Host", manager: "ModuleType", moving: "List[Tuple[Desired, Found]]"
) -> "List[Tuple[Desired, Found]]":
    """The plan knew no version of some of these; a repository has come since."""
    wanted = [want for want, _ in moving]
    there = manager.installed(host, [want.name for want in wanted])
    with manager.Index(host) as index:
        chosen, refusals = choose(index, wanted, there)
    if refusals:
        raise Failed("; ".join(refusals[name] for name in sorted(refusals)), "no such package")
    return [(want, found.having(chosen=chosen.get(want.name))) for want, found in moving]


def removal(record: "Removal") -> "Optional[Desired]":
    """What we installed goes; what was installed before stays, whatever version it has now."""
    if not record["created"]:
        return None
    return Desired(record["name"], state="absent", manager=record["want"].get("manager"))
