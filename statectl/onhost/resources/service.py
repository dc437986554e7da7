"""systemd units that run. One `systemctl show` reads all of them; starting is success only when the unit stays up.

Half a second after its start a unit must be up, or what comes after it is not begun. At the end of the run all units that it started are
looked at again until each has had its two and a half seconds: one wait for all of them, and none when nothing was started.

UnitFileState                   found enabled    why
enabled                         True
disabled, linked, masked        False            linked: known to systemd, wanted by nothing
enabled-runtime                 'until reboot'   a link below /run: gone after the next boot
static, indirect, alias,        the word itself  nothing to enable or disable: either is taken as met, as `systemctl enable`
generated, transient                             would change nothing and every run would report a change
(no such unit)                  None             absent where something is to run, else as good as stopped and disabled
"""

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from statectl.onhost import replaced
from statectl.onhost.failure import Failed, Unknown
from statectl.onhost.removal import shown

if TYPE_CHECKING:
    from typing import Callable, Dict, Sequence, Tuple, Union

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import Removal

OPTIONS = ("on_notify",)
BATCH = True
PROPERTIES = [
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Type",
    "RemainAfterExit",
    "NeedDaemonReload",
    "CanReload",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
    "ActiveExitTimestampMonotonic",
    "ControlGroup",
    "InvocationID",
    "Result",
]
OWN = "/etc/systemd/system/"  # of the administrator: a mask is a link there
UP = ("active", "reloading", "refreshing")
FIXED = ("static", "indirect", "alias", "generated", "transient")
HOLD_S = 0.5  # how long a unit must stay up after it was started, before anything else is done
STABLE_S = 2.5  # and until it is told that it runs, at the end of the run
LOOK_S = 0.25
SETTLED_S = 5.0  # a unit that systemd itself restarted, and that is up for less, is in a loop until it proves otherwise
JOB_TIMEOUT_S = 300
_SUFFIXES = (
    ".service",
    ".socket",
    ".timer",
    ".path",
    ".target",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
)


class Desired(NamedTuple):
    """state of a found one: running, stopped, absent, or what systemd says instead (failed, activating ...).

    needrestart of a found one: text that names the replaced files which it still uses, None when there are none.
    """

    name: str
    state: Optional[str] = None
    enabled: Any = None
    masked: Any = None
    on_notify: Optional[str] = None
    needrestart: Any = None


def unit(name: str) -> str:
    return name if name.endswith(_SUFFIXES) else name + ".service"


def show(host: "Host", names: "Sequence[str]") -> "Dict[str, Dict[str, str]]":
    """-> {name: {property: text}}. Raises Failed where systemd does not run."""
    if not names:
        return {}
    ran = host.run(
        ["systemctl", "show", "--no-pager", "--property=" + ",".join(PROPERTIES), "--"]
        + [unit(name) for name in names],
        timeout=60,
        check=False,
    )
    blocks = [dict(line.split("=", 1) for line in block.split("\n") if "=" in line) for block in ran.out.split("\n\n")]
    blocks = [block for block in blocks if block]
    if ran.code != 0 or len(blocks) != len(names):
        said = (
            ran.err.strip().splitlines() or ["systemctl show answered for %d of %d units" % (len(blocks), len(names))]
        )[0]
        raise Failed("systemd cannot be asked about services: %s" % said, "systemd does not answer")
    return dict(zip(names, blocks))


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Unknown]]":
    try:
        shown = show(host, [want.name for want in wanted])
        host.units.update(shown)
    except Failed as error:
        return {want.name: Unknown(error.message) for want in wanted}
    return {want.name: _found(host, want, shown[want.name]) for want in wanted}


def _found(host: "Host", want: "Desired", block: "Dict[str, str]") -> "Desired":
    file_state = block.get("UnitFileState", "")
    masked = {"masked": True, "masked-runtime": "until reboot"}.get(file_state, False)
    if block["LoadState"] == "not-found" and not masked:
        if want.state == "running" or want.enabled or want.masked:
            return Desired(want.name, state="absent")
        # a unit whose file was removed runs on until it is stopped
        state = _state(block) if block["ActiveState"] != "failed" else "stopped"
        return Desired(want.name, state=state, enabled=False, masked=False)
    enabled = {"enabled": True, "enabled-runtime": "until reboot"}.get(file_state, False)
    if file_state == "generated":
        enabled = _generated(host, block["Id"])
    elif file_state in FIXED:
        enabled = file_state
    stale = replaced.used(host, block.get("ControlGroup", "")) if want.needrestart else []
    needs = "uses replaced %s" % shown(stale, 3) if stale else None
    return Desired(want.name, state=_state(block), enabled=enabled, masked=masked, needrestart=needs)


