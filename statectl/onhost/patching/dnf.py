"""Patches by dnf 4 and dnf 5: exact versions installed in one transaction.

Versions are always named in full and everything that is not allowed is hidden from dnf (`includepkgs`), so that dnf's filters by
severity, which it joins with "or", and its liking for the newest version have no say.
"""

import re
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed
from statectl.onhost.patching import dnf_output, rpm_database, rpm_lock, rpm_sources
from statectl.onhost.patching.dnf_scan import CACHE, REPOSITORIES, only_reading, own_cache, run, scan, version
from statectl.onhost.patching.rpm_database import current, interrupted, nevra, plain
from statectl.onhost.patching.rpm_files import Files
from statectl.onhost.resources.package.dnf import _argv as dnf_argv
from statectl.onhost.resources.package.dnf import usable, why
from statectl.onhost.resources.patches import Foreseen
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Sequence, Set, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.patches import Desired

    Key = Tuple[str, str, str]

__all__ = ["Prepared", "current", "interrupted", "scan", "usable"]

COMMIT_TIMEOUT_S = 3600
ROUNDS = 20  # of leaving out what brings something that is not allowed
_UNSIGNED = re.compile(
    r"^(?:Package \S+ is not signed|Public key for \S+ is not installed.*|OpenPGP check for package .* has failed: .*)$",
    re.MULTILINE,
)
_LONGEST = 32000  # characters of one argument; the kernel takes 128 KiB


