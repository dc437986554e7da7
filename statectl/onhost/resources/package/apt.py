"""Debian's packages: dpkg's own status file for reading, apt-cache and `apt-get -s` to look ahead, apt-get to act.

No reading touches /var/cache/apt or the lists: apt builds its cache in memory, and an index that may be out of date is
fetched into a scratch directory below /tmp.
"""

import os
import re
import time
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import Installed, Offer, Transaction, apt_index

if TYPE_CHECKING:
    from typing import Collection, Iterator, Tuple

    Inputs = List[Tuple[str, int, int, int, int]]

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.package.as_planned import _Scratch

# dpkg's third word -> state of an Installed; others stand for themselves and are no state that anybody wants
_STATES = {
    "installed": "present",
    "triggers-awaited": "present",
    "triggers-pending": "present",
    "config-files": "absent",
    "not-installed": "purged",
}
DPKG = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "UCF_FORCE_CONFFOLD": "1"}
COMMIT_TIMEOUT_S = 3600
_VERSION = re.compile(r" (?:\*\*\*|   ) \S+")
_SOURCE = re.compile(r" {8,}-?\d+ \S")
_UNKNOWN = re.compile(r"Unable to locate package|Version '.*?' for '.*?' was not found|has no installation candidate")
_INST = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", re.MULTILINE)
_READ = (
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/updates",
    "/var/lib/apt/extended_states",
    "/var/lib/apt/lists",
    "/etc/apt",
)
_CONFIGURED = ("/etc/apt", "/etc/apt/apt.conf.d", "/etc/apt/preferences.d", "/etc/apt/sources.list.d")
_REMV = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)


def usable(host: "Host") -> bool:
    return host.which("dpkg-query") is not None and host.which("apt-get") is not None


# -- reading


def installed(host: "Host", names: "Collection[str]") -> "Dict[str, Installed]":
    found: Dict[str, Installed] = {}
    repair = " (dpkg was interrupted: dpkg --configure -a comes first)" if interrupted(host) else ""
    for name, architecture, version, words in _stanzas(host, {name.partition(":")[0] for name in names}):
        record = Installed(_STATES.get(words[2], words[2] + repair), version or None, words[0] == "hold")
        for key in (name, "%s:%s" % (name, architecture)):
            if key not in found or found[key].state in ("absent", "purged"):
                found[key] = record
    return {name: found.get(name, Installed("purged", None, False)) for name in names}


def _stanzas(host: "Host", names: "Collection[str]") -> "Iterator[Tuple[str, str, str, List[str]]]":
    """Yield (name, architecture, version, [want, flag, status]) of the packages called so."""
    if interrupted(host):
        # what dpkg has written since the last full status stands in its journal, which only dpkg reads
        shown = "${Package} ${Architecture} ${Version} ${Status}\n"
        for line in host.run(["dpkg-query", "--show", "--showformat=" + shown], timeout=60).out.splitlines():
            words = line.split()
            if words[0] in names:
                yield words[0], words[1], words[2] if len(words) == 6 else "", words[-3:]
        return
    wanted = {name.encode("ascii") for name in names}
    for stanza in (host.read_file("/var/lib/dpkg/status") or b"").split(b"\n\n"):
        end = stanza.find(b"\n")
        if stanza[9 : None if end < 0 else end] not in wanted or not stanza.startswith(b"Package: "):
            continue
        fields = dict(line.split(": ", 1) for line in stanza.decode("utf-8", "replace").split("\n") if ": " in line)
        words = fields.get("Status", "").split()
        if len(words) == 3:
            yield fields["Package"], fields.get("Architecture", ""), fields.get("Version", ""), words


def interrupted(host: "Host") -> bool:
    """Was dpkg ended in the middle of its work? Then it has written numbered files that the status lacks."""
    return any(name.isdigit() for name in host.listdir("/var/lib/dpkg/updates"))


