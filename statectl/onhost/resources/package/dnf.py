"""rpm packages by dnf (4 and 5). Looking ahead uses a cache of our own, so that a plan writes nothing into dnf's.

dnf has no one transaction for installing, downgrading and removing: removals come first, then the rest.
"""

import re
from typing import TYPE_CHECKING, Dict, List, Set

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import Offer, rpm
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Iterator, Optional, Sequence

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.package import Installed, Transaction
    from statectl.onhost.resources.package.as_planned import _Scratch

CACHE = "/var/cache/statectl/dnf"
COMMIT_TIMEOUT_S = 3600
_LOCKS = ("/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml")
_HEADING = re.compile(r"^\S.*:$")


def usable(host: "Host") -> bool:
    return _tool(host) is not None and host.which("rpm") is not None


def _tool(host: "Host") -> "Optional[str]":
    return next((name for name in ("dnf", "dnf5") if host.which(name)), None)


def installed(host: "Host", names: "Sequence[str]") -> "Dict[str, Installed]":
    return rpm.installed(host, names, _held(host, names))


def _held(host: "Host", names: "Sequence[str]") -> "Set[str]":
    text = "\n".join((host.read_file(path) or b"").decode("utf-8", "replace") for path in _LOCKS)
    entries = [line.strip() for line in text.split("\n")]
    return {
        name
        for name in names
        if any(re.match(re.escape(name) + r"-(\d+:)?[^-\s]+-[^-\s]+\Z", line) for line in entries)
        or 'name = "%s"' % name in entries
    }


def _argv(host: "Host", *words: str) -> "List[str]":
    release = (host.read_file("/etc/dnf/vars/releasever") or b"").decode("utf-8", "replace").strip()
    return [_tool(host) or "dnf", *(["--releasever=" + release] if release else []), *words]


def looking(host: "Host", *words: str) -> "List[str]":
    """-> argv that writes nothing into dnf's own cache."""
    return _argv(host, "--setopt=cachedir=" + CACHE, "--setopt=persistdir=" + CACHE + "/persist", *words)


class Index(object):
    """The repositories' metadata as dnf fetches them; kept in a cache of our own until dnf thinks them too old.

    planned: where dnf finds its repositories as the plan will make them (as_planned.scratch), None: as they are.
    """

    def __init__(self, host: "Host", planned: "Optional[_Scratch]" = None) -> None:
        self._host = host
        self._options = planned.options if planned else ()
        self.brought: Dict[str, str] = {}

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _looking(self, *words: str) -> "List[str]":
        return looking(self._host, *self._options, *words)

    def offers(self, names: "Sequence[str]") -> "Dict[str, Offer]":
        shown = "%{name} %{evr} %{arch}\\n"
        argv = self._looking("-q", "repoquery", "--available", "--showduplicates", "--queryformat", shown, "--", *names)
        ran = self._host.run(argv, timeout=600, check=False)
        if ran.code != 0:
            raise Failed(
                "dnf cannot read the repositories: %s" % why(ran), "dnf failed", argv, ran.code, ran.err[-4096:]
            )
        return parse_offers(ran.out, names)

    def simulate(self, transaction: "Transaction") -> str:
        if transaction.held:
            return ""  # a lock hides what would happen without it; it is opened before the commit, which looks again
        for words in _steps(self._host, transaction):
            ran = self._host.run(self._looking("--assumeno", *words), timeout=600, check=False)
            text = ran.out + ran.err
            if ran.code != 0 and "Operation aborted" not in text:
                return "dnf cannot do it: %s" % why(ran)
            trouble = objection(text, transaction)
            if trouble:
                return trouble
        return ""


def parse_offers(text: str, names: "Sequence[str]") -> "Dict[str, Offer]":
    versions: Dict[str, List[str]] = {}
    for line in text.split("\n"):
        words = line.split()
        if len(words) == 3:
            version = words[1][2:] if words[1].startswith("0:") else words[1]
            for key in (words[0], "%s.%s" % (words[0], words[2])):
                versions.setdefault(key, []).append(version)
    found = {}
    for name in names:
        if name in versions:
            known = rpm.newest_first(versions[name])
            found[name] = Offer(known[0], known)
    return found


