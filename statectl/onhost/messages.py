"""What the controller may say, checked before anybody acts on it: every message's keys, their types and their bounds.

Both halves are of one content hash, so an unknown key is a mistake and is refused, never passed over.
"""

import re

from statectl.onhost.protocol import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Sequence, Tuple

    from statectl.onhost.shapes import JSON, Check, Message

# drift: a plan of what was applied last; inventory: facts, and what is collected beside them; confirm: of a change that could lock us out; follow, cancel: about another's run;
# health: is what was changed a while ago still well?
KINDS = ("plan", "drift", "apply", "facts", "run", "ping", "confirm", "follow", "cancel", "health", "inventory")
HEALTH_KINDS = ("tcp", "http", "command")
PROBE_TYPES = ("text", "integer", "boolean", "json")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
ADDRESS = re.compile(r"[a-z][a-z0-9_]{0,63}:.{1,4200}\Z", re.DOTALL)
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
DISRUPT = re.compile(r"never\Z|typed\Z|window:[a-z][a-z0-9_-]{0,127}\Z")
MAX_TEXT = 8192
MAX_SECRETS = 10000


def _run_id(value: "JSON") -> bool:
    return isinstance(value, str) and RUN_ID.match(value) is not None


def _text(value: "JSON") -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def _long_text(value: "JSON") -> bool:
    return isinstance(value, str)


def _flag(value: "JSON") -> bool:
    return isinstance(value, bool)


def _seconds(value: "JSON") -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 7 * 86400


def _count(value: "JSON") -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _map(value: "JSON") -> bool:
    return isinstance(value, dict)


def _argv(value: "JSON") -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) and "\0" not in part for part in value)


def _address(value: "JSON") -> bool:
    return isinstance(value, str) and ADDRESS.match(value) is not None


def _sha256(value: "JSON") -> bool:
    return isinstance(value, str) and SHA256.match(value) is not None


def _disrupt(value: "JSON") -> bool:
    return isinstance(value, str) and DISRUPT.match(value) is not None


def _list_of(check: "Check") -> "Check":
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def _map_of(check: "Check") -> "Check":
    return lambda value: isinstance(value, dict) and all(check(item) for item in value.values())


def _one_of(words: "Sequence[str]") -> "Check":
    return lambda value: isinstance(value, str) and value in words


def _or_none(check: "Check") -> "Check":
    return lambda value: value is None or check(value)


def _shape(required: "Dict[str, Check]", optional: "Optional[Dict[str, Check]]" = None) -> "Check":
    """A check for a dict with these keys and no others."""
    optional = optional or {}

    def check(value: "JSON") -> bool:
        if not isinstance(value, dict) or not set(required) <= set(value):
            return False
        return all(
            (key in required or key in optional) and (required.get(key) or optional[key])(item)
            for key, item in value.items()
        )

    return check


_PROBE = _shape(
    {"name": lambda value: isinstance(value, str) and NAME.match(value) is not None, "argv": _argv},
    {"type": _one_of(PROBE_TYPES), "timeout_s": _seconds},
)
# seconds: until a change is undone that no new login confirms; login, sudo: what the controller needs to come back
_LOCK_OUT = _shape({"seconds": _seconds, "login": _flag, "sudo": _flag})
_COMMAND = _shape(
    {},
    {
        "argv": _or_none(_argv),
        "script": _or_none(_long_text),
        "stdin": _or_none(_shape({"$blob": _sha256, "size": _count})),
        "user": _or_none(_text),
        "cwd": _or_none(_text),
        "env": _or_none(_map_of(_long_text)),
        "timeout_s": _or_none(_seconds),
    },
)
# what is collected: types (all without it), hashes of what is known, files, patterns of certificates, commands of custom types
_COLLECT = _shape(
    {},
    {
        "types": _list_of(_text),
        "known": _map_of(_sha256),
        "files": _list_of(
            _shape(
                {"path": _text, "pattern": _list_of(_text)},
                {"depth": _count, "scan": _count, "hash": _flag},
            )
        ),
        "certificates": _list_of(_text),
        "custom": _map_of(_shape({"argv": _argv, "timeout_s": _seconds})),
    },
)
# a scan of packages: how old an index may be before it is fetched again, repositories in place of the host's own, and of which
# packages ("name arch version") the changelog is wanted
_PATCHING = _shape({}, {"refresh_s": _seconds, "sources": _list_of(_map), "changelogs": _list_of(_text)})
_LIMITS = _shape(
    {},
    {
        "paths": _or_none(_list_of(_text)),
        "deny": _or_none(_list_of(_text)),
        "max_removals": _or_none(_count),
        "become": lambda value: value is None or isinstance(value, (str, bool, list)),
    },
)
_SOURCE = _or_none(_map)
_HEALTH = {"kind": _one_of(HEALTH_KINDS), "what": _argv, "expect": _count, "within_s": _seconds}
_ASSOCIATION = _shape(
    {"name": _text},
    {
        "requires": _list_of(_text),
        "mode": _one_of(("enforce", "audit")),
        "selected": _flag,
        "severity": _or_none(_text),
        "health": _or_none(_shape(_HEALTH)),
        "disrupt": _disrupt,
        "source": _SOURCE,
    },
)
_RESOURCE = _shape(
    {"address": _address, "type": _text, "association": _text, "phase": _count, "want": _map},
    {
        "owners": _list_of(_text),
        "after": _list_of(_address),
        "notify": _list_of(_address),
        "sensitive": _flag,
        "on_removal": _or_none(_one_of(("delete", "restore", "leave"))),
        "protect": _flag,
        "source": _SOURCE,
        "overrides": _list_of(_map),
        "disrupt": _disrupt,  # in place of what its association says
    },
)

