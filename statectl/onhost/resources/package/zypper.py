"""rpm packages by zypper. Looking ahead uses a cache of our own, so that a plan writes nothing into zypp's."""

import re
from typing import TYPE_CHECKING, Dict, List

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import Offer, rpm

if TYPE_CHECKING:
    from typing import Optional, Sequence, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.package import Installed, Transaction
    from statectl.onhost.resources.package.as_planned import _Scratch

CACHE = "/var/cache/statectl/zypp"
COMMIT_TIMEOUT_S = 3600
LOCK_TIMEOUT_S = 120
NOTHING_FOUND = 104
FINE = (0, 100, 101, 102, 103, 106, 107)  # 100 and up: news, such as a reboot that is needed; 104 and 105 are errors
ENVIRONMENT = {"ZYPP_LOCK_TIMEOUT": str(LOCK_TIMEOUT_S), "ZYPPTMPDIR": "/tmp"}  # noqa: S108  zypp makes its own directory there
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_SOLVABLE = re.compile(r"<solvable ([^>]*)")


def usable(host: "Host") -> bool:
    return host.which("zypper") is not None and host.which("rpm") is not None


def installed(host: "Host", names: "Sequence[str]") -> "Dict[str, Installed]":
    text = (host.read_file("/etc/zypp/locks") or b"").decode("utf-8", "replace")
    held = set(re.findall(r"^\s*solvable_name:\s*(\S+)\s*$", text, re.MULTILINE))
    return rpm.installed(host, names, held)


def _zypper(host: "Host", words: "Sequence[str]", timeout: float) -> "Tuple[List[str], Ran]":
    argv = ["zypper", "--non-interactive", *words]
    return argv, host.run(argv, timeout=timeout, env=ENVIRONMENT, check=False)


class Index(object):
    """The repositories' metadata as zypper fetches them into our own cache.

    planned: where zypper finds its repositories as the plan will make them (as_planned.scratch), None: as they are.
    """

    def __init__(self, host: "Host", planned: "Optional[_Scratch]" = None) -> None:
        self._host = host
        self._options = planned.options if planned else ("--cache-dir", CACHE)
        self.brought: Dict[str, str] = {}

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _look(self, *words: str) -> "Tuple[List[str], Ran]":
        return _zypper(self._host, ["--xmlout", *self._options, *words], 600)

    def offers(self, names: "Sequence[str]") -> "Dict[str, Offer]":
        argv, ran = self._look("search", "--details", "--match-exact", "--type", "package", "--", *names)
        if ran.code not in (0, NOTHING_FOUND):
            raise Failed("zypper cannot read the repositories: %s" % why(ran), "zypper failed", argv, ran.code, ran.err)
        return parse_offers(ran.out, names)

    def simulate(self, transaction: "Transaction") -> str:
        if transaction.held:
            return ""  # a lock hides what would happen without it; it is opened before the commit, which looks again
        _, ran = self._look(*_words(transaction, "--dry-run"))
        if ran.code not in FINE:
            return "zypper cannot do it: %s" % why(ran)
        return objection(ran.out, transaction)


def parse_offers(text: str, names: "Sequence[str]") -> "Dict[str, Offer]":
    versions: Dict[str, List[str]] = {}
    for attributes in _solvables(text):
        if attributes.get("repository") != "(System Packages)" and "edition" in attributes:
            versions.setdefault(attributes.get("name", ""), []).append(attributes["edition"])
    found = {}
    for name in names:
        if name in versions:
            known = rpm.newest_first(versions[name])
            found[name] = Offer(known[0], known)
    return found


def _solvables(text: str) -> "List[Dict[str, str]]":
    return [dict(_ATTRIBUTE.findall(match)) for match in _SOLVABLE.findall(text)]


def _words(transaction: "Transaction", *flags: str) -> "List[str]":
    """zypper does it all at once: `!name` removes. Licences are agreed to as for every unattended installation."""
    if not transaction.install:
        return ["remove", *flags, "--", *transaction.leaving()]
    words = ["install", "--auto-agree-with-licenses", *flags]
    if transaction.recommends is not None:
        words.append("--recommends" if transaction.recommends else "--no-recommends")
    if transaction.replaced:
        words.append("--oldpackage")
    install = ["%s=%s" % pair if pair[1] else pair[0] for pair in transaction.install]
    return [*words, "--", *install, *("!" + name for name in transaction.leaving())]


def objection(text: str, transaction: "Transaction") -> str:
    """What a dry run would do to packages that nobody named -> text, '' : nothing."""
    parts = []
    for tag, word, allowed in (
        ("to-remove", "remove", set(transaction.leaving())),
        ("to-downgrade", "downgrade", set(transaction.names())),
    ):
        section = re.search("<%s>(.*?)</%s>" % (tag, tag), text, re.DOTALL)
        names = {attributes.get("name", "") for attributes in _solvables(section.group(1))} if section else set()
        if names - allowed:
            parts.append("%s %s" % (word, ", ".join(sorted(names - allowed))))
    return "it would also %s; name them in `packages` if that is meant" % " and ".join(parts) if parts else ""


def commit(host: "Host", transaction: "Transaction") -> None:
    with Index(host) as index:
        trouble = index.simulate(transaction)  # a plan may be old
    if trouble:
        raise Failed(trouble, "transaction refused")
    words = _words(transaction)
    argv, ran = _zypper(host, words, COMMIT_TIMEOUT_S)
    if ran.timed_out:
        raise Failed("zypper %s did not end within %d s" % (words[0], COMMIT_TIMEOUT_S), "timed out", argv)
    if ran.code not in FINE:
        cause = "package manager is locked" if ran.code == 7 else "zypper %s failed" % words[0]
        raise Failed("zypper %s: %s" % (words[0], why(ran)), cause, argv, ran.code, (ran.out + ran.err)[-4096:])


def why(ran: "Ran") -> str:
    """The line that tells the cause; in XML it is a message of type error, or the problem that a prompt describes."""
    said = re.findall(r'(?:<message type="error">|<description>)(.*?)(?: Solution 1:|</)', ran.out, re.DOTALL)
    if said:
        return " ".join(said[0].replace("&apos;", "'").replace("&quot;", '"').split())
    lines = [line.strip() for line in (ran.err + "\n" + ran.out).split("\n") if line.strip() and line[0] != "<"]
    return next(
        (line for line in lines if line.startswith(("Problem", "Error"))),
        lines[0] if lines else "exit code %s" % ran.code,
    )


def hold(host: "Host", names: "Sequence[str]", on: bool) -> None:
    argv, ran = _zypper(host, ["addlock" if on else "removelock", "--", *names], 300)
    if ran.code != 0:
        raise Failed("zypper cannot lock: %s" % why(ran), "zypper lock failed", argv, ran.code, ran.err[-4096:])
