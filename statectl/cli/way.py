"""The way to one host, step by step: name, route, TCP, host key, login, shell, sudo, Python, disk, clock. `doctor` prints it."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statectl.errors import StatectlError, Unreachable
from statectl.store.ids import new_id

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.transport.channel import Endpoint

SLOW_LINK_S = 0.05
SLOW_START_S = 5.0
SKEW_S = 60.0
LITTLE_MB = 64  # a file system with less room than this is told
STATE = ("/var/lib/statectl", "/var/cache/statectl", "/var", "/")
# what fails with this code is found at this step
STEP_OF = {
    "E301": "tcp",
    "E302": "tcp",
    "E303": "name",
    "E304": "login",
    "E305": "login",
    "E306": "settings",
    "E311": "host key",
    "E312": "host key",
    "E313": "host key",
    "E320": "python",
    "E322": "start",
    "E323": "shell",
    "E330": "sudo",
    "E331": "sudo",
    "E332": "sudo",
    "E333": "sudo",
    "E334": "sudo",
    "E335": "sudo",
    "E503": "disk",
}
NEXT = {
    "E301": "start sshd there (systemctl start ssh), or mend port and address in the inventory",
    "E302": "see on its console whether it is up and sshd answers there; else a firewall drops the port",
    "E303": "mend address in the inventory, or the resolver and routes of this machine",
    "E304": "put your public key into authorized_keys of that user there",
    "E305": "read the log of sshd there (journalctl -u ssh): MaxStartups, hosts.deny, or another service on this port",
    "E306": "check ~/.ssh/config and the identity files that it and the inventory name",
    "E310": "run the same command again; the host keeps what was done there",
    "E312": "compare the fingerprint on the host's console; then mend host_key in the inventory",
    "E321": "something other than statectl's executor answers there: look at login scripts and wrappers around the shell",
    "E322": "try: ssh HOST python3 --version",
    "E331": "try the password there: ssh HOST sudo -v",
    "E332": "let this user become root there (visudo), or name another user in the inventory",
    "E335": "mend become: in the inventory",
    "E503": "make the directory that the message names usable for this user: owner, mode, room",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One that works. `hint`: what could be better all the same."""

    name: str
    text: str
    mark: str = "ok"
    hint: str = ""


def failed_step(error: StatectlError) -> str:
    return STEP_OF.get(error.code, "host")


def next_step(error: StatectlError, host: str) -> str:
    found = error.hint or NEXT.get(error.code, f"statectl explain {error.code}" if error.code else "")
    return found.replace("HOST", host)


async def way(opened: "Opened", host: str, endpoint: "Endpoint") -> AsyncIterator[Step]:
    """The steps that work, in turn. Raises the StatectlError of the first that does not."""
    if endpoint.connection == "ssh":
        async for step in _to_the_shell(opened, host, endpoint):
            yield step
    began = time.monotonic()
    conversation = await opened.converse(host, new_id(), "facts")
    ready = await opened.answer(conversation)
    seconds = time.monotonic() - began
    if endpoint.become is not None:
        yield Step("sudo", f"as {endpoint.become.user}")
    facts = ready["facts"]
    for step in _inside(ready, facts, careful=conversation.careful):
        yield step
    if conversation.sent:
        again = await opened.converse(host, new_id(), "facts")
        await opened.answer(again)
        if again.sent:
            yield Step(
                "cache",
                "the executor is not kept there and is sent at every contact",
                "warning",
                "look at the owner, mode and room of /var/cache/statectl there (~/.cache/statectl for other users)",
            )
    if seconds > SLOW_START_S:
        through = "sudo, login or " if endpoint.become is not None else "login or "
        yield Step(
            "executor",
            f"answered after {seconds:.1f} s",
            "warning",
            f"something in {through}facts waits there: a directory server, a name server, a file system that hangs",
        )
    else:
        yield Step("executor", f"answered in {seconds * 1000:.0f} ms")