# message: (required keys, optional keys). `type` itself is always there.
SHAPES: "Dict[str, Tuple[Dict[str, Check], Dict[str, Check]]]" = {
    "order": (
        {"run": _run_id, "host": _text, "kind": _one_of(KINDS)},
        {
            "state_dir": _or_none(_text),
            "limits": _or_none(_LIMITS),
            "probes": _list_of(_PROBE),
            "collect": _or_none(_COLLECT),
            "patching": _or_none(_PATCHING),
            "deadline_s": _or_none(_seconds),
            "lock_timeout_s": _or_none(_seconds),
            "rebooted": _count,  # times that this run rebooted the host already
            "controller": _text,
            "commit": _or_none(_text),
            "known": _list_of(_run_id),
            "command": _or_none(_COMMAND),
            "lock_out": _or_none(_LOCK_OUT),
            "checks": _list_of(_shape(dict(_HEALTH, association=_text))),
            # the highest run counter that this controller has seen of this host
            "seen": _or_none(_shape({"host_id": _text, "number": _count})),
            # follow and cancel: which run ('': the one that holds the lock), for how long, and whether to continue it
            "about": lambda value: value == "" or _run_id(value),
            "wait_s": _or_none(_seconds),
            "wake": _flag,
        },
    ),
    "catalogue": (
        {
            "format": lambda value: value == 1 and not isinstance(value, bool),
            "host": _text,
            "associations": _list_of(_ASSOCIATION),
            "resources": _list_of(_RESOURCE),
        },
        {
            "hash": _text,
            "project": _text,
            "limits": _or_none(_LIMITS),
            "secrets": _flag,
            "prune": _flag,
            "release": _flag,
            "only": _or_none(_list_of(_address)),
        },
    ),
    "secrets": ({"values": lambda value: _map_of(_long_text)(value) and len(value) <= MAX_SECRETS}, {}),
    "blob": ({"sha256": _sha256, "size": _count}, {}),
    "go": (
        {},
        {
            "plan_id": _or_none(_run_id),
            "observed": _or_none(_map_of(_text)),
            # by association: for how long what disrupts may begin, and why it waits afterwards
            "disrupt": _map_of(_shape({"seconds": _seconds, "waits": _text})),
            # by association: why it is skipped, because of what other hosts do not have
            "withheld": _map_of(_long_text),
        },
    ),
    "stop": ({}, {}),
    "cancel": ({}, {}),
    # reboot: we wait for this host, so it may do what its `end` asked for
    "ack": ({"runs": _list_of(_run_id)}, {"reboot": _flag}),
}


def check(message: "Message") -> None:
    """Raises ProtocolError naming the message and the key, never the value: it may be a secret."""
    shape = SHAPES.get(message["type"])
    if shape is None:
        raise ProtocolError("unknown message %s" % ascii(message["type"][:40]))
    required, optional = shape
    for key in required:
        if key not in message:
            raise ProtocolError("message %s lacks %s" % (message["type"], key))
    for key, value in message.items():
        if key == "type":
            continue
        test = required.get(key) or optional.get(key)
        if test is None:
            raise ProtocolError("message %s has an unknown key %s" % (message["type"], ascii(key[:40])))
        if not test(value):
            raise ProtocolError("%s of message %s is not valid" % (key, message["type"]))
