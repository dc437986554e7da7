"""Drives a package manager's half of patching on a lab host by itself, without a controller: what it is asked, and what it answers."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.lab import LabHost

EXECUTOR = Path(__file__).resolve().parents[2] / "statectl" / "onhost"
PLACE = "/run/statectl-onhost"  # in /run, which a comparison of before and after leaves out
SCRIPT = f"""import importlib, json, sys
sys.path.insert(0, {PLACE!r})
from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host
from statectl.onhost.resources.package import apt_index
from statectl.onhost.resources.patches import Desired

asked = json.load(sys.stdin)
host, manager = Host(), importlib.import_module("statectl.onhost.patching." + asked["manager"])
apt_index.LOCK_TIMEOUT_S = asked["lock_s"]
told = {{}}
try:
    if asked["verb"] == "scan":
        told = manager.scan(host, asked["with"])
    elif asked["verb"] == "current":
        told["current"] = sorted([*key, version] for key, version in manager.current(host, asked["with"]["names"]).items())
    else:
        fields = asked["with"]
        if fields.get("cached"):
            fields["cached"] = {{key: Content.of_file(path) for key, path in fields["cached"].items()}}
        with manager.Prepared(host, Desired("baseline", **fields)) as prepared:
            seen = prepared.look()
            told = {{"moves": seen.moves, "kept": {{name: why for (name, _), why in seen.kept.items()}}, "repair": seen.repair}}
            if asked["verb"] == "install":
                prepared.install()
except Failed as error:
    told.update(failed=error.message, cause=error.cause, output=error.output, argv=list(error.argv))
json.dump(told, sys.stdout)
"""


class OnHost:
    """`OnHost(host).scan(refresh_s=0)`; `failed` in an answer: the message of what went wrong."""

    def __init__(self, host: LabHost, manager: str = "apt") -> None:
        self.host, self.manager = host, manager
        place = host._within(PLACE)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(EXECUTOR, place / "statectl" / "onhost", ignore=shutil.ignore_patterns("__pycache__"))
        (place / "statectl" / "__init__.py").touch()
        (place / "drive.py").write_text(SCRIPT)

    def _told(self, verb: str, lock_s: int, fields: dict[str, Any]) -> dict[str, Any]:
        asked = {"verb": verb, "manager": self.manager, "lock_s": lock_s, "with": fields}
        ran = self.host.exec(["python3", f"{PLACE}/drive.py"], stdin=json.dumps(asked), timeout=600)
        told: dict[str, Any] = json.loads(ran.out)
        return told

    def scan(self, refresh_s: float = 86400, **asked: Any) -> dict[str, Any]:
        return self._told("scan", 120, {"refresh_s": refresh_s, **asked})

    def look(self, versions: list[list[str]], **want: Any) -> dict[str, Any]:
        """`moves` as {name: [from, to]}, `kept` as {name: why}."""
        return _by_name(self._told("look", 120, {"versions": versions, **want}))

    def install(self, versions: list[list[str]], lock_s: int = 120, **want: Any) -> dict[str, Any]:
        return _by_name(self._told("install", lock_s, {"versions": versions, **want}))


def _by_name(told: dict[str, Any]) -> dict[str, Any]:
    told["moves"] = {name: [old, new] for name, _, old, new in told.get("moves", [])}
    return told


def version(host: LabHost, name: str) -> str:
    """'' : not installed."""
    told = host.exec(["dpkg-query", "-W", "-f", "${Status}|${Version}", name], check=False).out
    return told.partition("|")[2] if told.startswith(("install ok installed", "hold ok installed")) else ""