class Index(object):
    """The lists of the host, joined by fresh ones in a scratch directory when a name is missing from lists that may be old.

    planned: where apt finds itself as the plan will make it (as_planned.scratch), None: as it is.
    """

    def __init__(self, host: "Host", planned: "Optional[_Scratch]" = None) -> None:
        self._host = host
        self._scratch: Optional[apt_index.Scratch] = None
        self._options: Sequence[str] = planned.options if planned else ()
        self._env: Optional[Mapping[str, str]] = planned.env if planned else None
        self.brought: Mapping[str, str] = {}

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            self._scratch.close()

    def offers(self, names: "Collection[str]") -> "Dict[str, Offer]":
        found = self._policy(names)
        missing = [name for name in names if name not in found]
        if missing and apt_index.may_be_outdated(self._host):
            try:
                self._scratch = apt_index.Scratch(self._host, self._env)
            except Failed as error:
                trouble = "the index is over an hour old and could not be refreshed: %s" % error.message
                found.update((name, Offer(None, (), trouble)) for name in missing)
                return found
            self._options = self._scratch.options
            found.update(self._policy(missing))
        return found

    def _policy(self, names: "Collection[str]") -> "Dict[str, Offer]":
        argv = ["apt-cache", *apt_index.IN_MEMORY, *self._options, "policy", "--", *names]
        ran = self._asked(argv, 120)
        found = parse_policy(ran.out, names)
        if ran.code != 0 and not found and "Unable to locate package" not in ran.err:
            raise Failed(
                "apt-cache cannot read the indexes: %s" % why(ran), "apt-cache failed", argv, ran.code, ran.err[-4096:]
            )
        return found

    def _asked(self, argv: "List[str]", timeout: float) -> "Ran":
        """Run what only looks. Of the host as it is, it answers the same until a file moves that it reads, and is not run again."""
        if self._options:
            return self._host.run(argv, timeout=timeout, env=self._env, check=False)
        now = _inputs(self._host)
        then, ran = _answers.get(tuple(argv), (None, None))
        if ran is None or then != now:
            ran = self._host.run(argv, timeout=timeout, env=self._env, check=False)
            _answers[tuple(argv)] = (now, ran)
        return ran

    def simulate(self, transaction: "Transaction") -> str:
        verb, operands = _operands(transaction)
        looking = (*apt_index.IN_MEMORY, *self._options)
        argv = ["apt-get", "-s", "-q", *looking, *_flags(transaction), verb, "--", *operands]
        ran = self._asked(argv, 300)
        if ran.code != 0:
            return "apt cannot do it: %s" % why(ran)
        self.brought = dict(_INST.findall(ran.out))
        return objection(ran.out, transaction)


_answers: "Dict[Tuple[str, ...], Tuple[Inputs, Ran]]" = {}  # of this session, with what they were made from


def _inputs(host: "Host") -> "Inputs":
    """Everything that apt looks at when it looks ahead: path, inode, size and times of each."""
    paths = [host.path(path) for path in _READ]
    for directory in _CONFIGURED:
        paths += [host.path("%s/%s" % (directory, name)) for name in sorted(host.listdir(directory))]
    found = []
    for path in paths:
        try:
            info = os.stat(path)
        except FileNotFoundError:
            continue
        found.append((path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns))
    return found


def parse_policy(text: str, names: "Collection[str]") -> "Dict[str, Offer]":
    """Output of apt-cache policy -> {name: Offer}. A version that only dpkg's status knows is no offer, but may be the candidate."""
    candidates: Dict[str, str] = {}
    versions: Dict[str, List[str]] = {}
    shown = version = ""
    for line in text.split("\n"):
        if line.endswith(":") and not line.startswith(" "):
            shown = line[:-1]
        elif line.startswith("  Candidate: "):
            candidates[shown] = line[len("  Candidate: ") :].strip()
        elif _VERSION.match(line):
            version = line[5:].split()[0]
        elif _SOURCE.match(line) and not line.endswith(" /var/lib/dpkg/status"):
            known = versions.setdefault(shown, [])
            if version not in known:
                known.append(version)
    found = {}
    for name in names:
        key = name if name in candidates else name.partition(":")[0]  # of its own architecture apt shows the bare name
        if candidates.get(key, "(none)") != "(none)":
            found[name] = Offer(candidates[key], versions.get(key, []))
    return found


# -- looking ahead and acting


def _operands(transaction: "Transaction") -> "Tuple[str, List[str]]":
    """-> (verb, operands). Every version is named, so that a transaction is what was looked at, or fails."""
    install = ["%s=%s" % pair if pair[1] else pair[0] for pair in transaction.install]
    if not install:
        return "remove", transaction.leaving()
    return "install", install + [name + "-" for name in transaction.leaving()]


def _flags(transaction: "Transaction") -> "List[str]":
    flags = []
    if transaction.recommends is not None:
        flags.append("--install-recommends" if transaction.recommends else "--no-install-recommends")
    if transaction.replaced:
        flags.append("--allow-downgrades")
    if transaction.replaced or transaction.leaving():
        flags.append("--allow-change-held-packages")
    return flags


def objection(text: str, transaction: "Transaction") -> str:
    """What a simulation would do to packages that nobody named -> text, '' : nothing."""
    named = {name.partition(":")[0] for name, _ in transaction.install} | {
        name.partition(":")[0] for name in transaction.leaving()
    }
    leaving = {name.partition(":")[0] for name in transaction.leaving()}
    removed = {name.partition(":")[0] for name in _REMV.findall(text)} - leaving
    parts = []
    if removed:
        parts.append("remove %s" % ", ".join(sorted(removed)))
    for title, word in (("DOWNGRADED", "downgrade"), ("held packages will be changed", "change held")):
        others = {name.partition(":")[0] for name in _section(text, title)} - named
        if others:
            parts.append("%s %s" % (word, ", ".join(sorted(others))))
    if not parts:
        return ""
    return "it would also %s; name them in `packages` if that is meant" % " and ".join(parts)