def _state(block: "Dict[str, str]") -> str:
    state = block["ActiveState"]
    if state == "active" and block.get("NRestarts", "0") not in ("", "0"):
        import time

        entered = block.get("ActiveEnterTimestampMonotonic", "0")
        if entered.isdigit() and 0 <= time.monotonic() - int(entered) / 1e6 < SETTLED_S:
            return "restarting"
    return "running" if state in UP else {"inactive": "stopped"}.get(state, state)


def _generated(host: "Host", name: str) -> "Union[bool, str]":
    """A SysV script is always `generated`; only its own links say whether it starts at boot."""
    said = host.run(["systemctl", "is-enabled", "--", name], timeout=60, check=False).out.strip()
    return {"enabled": True, "disabled": False}.get(said, "generated")


def same(field: str, wanted: object, found: object) -> bool:
    """What cannot be enabled or disabled is as wanted; what is not running is stopped."""
    if field == "enabled" and found in FIXED:
        return True
    if field == "needrestart":
        return not wanted or found is None
    if field == "state" and wanted == "stopped":
        return found in ("stopped", "failed")
    return bool(wanted) == found if field in ("enabled", "masked") else wanted == found


def doubt(want: "Desired", found: "Desired") -> str:
    """Why what is as wanted now may not be after changes that come before it, '' : it stays so."""
    if want.needrestart and found.state == "running":
        return "whether it uses files that this plan replaces shows only then"
    return ""


