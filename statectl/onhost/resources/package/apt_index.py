"""apt's indexes: how old they are, how they are refreshed, and fresh ones to look at without touching the host's own."""

import re
import time

from statectl.onhost.failure import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran

IN_MEMORY = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")  # or a plan would write /var/cache/apt
TEMPLATE = "/tmp/statectl-apt.XXXXXXXXXX"  # noqa: S108  for mktemp, which makes it 0700 under a name nobody knows
LISTS = "/var/lib/apt/lists"
OLD_S = 3600  # younger lists are believed when they do not know a name
LOCK_TIMEOUT_S = 120
UPDATE_TIMEOUT_S = 600
PATIENCE = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30")

# what apt says -> short class of cause; the first that fits
_CAUSES = (
    (r"Temporary failure resolving|Could not resolve|Name or service not known", "repository name does not resolve"),
    (r"Connection refused|No route to host|Network is unreachable|Unable to connect", "repository not reachable"),
    (r"[Tt]imed out|Connection failed", "repository does not answer"),
    (r"\b40[134]\b|File not found|does not have a Release file", "repository has no such index"),
    (r"Hash Sum mismatch|unexpected size|Mirror sync in progress", "index does not match its hash"),
    # where a server ends a transfer early, apt may know no cause, or say none at all
    (r"Undetermined Error|closed prematurely|Error reading from server", "index was not fetched whole"),
    (r"is expired|is not valid yet|no longer valid|invalid since", "index is out of its time"),
    (
        r"NO_PUBKEY|EXPKEYSIG|BADSIG|REVKEYSIG|is (?:not|no longer) signed|signatures? (?:were|was|couldn't)|NODATA",
        "signature not accepted",
    ),
    (r"Failed to fetch \S+[ \t]*(?=\n|$)", "index was not fetched whole"),
)
_HELD = re.compile(r"Could not get lock (?P<lock>\S+?)\.? It is held by process (?P<pid>\d+)(?: \((?P<program>.*?)\))?")
_HELD_DPKG = re.compile(
    r"dpkg: error: (?P<lock>dpkg \S+(?: \S+)? lock) (?:is|was) locked by another process(?: with pid (?P<pid>\d+))?"
)


def may_be_outdated(host: "Host") -> bool:
    """Were the lists fetched over an hour ago, or never? Their own times are those of the server; the directory's tell."""
    if not any(name.endswith("Release") for name in host.listdir(LISTS)):
        return True
    fetched = [host.lstat(path) for path in (LISTS, LISTS + "/partial")]
    return time.time() - max([status.st_mtime for status in fetched if status is not None] or [0]) > OLD_S


class Scratch(object):
    """Fresh lists of all configured repositories in a directory below /tmp; `options` make apt look there. Close it.

    env: says where the configuration is, when it is not the host's own.
    """

    def __init__(self, host: "Host", env: "Optional[Mapping[str, str]]" = None) -> None:
        self._host = host
        self._top = host.run(["mktemp", "-d", TEMPLATE]).out.strip()
        parts = [self._top + part for part in ("/lists/partial", "/cache/archives/partial")]
        self.options = ("-o", "Dir::State::Lists=%s/lists" % self._top, "-o", "Dir::Cache=%s/cache" % self._top)
        try:
            host.run(["mkdir", "-p", "--", *parts])
            host.run(["chmod", "0755", "--", self._top])  # apt fetches as user _apt
            if host.uid == 0 and host.user_id("_apt") is not None:
                host.run(["chown", "_apt", "--", *parts])
            update(host, self.options, env)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._host.run(["rm", "-rf", "--", self._top], check=False)


def refresh(host: "Host") -> None:
    """apt-get update for all repositories. Raises Failed with the cause in one line."""
    update(host, ())


def refresh_one(host: "Host", path: str) -> None:
    """apt-get update for the repositories of one source file; the lists of the others stay as they are."""
    only = ("-o", "Dir::Etc::sourcelist=" + path, "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0")
    update(host, only)


def update(
    host: "Host", options: "Sequence[str]", env: "Optional[Mapping[str, str]]" = None, timeout: float = UPDATE_TIMEOUT_S
) -> None:
    argv = ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any", *PATIENCE, *options]
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        ran = host.run(argv, timeout=timeout, env=env, check=False)
        holder = lock_holder(ran.err)
        if not holder or time.monotonic() > deadline:
            break
        time.sleep(2)  # apt itself does not wait for the lock of the lists
    if holder:
        raise Failed(holder, "package manager is locked", argv, ran.code, ran.err[-4096:])
    trouble = complaint(ran)
    if ran.timed_out:
        trouble = ("apt-get update did not end within %d s" % timeout, "repository does not answer")
    if trouble:
        raise Failed(trouble[0], trouble[1], argv, ran.code, (ran.out + ran.err)[-4096:])


def complaint(ran: "Ran") -> "Optional[Tuple[str, str]]":
    """What went wrong in `apt-get update` -> (one line, class of cause), or None. apt exits 0 when it falls back to old lists."""
    lines = [line for line in (ran.err + "\n" + ran.out).split("\n") if re.match(r"(E|W|Err):", line)]
    failed = [line for line in lines if line.startswith("E: ") or "Failed to fetch" in line or "old ones used" in line]
    if ran.code == 0 and not failed:
        return None
    # the reason may stand in a warning, or behind the address in an Err: line's next line
    text = ran.err + "\n" + ran.out
    for pattern, cause in _CAUSES:
        match = re.search("[^\n]*(?:%s)[^\n]*" % pattern, text)
        if match:
            return "%s: %s" % (cause, re.sub("^(E|W|Err): ?", "", match.group(0).strip())), cause
    first = failed[0][3:] if failed else "exit code %s" % ran.code
    return "apt-get update failed: %s" % first, "apt-get update failed"


def lock_holder(text: str) -> str:
    """'held for 120 s by process 4711 (unattended-upgr): /var/lib/dpkg/lock-frontend', '' when no lock is in the way."""
    match = _HELD.search(text) or _HELD_DPKG.search(text)
    if match is None:
        taken = "Could not get lock" in text or "Unable to acquire the dpkg frontend lock" in text
        return "package manager is locked by another process for %d s" % LOCK_TIMEOUT_S if taken else ""
    found = match.groupdict()
    holder = "process %s" % found["pid"] if found.get("pid") else "another process"
    if found.get("program"):
        holder += " (%s)" % found["program"]
    return "package manager is locked: %s held for %d s by %s" % (found["lock"], LOCK_TIMEOUT_S, holder)
