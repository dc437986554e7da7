"""Patches by zypper: exact versions installed in one transaction.

zypper is asked again and again, without anything being done, until what it would do is allowed: what must not come along is locked
in a file of locks that only these calls see.
"""

import re
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed
from statectl.onhost.patching import rpm_database, rpm_lock, rpm_sources, zypper_output
from statectl.onhost.patching.rpm_database import current, interrupted, nevra, plain
from statectl.onhost.patching.rpm_files import Files
from statectl.onhost.patching.zypper_scan import (
    LOCKS,
    cache_of,
    fetched,
    locked_names,
    repositories,
    run,
    said_by,
    scan,
)
from statectl.onhost.resources.package.zypper import FINE, usable
from statectl.onhost.resources.patches import Foreseen
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Sequence, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.patches import Desired

    Key = Tuple[str, str, str]

__all__ = ["Prepared", "current", "interrupted", "scan", "usable"]

CONFIGURATION = "/etc/zypp/zypp.conf"
AUTOMATIC = "/var/lib/zypp/AutoInstalled"
COMMIT_TIMEOUT_S = 3600
_LOCK = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: %s\n"
_LOCK_VERSION = "\ntype: package\nversion: == %s\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: %s\n"


class Prepared(object):
    """See the package. `install` does what the last `look` has told."""

    def __init__(self, host: "Host", want: "Desired") -> None:
        self._host = host
        self._want = want
        self._top = ""
        self._options: "List[str]" = []
        self._keys: "Sequence[str]" = ()
        self._files = Files(host, "", {}, False)
        self._moving: "List[Key]" = []
        self._unsigned = False

    def __enter__(self) -> "Prepared":
        host, want = self._host, self._want
        cache = cache_of(want.sources or ())
        host.run(["mkdir", "-p", "-m", "0700", "--", cache])
        self._top = rpm_sources.scratch(host)
        try:
            self._options = ["--cache-dir", cache]
            if want.sources:
                made = rpm_sources.Sources(host, want.sources, self._top)
                self._options += ["--reposd-dir", made.directory]
                self._keys = made.keys
            known = repositories(host, self._options)
            data = fetched(host, cache, [name for name, _, _ in known])
            for name, _, _ in known:
                if name not in data:
                    run(host, self._options, "refresh", "--", name)
            self._options.append("--no-refresh")  # what was looked at is what is installed from
            self._unsigned = not all(checked for _, _, checked in known)
            self._files = Files(host, self._top, dict(want.cached or {}), self._unsigned)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        rpm_sources.remove_scratch(self._host, self._top)

    def look(self) -> "Foreseen":
        """One simulation when all is well, one more for each thing that has to be left out."""
        host = self._host
        wanted = [(str(name), str(arch), plain(str(version))) for name, arch, version in self._want.versions or ()]
        there = current(host, sorted({name for name, _, _ in wanted}))
        locked = locked_names(host, {name for name, _, _ in wanted})
        kept: "Dict[Key, str]" = {}
        pending = []
        for key in wanted:
            order = compare_rpm(there[key[:2]], key[2]) if key[:2] in there else -1
            if order == 0 or (order > 0 and not self._want.downgrade):
                continue
            if key in self._files.refused:
                kept[key] = self._files.refused[key]
            elif key[0] in locked:
                kept[key] = "it is locked on the host (zypper locks)"
            else:
                pending.append(key)
        summary = self._settled(pending, kept)
        known = current(host, sorted({name for name, _, _ in (*summary.placed, *summary.removed)}))
        moves = [(name, arch, known.get((name, arch), ""), version) for name, arch, version in summary.placed]
        moves += [(name, arch, version, "") for name, arch, version in summary.removed]
        placed = set(summary.placed)
        self._moving = [key for key in pending if key in placed]
        return Foreseen(sorted(moves), {key[:2]: text for key, text in kept.items()}, interrupted(host))

    def _settled(self, pending: "List[Key]", kept: "Dict[Key, str]") -> "zypper_output.Summary":
        """Simulate until nothing is left in it that may not happen; `kept` gets the reasons of what was left out."""
        hidden: "Dict[Key, str]" = {}
        for _ in range(2 * len(pending) + 20):
            asking = [key for key in pending if key not in kept]
            if not asking:
                break
            self._lock(hidden)
            words = {self._word(key): key for key in asking}
            out, ran = run(self._host, self._options, *self._install(asking, "--dry-run"), env=self._environment())
            gone = zypper_output.missing(out, words)
            if gone:
                kept.update((key, "no repository has this version (any more)") for key in gone)
                continue
            asked = zypper_output.problem(out, asking)
            if asked is not None:
                out_, text = asked
                for key in out_ or asking:
                    kept[key] = _explained(text, hidden, self._want.blocked or ())
                continue
            if ran.code not in FINE:
                raise Failed(
                    "zypper cannot simulate: %s" % said_by(out, ran), "zypper failed", (), ran.code, out[-4096:]
                )
            summary = zypper_output.summary(out)
            if not self._offending(summary, asking, hidden, kept):
                for key in asking:
                    if key not in summary.placed:
                        kept[key] = "zypper leaves it out without saying why"
                return summary
        for key in pending:
            kept.setdefault(key, "it cannot be installed without something that is not allowed")
        return zypper_output.Summary([], [], [])

    def _offending(
        self, summary: "zypper_output.Summary", asking: "List[Key]", hidden: "Dict[Key, str]", kept: "Dict[Key, str]"
    ) -> bool:
        """What the transaction would do and must not goes into `hidden`, or `kept` when it was asked for -> is there anything?"""
        allowed = {(str(name), str(arch), plain(str(version))) for name, arch, version in self._want.allowed or ()}
        blocked = set(self._want.blocked or ())
        found = False
        for key in summary.placed:
            text = ""
            if key in summary.lowered and not (self._want.downgrade and key in asking):
                text = "it would be a downgrade"
            elif key not in asking and (key[0] in blocked or (self._want.dependencies != "any" and key not in allowed)):
                text = "it is not approved"
            if text:
                found = True
                (kept if key in asking else hidden)[key] = text
        several = {key[:2] for key in summary.placed}
        gone = sorted(key[0] for key in summary.removed if key[:2] not in several)
        if gone and not found:
            self._remover(gone, asking, kept)
            return True
        return found

    def _remover(self, gone: "List[str]", asking: "List[Key]", kept: "Dict[Key, str]") -> None:
        """zypper does not say which package removes others: each is tried by itself."""
        before = len(kept)
        for key in asking if len(asking) > 1 else ():
            out, _ = run(self._host, self._options, *self._install([key], "--dry-run"), env=self._environment())
            removed = sorted(name for name, _, _ in zypper_output.summary(out).removed)
            if removed:
                kept[key] = "it would remove %s" % ", ".join(removed)
        if len(kept) == before:
            kept.update((key, "it would remove %s" % ", ".join(gone)) for key in asking)

    def _lock(self, hidden: "Mapping[Key, str]") -> None:
        """The host's own locks and ours, in files that only our zypper reads."""
        locks = (self._host.read_file(LOCKS) or b"").decode("utf-8", "replace")
        for name in self._want.blocked or ():
            locks += _LOCK % name
        for name, _, version in sorted(hidden):
            locks += _LOCK_VERSION % (version, name)
        rpm_sources.write(self._host, self._top + "/locks", locks.encode("utf-8"))
        text = (self._host.read_file(CONFIGURATION) or b"").decode("utf-8", "replace")
        text = re.sub(r"(?m)^\s*locksfile\.path\s*=.*$", "", text)
        head = "" if re.search(r"(?m)^\[main\]", text) else "[main]\n"
        text = re.sub(r"(?m)^\[main\].*$", "[main]\nlocksfile.path = %s/locks" % self._top, head + text, count=1)
        rpm_sources.write(self._host, self._top + "/zypp.conf", text.encode("utf-8"))

    def _environment(self) -> "Dict[str, str]":
        return {"ZYPP_CONF": self._top + "/zypp.conf"}

    def _word(self, key: "Key") -> str:
        return self._files.paths.get(key) or "%s.%s=%s" % key

    def _install(self, keys: "Sequence[Key]", *flags: str) -> "List[str]":
        words = ["install", "--auto-agree-with-licenses", "--no-recommends", *flags]
        if self._want.downgrade:
            words.append("--oldpackage")
        if self._unsigned and self._files.paths:
            words.append("--allow-unsigned-rpm")
        return [*words, "--", *(self._word(key) for key in keys)]

    def install(self) -> None:
        host = self._host
        rpm_lock.wait(host, rpm_lock.ZYPP)
        again = rpm_database.repair(host)
        if again:
            # rpm keeps no note of scripts that did not run; installing the same version again runs them
            words = ["install", "--force", "--no-recommends", *("%s.%s=%s" % row[:3] for row in again)]
            run(host, self._options, *words, timeout=COMMIT_TIMEOUT_S)
        if not self._moving:
            return
        self._lock({})
        words = self._install(self._moving)
        automatic = _automatic(host)
        try:
            with rpm_sources.Keys(host, self._keys):
                out, ran = run(host, self._options, *words, timeout=COMMIT_TIMEOUT_S, env=self._environment())
        finally:
            _keep_automatic(host, automatic)
        _judge(["zypper", "--non-interactive", "--xmlout", *self._options, *words], out, ran)