def _section(text: str, title: str) -> "List[str]":
    """Names listed below a heading such as 'The following packages will be DOWNGRADED:'."""
    names, inside = [], False
    for line in text.split("\n"):
        if line and not line.startswith(" "):
            inside = title in line and line.endswith(":")
        elif inside:
            names += [word for word in line.replace("*", " ").split() if not word.startswith("(")]
    return names


def commit(host: "Host", transaction: "Transaction") -> None:
    if interrupted(host):
        repair(host)
    flags = _flags(transaction)
    if transaction.leaving() or transaction.replaced:
        _refuse_side_effects(host, transaction)  # a plan may be old
    else:
        flags.append("--no-remove")
    there = installed(host, transaction.leaving())
    if transaction.install or any(there[name].state not in ("absent", "purged") for name in there):
        _apt_get(host, flags, transaction)
    if transaction.purge:
        _apt_get(host, flags, Transaction((), purge=transaction.purge), "purge")


def repair(host: "Host") -> "Ran":
    """What dpkg was ended in comes to its end, for apt refuses to work before. -> how dpkg ended

    dpkg does not wait for its lock, and whoever holds it may be just at that work. A package that cannot be configured is no
    reason to stop: it may be the one that is to be removed, and apt says the same about it if not.
    """
    argv = ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]
    deadline = time.monotonic() + apt_index.LOCK_TIMEOUT_S
    while True:
        ran = host.run(argv, timeout=COMMIT_TIMEOUT_S, env=ENVIRONMENT, check=False)
        holder = apt_index.lock_holder(ran.err)
        if ran.code == 0 or not holder or time.monotonic() > deadline:
            break
        time.sleep(2)
    if ran.code != 0 and interrupted(host):
        message = holder or "dpkg --configure -a: %s" % why(ran)
        cause = "package manager is locked" if holder else "repair of dpkg failed"
        raise Failed(message, cause, argv, ran.code, (ran.out + ran.err)[-4096:])
    return ran


def _refuse_side_effects(host: "Host", transaction: "Transaction") -> None:
    with Index(host) as index:
        trouble = index.simulate(transaction)
    if trouble and not _UNKNOWN.search(trouble):
        raise Failed(trouble, "transaction refused")


def _apt_get(host: "Host", flags: "List[str]", transaction: "Transaction", verb: str = "") -> None:
    usual, operands = _operands(transaction)
    verb = verb or usual
    lock = "DPkg::Lock::Timeout=%d" % apt_index.LOCK_TIMEOUT_S
    argv = ["apt-get", "-y", "-q", "-o", lock, *DPKG, *flags, verb, "--", *operands]
    ran = host.run(argv, timeout=COMMIT_TIMEOUT_S, env=ENVIRONMENT, check=False)
    if ran.code != 0 and _UNKNOWN.search(ran.err):
        apt_index.refresh(host)  # chosen from fresher lists than the host's
        if transaction.leaving() or transaction.replaced:
            _refuse_side_effects(host, transaction)
        ran = host.run(argv, timeout=COMMIT_TIMEOUT_S, env=ENVIRONMENT, check=False)
    if ran.code == 0:
        return
    message, cause = "apt-get %s: %s" % (verb, why(ran)), "apt-get %s failed" % verb
    if ran.timed_out:
        message, cause = "apt-get %s did not end within %d s" % (verb, COMMIT_TIMEOUT_S), "timed out"
    elif apt_index.lock_holder(ran.err):
        # who holds it stands where it said that it waits
        message, cause = apt_index.lock_holder(ran.err + "\n" + ran.out), "package manager is locked"
    elif "remove is disabled" in ran.err:
        _refuse_side_effects(host, transaction)
    raise Failed(message, cause, argv, ran.code, (ran.out + ran.err)[-4096:])


def why(ran: "Ran") -> str:
    """The line that tells the cause, among many that tell that there is one."""
    lines = [line.strip() for line in (ran.out + "\n" + ran.err).split("\n")]
    for index, line in enumerate(lines):
        if line.startswith("dpkg: error processing"):
            reason = lines[index + 1] if index + 1 < len(lines) else ""
            return "%s: %s" % (line[len("dpkg: error processing ") :].rstrip(":"), reason)
        if line == "The following packages have unmet dependencies:":
            unmet = [text for text in lines[index + 1 : index + 4] if " : " in text]
            return "unmet dependencies: %s" % "; ".join(" ".join(text.split()) for text in unmet)
    errors = [line[3:] for line in lines if line.startswith("E: ")]
    return errors[0] if errors else "exit code %s" % ran.code


def hold(host: "Host", names: "Collection[str]", on: bool) -> None:
    lock = "DPkg::Lock::Timeout=%d" % apt_index.LOCK_TIMEOUT_S
    host.run(["apt-mark", "-o", lock, "hold" if on else "unhold", "--", *names], timeout=300)