class Prepared(object):
    """See the package. `install` does what the last `look` has told; both hide from dnf whatever may not come along."""

    def __init__(self, host: "Host", want: "Desired") -> None:
        self._host = host
        self._want = want
        self._top = ""
        self._options: "List[str]" = []
        self._keys: "Sequence[str]" = ()
        self._files = Files(host, "", {}, False)
        self._moving: "List[Key]" = []
        self._bound: "List[str]" = []
        self._signed = True

    def __enter__(self) -> "Prepared":
        host, want = self._host, self._want
        host.run(["mkdir", "-p", "-m", "0700", "--", CACHE])
        self._top = rpm_sources.scratch(host)
        try:
            places: "Sequence[str]" = REPOSITORIES
            # what was looked at is what is installed from: nothing is asked for anew unless it has never been fetched
            self._options = [*own_cache(), "--setopt=*.metadata_expire=-1", "--setopt=*.skip_if_unavailable=True"]
            self._options.append("--setopt=install_weak_deps=False")
            if want.sources:
                made = rpm_sources.Sources(host, want.sources, self._top)
                self._options.append("--setopt=reposdir=" + made.directory)
                self._keys, places = made.keys, [made.directory]
            self._signed = _must_be_signed(host, places)
            if self._signed:
                self._options.append("--setopt=localpkg_gpgcheck=True")
            self._files = Files(host, self._top, dict(want.cached or {}), not self._signed)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        rpm_sources.remove_scratch(self._host, self._top)

    def look(self) -> "Foreseen":
        """One simulation when all is well, one more for each thing that has to be left out."""
        wanted = [(str(name), str(arch), plain(str(version))) for name, arch, version in self._want.versions or ()]
        there = current(self._host, sorted({name for name, _, _ in wanted}))
        kept: "Dict[Key, str]" = {}
        pending = []
        for key in wanted:
            order = compare_rpm(there[key[:2]], key[2]) if key[:2] in there else -1
            if order == 0 or (order > 0 and not self._want.downgrade):
                continue
            if key in self._files.refused:
                kept[key] = self._files.refused[key]
            else:
                pending.append(key)
        table = self._settled(pending, kept)
        placed = {key[:2]: key[2] for key in table.placed}
        known = current(self._host, sorted({name for name, _, _ in (*table.placed, *table.removed)}))
        moves = [(name, arch, known.get((name, arch), ""), version) for name, arch, version in table.placed]
        moves += [(name, arch, version, "") for name, arch, version in table.removed]
        self._moving = [key for key in pending if placed.get(key[:2]) == key[2]]
        return Foreseen(sorted(moves), {key[:2]: text for key, text in kept.items()}, interrupted(self._host))

    def _settled(self, pending: "List[Key]", kept: "Dict[Key, str]") -> "dnf_output.Table":
        """Simulate until nothing is left in it that may not happen -> its table; `kept` gets the reasons of what was left out."""
        nothing = dnf_output.Table([], set(), [], {})
        hidden: "Dict[Key, str]" = {}
        for _ in range(ROUNDS):
            asking = [key for key in pending if key not in kept and key not in hidden]
            if not asking:
                break
            self._bound = self._bounds(asking, hidden)
            argv = [*self._options, *only_reading(), *self._bound, "--assumeno"]
            text, ran = run(self._host, argv, *self._install(asking, skipping=True))
            said = text + "\n" + ran.err
            table = dnf_output.table(said)
            unkeyed = dnf_output.without_key(said)
            if unkeyed:
                kept.update((key, unkeyed) for key in asking)
                break
            if not dnf_output.simulated(said):
                raise Failed("dnf cannot simulate: %s" % why(ran), "dnf failed", (), ran.code, said[-4096:])
            offending = self._offending(table, asking)
            if offending:
                hidden.update(offending)
                kept.update({key: text for key, text in offending.items() if key in asking})
                continue
            told = dnf_output.reasons(said, asking, {nevra(*key): text for key, text in hidden.items()})
            placed = set(table.placed)
            for key in asking:
                if key not in placed:
                    kept[key] = told.get(key) or self._left_out(hidden, said)
            return table
        for key in pending:
            kept.setdefault(key, "it cannot be installed without something that is not allowed")
        return nothing

    @staticmethod
    def _left_out(hidden: "Mapping[Key, str]", said: str) -> str:
        if hidden:
            return "it needs %s" % "; ".join(
                "%s, and %s" % (nevra(*key), text) for key, text in sorted(hidden.items())[:3]
            )
        lines = [line.strip() for line in said.split("\n") if line.startswith("Error")]
        return lines[0] if lines else "dnf leaves it out without saying why"

    def _offending(self, table: "dnf_output.Table", asking: "Sequence[Key]") -> "Dict[Key, str]":
        """What the transaction would do and must not -> {what to leave out: why}"""
        found: "Dict[Key, str]" = {}
        allowed = set(asking) | self._allowed()
        blocked = set(self._want.blocked or ())
        for key in table.placed:
            if key in table.replacing:
                found[key] = "it would remove %s, which it replaces" % ", ".join(table.replacing[key])
            elif key in table.lowered and not (self._want.downgrade and key in asking):
                found[key] = "it would be a downgrade"
            elif key not in asking and (key[0] in blocked or (self._want.dependencies != "any" and key not in allowed)):
                found[key] = "it is not approved"
        several = {key[:2] for key in table.placed}
        gone = [key for key in table.removed if key[:2] not in several]  # of kernels, dnf keeps the last few
        if gone and not found:
            text = "it would remove %s" % ", ".join(sorted(name for name, _, _ in gone))
            found.update((key, text) for key in table.placed)
        return found

    def _allowed(self) -> "Set[Key]":
        return {(str(name), str(arch), plain(str(version))) for name, arch, version in self._want.allowed or ()}

    def _bounds(self, asking: "Sequence[Key]", hidden: "Mapping[Key, str]") -> "List[str]":
        """Options that hide everything else from dnf."""
        blocked = list(self._want.blocked or ()) if self._want.dependencies == "any" else []
        options = _lists("excludepkgs", [nevra(*key) for key in hidden] + blocked)
        if self._want.dependencies != "any":
            options += _lists("includepkgs", sorted(nevra(*key) for key in set(asking) | self._allowed()))
        return options

    def _install(self, keys: "Sequence[Key]", skipping: bool) -> "List[str]":
        words = ["install"]
        if skipping:
            words += (
                ["--nobest", "--setopt=strict=0"]
                if version(self._host) < 5
                else ["--skip-broken", "--skip-unavailable"]
            )
        return [*words, "--", *(self._files.paths.get(key) or nevra(*key) for key in keys)]

    def install(self) -> None:
        host = self._host
        rpm_lock.wait(host, rpm_lock.DNF)
        again = rpm_database.repair(host)
        if again:
            # rpm keeps no note of scripts that did not run; installing the same version again runs them
            run(
                host, [*self._options, "-y"], "reinstall", *(nevra(*row[:3]) for row in again), timeout=COMMIT_TIMEOUT_S
            )
        if not self._moving:
            return
        with rpm_sources.Keys(host, self._keys):
            words = dnf_argv(host, *self._options, *self._bound, "-y", *self._install(self._moving, skipping=False))
            out, ran = rpm_database.whole(host, words, COMMIT_TIMEOUT_S)
        _judge(words, ran._replace(out=out[-65536:]))