def _automatic(host: "Host") -> "List[str]":
    """Names of packages that came as dependencies; nobody asked for them."""
    text = (host.read_file(AUTOMATIC) or b"").decode("utf-8", "replace")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def _keep_automatic(host: "Host", before: "Sequence[str]") -> None:
    """zypper takes every package that is named to it for one that a person wants; what came as a dependency stays one."""
    now = _automatic(host)
    if set(before) - set(now):
        lines = ["# packages that came as dependencies", *sorted(set(before) | set(now))]
        argv = ["install", "-m", "0644", "--", "/dev/stdin", AUTOMATIC]
        host.run(argv, input=("\n".join(lines) + "\n").encode("utf-8"))


def _explained(text: str, hidden: "Mapping[Key, str]", blocked: "Sequence[str]") -> str:
    """zypper's problem, with the reason of ours where it stumbles over a lock that we set."""
    locked = [(nevra(*key), cause) for key, cause in sorted(hidden.items()) if nevra(*key) in text]
    for name in blocked:
        locked += [
            (found, "it is not approved") for found in re.findall(r"\b%s-\d[^\s\[]*" % re.escape(name), text)[:1]
        ]
    if not locked:
        return text
    said = re.search(r" requires (.+?), but ", text)
    needs = "it needs %s" % said.group(1) if said else text
    return "%s, which would take %s, but %s" % (needs, ", ".join(name for name, _ in locked[:3]), locked[0][1])