def disrupts(want: "Desired", found: "Desired", differing: "Sequence[str]") -> str:
    """See disruption.py. What is not up takes nothing away when it is started."""
    if "state" in differing and want.state == "stopped" and found.state != "absent":
        return "stop"
    if "needrestart" in differing and want.state != "stopped" and found.state == "running":
        return "restart"
    return ""


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What can never come out as wanted, told before anything is written. '' : fine."""
    if (want.state == "running" or want.enabled) and want.masked is None and found.masked:
        return "%s is masked; say `masked: false` to let it run" % unit(want.name)
    if want.masked and not found.masked and os.path.lexists(host.path(OWN + unit(want.name))):
        return "%s cannot be masked: %s%s is in the place of the mask" % (unit(want.name), OWN, unit(want.name))
    if want.state == "running" and found.state == "stopped":
        block = host.units.get(want.name) or show(host, [want.name])[want.name]  # that `found` was made of
        if block["LoadState"] in ("bad-setting", "error"):
            return _unusable(want.name, block).message
        if block.get("Type") == "oneshot" and block.get("RemainAfterExit") == "no":
            return (
                "%s is a oneshot that ends by itself, so it never stays running; enable it or its timer instead"
                % unit(want.name)
            )
    return ""


def apply(host: "Host", batch: "Sequence[Tuple[Desired, Desired, Sequence[str]]]") -> "Dict[str, Failed]":
    """All services of one association together: one reload of systemd, one call to enable, one wait for those that were started.

    For each: unmask, enable, start; or stop, disable, mask: in this order nothing is refused for what the next step would
    change. -> {name: Failed} of those that did not come out; the others go on.
    """
    failed = {}
    # what each unit is now is asked again: a package may have brought it
    blocks = show(host, [want.name for want, _, _ in batch])
    if any(block.get("NeedDaemonReload") == "yes" for block in blocks.values()):
        _systemctl(host, "daemon-reload")

    def each(step: "Callable[[Desired, Sequence[str]], None]") -> None:
        for want, _, differing in batch:
            if want.name not in failed:
                try:
                    step(want, differing)
                except Failed as error:
                    failed[want.name] = error

    def unmask(want: "Desired", differing: "Sequence[str]") -> None:
        block = blocks[want.name]
        if want.masked is False and "masked" in differing:
            _systemctl(host, "unmask", unit(want.name))
            if block.get("UnitFileState") == "masked-runtime":
                _systemctl(host, "--runtime", "unmask", unit(want.name))
            block = blocks[want.name] = show(host, [want.name])[want.name]
        if block["LoadState"] != "loaded" and (want.state == "running" or want.enabled):
            raise _unusable(want.name, block)

    def enable(want: "Desired", differing: "Sequence[str]") -> None:
        if "enabled" in differing and want.enabled:
            _systemctl(host, "enable", blocks[want.name]["Id"])  # by its own name: systemctl refuses to enable an alias

    started = {}

    def start(want: "Desired", differing: "Sequence[str]") -> None:
        if "state" in differing and want.state == "running":
            if blocks[want.name]["ActiveState"] == "failed":
                # or the start limit would refuse what was mended meanwhile
                _systemctl(host, "reset-failed", unit(want.name))
            started[want.name] = _begin(host, want.name, "start")
        elif "needrestart" in differing and want.state != "stopped":
            started[want.name] = _begin(host, want.name, "restart")

    def stop(want: "Desired", differing: "Sequence[str]") -> None:
        here = blocks[want.name]
        nothing = here["LoadState"] == "not-found" and here["ActiveState"] == "inactive"
        if "state" in differing and want.state == "stopped" and not nothing:
            host.started.pop(want.name, None)
            _systemctl(host, "stop", unit(want.name))
        if "enabled" in differing and want.enabled is False:
            _systemctl(host, "disable", blocks[want.name]["Id"])
            if blocks[want.name].get("UnitFileState") == "enabled-runtime":
                _systemctl(host, "--runtime", "disable", blocks[want.name]["Id"])
        if "masked" in differing and want.masked:
            _systemctl(host, "mask", unit(want.name))

    each(unmask)
    enabling = [
        blocks[want.name]["Id"]
        for want, _, differing in batch
        if want.name not in failed and "enabled" in differing and want.enabled
    ]
    if len(enabling) > 1:
        try:
            _systemctl(host, "enable", *enabling)
        except Failed:
            each(enable)  # one by one tells which
    else:
        each(enable)
    each(start)
    failed.update(_hold(host, _shown(host, started)))
    each(stop)
    return failed


def notify(host: "Host", want: "Desired", verb: str) -> None:
    """Restart, reload or try-restart. A unit that is wanted stopped, or that nobody started, is not started by a notification."""
    block = show(host, [want.name])[want.name]
    if block["LoadState"] != "loaded":
        raise _unusable(want.name, block)
    running = block["ActiveState"] in (*UP, "activating")
    if block.get("NeedDaemonReload") == "yes":
        _systemctl(host, "daemon-reload")
    if verb == "reload":
        if not running:
            return
        if block.get("CanReload") != "yes":
            raise Failed(
                "%s cannot reload (its unit has no ExecReload); say `on_notify: restart`" % unit(want.name),
                "cannot reload",
            )
        _start(host, want.name, "reload")
    elif running or (verb == "restart" and want.state == "running"):
        _start(host, want.name, "restart")


def _systemctl(host: "Host", *words: str) -> None:
    flags = [word for word in words if word.startswith("--")]
    verb, names = words[len(flags)], list(words[len(flags) + 1 :])
    host.run(
        ["systemctl", "--no-ask-password"] + flags + [verb] + (["--", *names] if names else []), timeout=JOB_TIMEOUT_S
    )


def _start(host: "Host", name: str, verb: str) -> None:
    """Start, restart or reload one unit, and be sure that it holds."""
    for error in _hold(host, _shown(host, {name: _begin(host, name, verb)})).values():
        raise error


def _begin(host: "Host", name: str, verb: str) -> float:
    """Start, restart or reload -> when it was up. Raises Failed when it does not come up."""
    import time

    ran = host.run(["systemctl", "--no-ask-password", verb, "--", unit(name)], timeout=JOB_TIMEOUT_S, check=False)
    begun = time.monotonic()
    if ran.timed_out or ran.code != 0:
        first = show(host, [name])[name]
        raise _broken(host, name, "%s: %s" % (verb, _why(ran, first)), first, "%s failed" % verb)
    return begun


def _shown(host: "Host", started: "Dict[str, float]") -> "Dict[str, Tuple[float, Dict[str, str]]]":
    """{name: when it was up} -> {name: (when, its properties)}, all asked together."""
    blocks = show(host, sorted(started))
    return {name: (begun, blocks[name]) for name, begun in started.items()}


def _hold(host: "Host", started: "Dict[str, Tuple[float, Dict[str, str]]]") -> "Dict[str, Failed]":
    """Do these stay up, in the same invocation, for HOLD_S? started: {name: (when, properties)} -> {name: Failed}.

    What holds is watched until the run ends.
    """
    import time

    broken = {}
    waiting = dict(started)
    blocks = {name: first for name, (_, first) in started.items()}
    while waiting:
        for name, (begun, first) in list(waiting.items()):
            block = blocks[name]
            moved = any(block.get(key) != first.get(key) for key in ("NRestarts", "InvocationID"))
            if block["ActiveState"] not in UP or moved:
                del waiting[name]
                if block.get("Type") != "oneshot" or _state(block) != "stopped":
                    broken[name] = _ended(host, name, begun, block)
            elif time.monotonic() - begun >= HOLD_S and _state(block) != "restarting":
                del waiting[name]
                host.started[name] = (begun, first)
        if waiting:
            left = max(begun for begun, _ in waiting.values()) + HOLD_S - time.monotonic()
            time.sleep(max(left, LOOK_S))
            blocks = show(host, sorted(waiting))
    return broken


def watched(host: "Host", name: str) -> bool:
    """Did this run start, restart or reload it, so that it may still end?"""
    return name in host.started


def fallen(host: "Host", names: "Sequence[str]", stop: "Callable[[], str]") -> "Dict[str, Failed]":
    """Did these stay up since this run started them? Looks at least once, and until each has had STABLE_S or stop() is true.

    Somebody else may have restarted one since, as a package does with its service; only systemd itself restarts what ended.
    """
    import time

    broken = {}
    waiting = {name: host.started[name] for name in names if name in host.started}
    while waiting:
        blocks = show(host, sorted(waiting))
        for name, (begun, first) in list(waiting.items()):
            block = blocks[name]
            by_systemd = _count(block) > _count(first)
            if block["ActiveState"] not in UP or by_systemd:
                del waiting[name]
                if block.get("Type") != "oneshot" or _state(block) != "stopped":
                    broken[name] = _ended(host, name, begun, block)
            elif time.monotonic() - begun >= STABLE_S:
                del waiting[name]
        until = max([begun for begun, _ in waiting.values()] or [0.0]) + STABLE_S
        while waiting and time.monotonic() < until:
            if stop():
                return broken
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
    return broken


def _count(block: "Dict[str, str]") -> int:
    """How often systemd restarted it since somebody started it."""
    count = block.get("NRestarts", "0")
    return int(count) if count.isdigit() else 0


def _ended(host: "Host", name: str, begun: float, block: "Dict[str, str]") -> "Failed":
    """begun: when it was seen up. systemd knows when it was up for the last time; where it does not say, it was now."""
    import time

    left = block.get("ActiveExitTimestampMonotonic", "0")
    until = int(left) / 1e6 if left.isdigit() else 0.0
    after = (until if until >= begun else time.monotonic()) - begun
    return _broken(host, name, "active for %.1f s, then %s" % (after, _now(block)), block)


def instance(host: "Host", want: "Desired") -> str:
    """Which start of the unit this is: tells a restart that happened from one that is still owed."""
    return show(host, [want.name])[want.name].get("InvocationID", "")


def _now(block: "Dict[str, str]") -> str:
    """'failed (exit-code)', or 'restarted by systemd' when it is already up again."""
    if block["ActiveState"] in UP:
        return "restarted by systemd"
    return block["ActiveState"] + (" (%s)" % block["Result"] if block.get("Result", "success") != "success" else "")


def _why(ran: "Ran", block: "Dict[str, str]") -> str:
    if ran.timed_out:
        return "no end within %d s" % JOB_TIMEOUT_S
    if block["ActiveState"] == "failed":
        return _now(block)
    lines = [line.strip() for line in ran.err.splitlines() if line.strip()]
    return lines[0] if lines else "systemctl exited with code %s" % ran.code


def _broken(
    host: "Host", name: str, what: str, block: "Dict[str, str]", cause: str = "service did not stay up"
) -> "Failed":
    """Failed with the last ten lines that the unit itself wrote."""
    argv = ["journalctl", "--no-pager", "--lines=10", "--output=short-iso", "--unit=" + block.get("Id", unit(name))]
    ran = host.run(argv, timeout=30, check=False)
    return Failed("%s %s" % (unit(name), what), cause, argv, None, ran.out[-4096:])


def _unusable(name: str, block: "Dict[str, str]") -> "Failed":
    if block["LoadState"] == "masked":
        return Failed("%s is masked; say `masked: false` to let it run" % unit(name), "unit is masked")
    if block["LoadState"] == "not-found":
        return Failed(
            "no unit %s on this host; does its package bring it under another name?" % unit(name), "no such unit"
        )
    said = block.get("LoadError", "").strip('"').partition(" ")[2].strip('"')
    return Failed("%s cannot be loaded: %s" % (unit(name), said or block["LoadState"]), "unit cannot be loaded")


def removal(record: "Removal") -> "Optional[Desired]":
    """Before we came it ran or not, and started at boot or not: that again. Where there was no unit: stopped and disabled."""
    before, want = record["before"], record["want"]
    if record["created"] or before.get("state") in (None, "absent"):
        return Desired(record["name"], state="stopped", enabled=False)
    restored = {}
    if want.get("state") is not None:
        restored["state"] = "running" if before["state"] == "running" else "stopped"
    for field in ("enabled", "masked"):
        if want.get(field) is not None and isinstance(before.get(field), bool):
            restored[field] = before[field]
    return Desired(record["name"], **restored) if restored else None