def _steps(host: "Host", transaction: "Transaction") -> "Iterator[List[str]]":
    """-> argument lists for dnf, each one transaction of its own."""
    if transaction.leaving():
        # what nobody needs any more stays: it was not named
        yield ["remove", "--setopt=clean_requirements_on_remove=False", "--", *transaction.leaving()]
    there = installed(host, [name for name, _ in transaction.install]) if transaction.replaced else {}
    for verb in ("install", "downgrade"):
        names = []
        for name, version in transaction.install:
            replaced = version is not None and name in transaction.replaced
            lower = replaced and compare_rpm(version or "", there[name].version or "") < 0
            if lower == (verb == "downgrade"):
                names.append("%s-%s" % (name, version) if version else name)
        if names:
            words = [verb]
            if transaction.recommends is not None:
                words.append("--setopt=install_weak_deps=%s" % transaction.recommends)
            yield [*words, "--", *names]


def objection(text: str, transaction: "Transaction") -> str:
    """What a table of `--assumeno` would do to packages that nobody named -> text, '' : nothing."""
    named = set(transaction.names())
    removed: Set[str] = set()
    lowered: Set[str] = set()
    current = None
    for line in text.split("\n"):
        if _HEADING.match(line.strip()) and not line.startswith("  "):
            heading = line.strip().lower()
            current = (
                removed if heading.startswith("removing") else lowered if heading.startswith("downgrading") else None
            )
        elif not line.strip() or line.startswith("Transaction Summary"):
            current = None
        elif current is not None and len(line.split()) >= 3:
            current.add(line.split()[0])
    parts = []
    if removed - set(transaction.leaving()):
        parts.append("remove %s" % ", ".join(sorted(removed - set(transaction.leaving()))))
    if lowered - named:
        parts.append("downgrade %s" % ", ".join(sorted(lowered - named)))
    return "it would also %s; name them in `packages` if that is meant" % " and ".join(parts) if parts else ""


def commit(host: "Host", transaction: "Transaction") -> None:
    with Index(host) as index:
        trouble = index.simulate(transaction)  # a plan may be old, and dnf has no option that forbids removals
    if trouble:
        raise Failed(trouble, "transaction refused")
    for words in _steps(host, transaction):
        argv = _argv(host, "-y", *words)
        ran = host.run(argv, timeout=COMMIT_TIMEOUT_S, check=False)
        if ran.timed_out:
            raise Failed("dnf %s did not end within %d s" % (words[0], COMMIT_TIMEOUT_S), "timed out", argv)
        if ran.code != 0:
            output = (ran.out + ran.err)[-4096:]
            raise Failed("dnf %s: %s" % (words[0], why(ran)), "dnf %s failed" % words[0], argv, ran.code, output)


def why(ran: "Ran") -> str:
    """The line that tells the cause."""
    lines = [line.strip() for line in (ran.err + "\n" + ran.out).split("\n") if line.strip()]
    for index, line in enumerate(lines):
        if re.match(r"Error: ?$", line) or line.startswith("Problem"):
            return " ".join(lines[index + 1 : index + 3] if line.startswith("Error") else lines[index : index + 2])
        if line.startswith(("Error: ", "Failed to download", "No match for argument")):
            return line[7:] if line.startswith("Error: ") else line
    return lines[0] if lines else "exit code %s" % ran.code


def hold(host: "Host", names: "Sequence[str]", on: bool) -> None:
    argv = _argv(host, "-q", "versionlock", "add" if on else "delete", "--", *names)
    ran = host.run(argv, timeout=300, check=False)
    if ran.code != 0:
        if "No such command" in ran.out + ran.err or "Unknown argument" in ran.out + ran.err:
            message = "`hold` needs dnf's plugin versionlock (package python3-dnf-plugin-versionlock)"
            raise Failed(message, "dnf has no versionlock", argv, ran.code)
        raise Failed("dnf versionlock: %s" % why(ran), "dnf versionlock failed", argv, ran.code, ran.err[-4096:])