def _judge(argv: "Sequence[str]", out: str, ran: "Ran") -> None:
    """Raises Failed with the last lines when not everything went well; a %post that fails is no failure to zypper."""
    text = zypper_output.entities(re.sub(r"<[^>]*>", "", out))
    ran = ran._replace(out=text[-65536:])
    if ran.timed_out:
        raise rpm_database.failed("zypper did not end within %d s" % COMMIT_TIMEOUT_S, "timed out", argv, ran)
    scripts = rpm_database.failed_scripts(text)
    if scripts:
        raise rpm_database.failed("; ".join(scripts), "scriptlet failed", argv, ran)
    if ran.code in FINE:
        return
    if ran.code is None or ran.code < 0:
        message = "zypper was killed (signal %d); the next run brings to its end what it was doing" % -(ran.code or 0)
        raise rpm_database.failed(message, "killed", argv, ran)
    said = said_by(out, ran)
    if rpm_database.file_system_error(text):
        raise rpm_database.failed("zypper install: %s" % said, "no space left on device", argv, ran)
    if ran.code == 7:
        raise rpm_database.failed("zypper install: %s" % said, "package manager is locked", argv, ran)
    if "ignature" in text or "not signed" in text or "unsigned" in text:
        raise rpm_database.failed("zypper install: %s" % said, "signature not accepted", argv, ran)
    raise rpm_database.failed("zypper install: %s" % said, "zypper install failed", argv, ran)