async def _to_the_shell(opened: "Opened", host: str, endpoint: "Endpoint") -> AsyncIterator[Step]:
    from statectl.transport.knock import ask_shell, knock, look_up, resolve
    from statectl.transport.session import CONTACT_S

    at = resolve(endpoint)
    if endpoint.jump:
        yield Step("jump", " then ".join(endpoint.jump))
    if at.direct:
        address, ours = look_up(at)
        yield Step("name", f"{endpoint.address} is {address}")
        yield Step("route", f"from {ours}")
        seconds, banner = knock(at, CONTACT_S)
        slow = seconds > SLOW_LINK_S
        yield Step(
            "tcp",
            f"port {at.port} answers in {seconds * 1000:.1f} ms" + (f": {banner}" if banner else ""),
            "warning" if slow else "ok",
            "the link is slow; nothing is wrong with that" if slow else "",
        )
        if not banner:
            yield Step(
                "banner",
                "the connection was closed before SSH began",
                "warning",
                "sshd there turns some away (MaxStartups, hosts.deny); it is asked again",
            )
        elif not banner.startswith("SSH-"):
            raise Unreachable(f"what answers is no SSH server: {banner[:100]}", code="E305")
    shell = await ask_shell(opened.transport(endpoint.connection), endpoint, contact_s=CONTACT_S)
    yield Step("host key", "is the one on file")
    note = opened.note(host)
    yield Step("login", f"as {shell.user}" + (f"; {note}" if note else ""), "warning" if note else "ok")
    odd = []
    if shell.noise:
        odd.append(f"prints {shell.noise:,} bytes of its own (ignored)")
    if shell.terminal:
        odd.append("puts a terminal around commands")
    if not shell.has_home:
        odd.append(f"home {shell.home or '(none)'} is not there")
    if shell.python_variables:
        odd.append("sets PYTHON variables (ignored)")
    if shell.umask not in ("0022", "022", "0002", "0027", "0077"):
        odd.append(f"umask {shell.umask} (not used)")
    hint = "login scripts of this user should print and change nothing when no terminal is there" if odd else ""
    yield Step("shell", "; ".join(odd) or "runs commands", "warning" if odd else "ok", hint)


def _inside(ready: Mapping[str, Any], facts: Mapping[str, Any], *, careful: bool) -> list[Step]:
    python, system = _map(facts.get("python")), _map(facts.get("os"))
    steps = [
        Step(
            "python",
            f"{python.get('version', '?')} {python.get('executable', '')}"
            + ("; the first python3 there does not work" if careful else ""),
            "warning" if careful else "ok",
            "mend it, or name a good one with python: in the inventory" if careful else "",
        ),
        Step("user", f"uid {ready.get('uid')}"),
        Step("system", f"{system.get('name', '?')} {system.get('version', '')}"),
    ]
    steps += _disks(facts)
    steps += _clock(facts)
    missing = {name: why for name, why in _map(facts.get("missing")).items() if name != "mounts"}
    if missing:
        steps.append(
            Step("facts", "missing: " + ", ".join(f"{name} ({why})" for name, why in missing.items()), "warning")
        )
    memory = _map(ready.get("memory"))
    if memory.get("lock"):
        steps.append(Step("lock", f"held: {memory['lock']}", "waiting"))
    undelivered = memory.get("undelivered") or []
    if undelivered:
        count = len(undelivered)
        steps.append(Step("results", f"{count} of earlier runs wait here; the next plan takes them over", "waiting"))
    return steps


def _disks(facts: Mapping[str, Any]) -> list[Step]:
    found = facts.get("mounts")
    mounts = {str(one.get("path")): one for one in found if isinstance(one, dict)} if isinstance(found, list) else {}
    steps = []
    hung = _map(facts.get("missing")).get("mounts")
    if hung:
        steps.append(
            Step("disk", str(hung), "warning", "mend its server, or umount -l it there: whatever touches it hangs")
        )
    for path, mount in mounts.items():
        room = mount.get("available_mb")
        if path in STATE and mount.get("read_only"):
            steps.append(Step("disk", f"{path} is read-only", "warning", f"mount -o remount,rw {path}; dmesg says why"))
        elif path in STATE and isinstance(room, int) and room < LITTLE_MB:
            steps.append(Step("disk", f"{path} has {room} MB left", "warning", f"make room below {path}"))
    return steps or [Step("disk", "room for what statectl remembers")]


def _clock(facts: Mapping[str, Any]) -> list[Step]:
    skew = _map(facts.get("time")).get("skew_s")
    if not isinstance(skew, int):
        return []
    if abs(skew) < SKEW_S:
        return [Step("clock", "is right")]
    size = f"{abs(skew) / 86400:.1f} days" if abs(skew) > 86400 else f"{abs(skew) / 60:.0f} minutes"
    way = "ahead" if skew > 0 else "behind"
    return [
        Step(
            "clock",
            f"is {size} {way}; nothing is decided by it",
            "warning",
            "timedatectl there shows whether it is synchronised",
        )
    ]


def _map(value: Any) -> Mapping[str, Any]:
    """A part of the facts; a host may say anything."""
    return value if isinstance(value, dict) else {}
