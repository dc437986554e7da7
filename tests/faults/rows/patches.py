"""Patches that want a reboot: in the middle of a run, and again and again."""

import datetime as dt
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.row import FAILED, Row, row
from tests.faults.scene import Scene
from tests.lab.patch_repository import PatchRepository
from tests.lab.repositories import Deb

BEGAN = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:00Z")
STATES = f"""\
maintenance_windows:
  now: {{schedule: rate(100 days), start_date: "{BEGAN}", duration: 24h}}
patch_baselines:
  rows:
    os: debian
    window: now
    approve:
      - {{suite: ["*"], package: [lab-patch], after: 0 days, include_non_security: true}}
    reboot_timeout: 2m
associations:
  patched:
    targets: all
    patch_baseline: rows
    commands:
      row-count: {{run: "echo ran >> /var/log/row-commands; touch /etc/row-counted", creates: /etc/row-counted}}
"""
ASKS = "touch /run/reboot-required; echo lab-patch > /run/reboot-required.pkgs"
AGAIN = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{ASKS}'\n[Install]\nWantedBy=multi-user.target\n"
POSTINST = f"""\
#!/bin/sh
echo installed >> /var/log/row-patches
{ASKS}
[ ! -e /etc/row-circle ] || systemctl enable --quiet row-again
"""


def _published(scene: Scene) -> None:
    """Both hosts have 1.0 of a package of which 2.0 is approved; a host that reboots comes back by itself, as machines do."""
    place = Path(tempfile.mkdtemp())
    scene.closers.append(lambda: shutil.rmtree(place))
    repository = PatchRepository(place)
    repository.publish("stable", Deb("lab-patch", "1.0", files={"usr/share/lab-patch": "1.0\n"}))
    for host in (scene.victim, scene.witness):
        repository.give(host, alone=False)
        host.exec(["apt-get", "install", "-y", "-q", "lab-patch"])
    unit = {"lib/systemd/system/row-again.service": AGAIN, "usr/share/lab-patch": "2.0\n"}
    repository.publish("stable", Deb("lab-patch", "2.0", files=unit, scripts={"postinst": POSTINST}))
    stack = ExitStack()
    scene.closers.append(stack.close)
    scene.prepared = []
    for host in (scene.victim, scene.witness):
        repository.give(host, alone=False)
        scene.prepared.append(stack.enter_context(host.reboots()))


def _once(scene: Scene) -> None:
    """Each step was done once, on the host that rebooted as well."""
    for host in (scene.victim, scene.witness):
        for log, word in (("row-patches", "installed"), ("row-commands", "ran")):
            assert host.sh(f"cat /var/log/{log}") == word, (host.name, log)


def _rebooted(scene: Scene) -> None:
    assert [len(boots) for boots in scene.prepared] == [1, 1]
    _once(scene)
    assert {one["verb"]: one["outcome"] for one in scene.host_told()["notified"]}["reboot"] == "changed"


def _circle(scene: Scene) -> None:
    assert [len(boots) for boots in scene.prepared] == [1, 1], "one reboot of each host in a run, and no more"
    (told,) = [one for one in scene.host_told()["notified"] if one["outcome"] == "failed"]
    assert told["error"]["message"] == "still wants a reboot after 1 reboot (lab-patch)"
    _once(scene)


def _straightened(scene: Scene) -> None:
    scene.victim.sh("systemctl disable --quiet row-again; rm /run/reboot-required /run/reboot-required.pkgs")


row(
    Row(
        "P10",
        "patches reboot the host in the middle of the run",
        prepare=_published,
        says=_rebooted,
        healed=_once,
        states=STATES,
        slower_s=15,
    )
)
row(
    Row(
        "P12",
        "a host asks for a reboot after each boot",
        prepare=_published,
        inject=lambda scene: scene.victim.sh("touch /etc/row-circle") and None,
        mend=_straightened,
        says=_circle,
        healed=_once,
        codes=(FAILED,),
        states=STATES,
        slower_s=15,
    )
)