def _said(ran: "Ran") -> str:
    """The line that tells the cause; where that is only a heading, the line below it."""
    marked = dnf_output.first_error(ran.err + "\n" + ran.out)
    if marked:
        return marked
    found = why(ran)
    lines = [line.strip() for line in (ran.err + "\n" + ran.out).split("\n")]
    if found.endswith(":"):
        below = [line for number, line in enumerate(lines) if number and lines[number - 1].endswith(found) and line]
        found = below[0] if below else found
    return found


def _judge(argv: "Sequence[str]", ran: "Ran") -> None:
    """Raises Failed with the last lines when not everything went well; a script that fails is no failure to dnf."""
    text = ran.out + "\n" + ran.err
    if ran.timed_out:
        raise rpm_database.failed("dnf did not end within %d s" % COMMIT_TIMEOUT_S, "timed out", argv, ran)
    scripts = rpm_database.failed_scripts(text)
    if scripts:
        raise rpm_database.failed("; ".join(scripts), "scriptlet failed", argv, ran)
    if ran.code == 0:
        return
    if ran.code is None or ran.code < 0:
        message = "dnf was killed (signal %d); the next run brings to its end what it was doing" % -(ran.code or 0)
        raise rpm_database.failed(message, "killed", argv, ran)
    if rpm_database.file_system_error(text):
        raise rpm_database.failed("dnf install: %s" % _said(ran), "no space left on device", argv, ran)
    if "GPG" in text or "OpenPGP check for" in text or "not signed" in text or "public key" in text:
        unsigned = _UNSIGNED.search(text)
        said = unsigned.group(0) if unsigned else "the signature of a package cannot be checked: %s" % _said(ran)
        raise rpm_database.failed("dnf install: " + said, "signature not accepted", argv, ran)
    raise rpm_database.failed("dnf install: %s" % _said(ran), "dnf install failed", argv, ran)


def _must_be_signed(host: "Host", places: "Sequence[str]") -> bool:
    """Does every enabled repository ask for signed packages? One that does not says that unsigned ones are welcome here."""
    main = rpm_sources.sections((host.read_file("/etc/dnf/dnf.conf") or b"").decode("utf-8", "replace")).get("main", {})
    default = main.get("gpgcheck", "1" if version(host) >= 5 else "0")
    entries = [
        one for one in rpm_sources.configured(host, places).values() if not rpm_sources.is_off(one.get("enabled", "1"))
    ]
    return not any(rpm_sources.is_off(one.get("gpgcheck", default)) for one in entries)


def _lists(option: str, values: "Sequence[str]") -> "List[str]":
    """--setopt=OPTION=a,b,c as often as it takes: dnf adds them up."""
    found: "List[str]" = []
    for value in values:
        if found and len(found[-1]) + len(value) < _LONGEST:
            found[-1] += "," + value
        else:
            found.append("--setopt=%s=%s" % (option, value))
    return found
