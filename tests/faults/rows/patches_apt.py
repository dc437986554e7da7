"""Patches by apt that meet what goes wrong with packages: locks, killed and failing scripts, archives that cannot be believed, full disks."""

import datetime as dt
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.row import FAILED, UNREACHABLE, Row, row
from tests.faults.rows.disk import failed
from tests.faults.rows.packages import held
from tests.faults.scene import Scene
from tests.lab import network
from tests.lab.patch_repository import PatchRepository
from tests.lab.repositories import Deb

BEGAN = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:00Z")
PATCHES = "patches:rows"
STATES = f"""\
maintenance_windows:
  now: {{schedule: rate(100 days), start_date: "{BEGAN}", duration: 24h}}
patch_baselines:
  rows:
    os: debian
    window: now
    reboot: never
    restart: never
    approve:
      - {{suite: ["*"], package: ["lab-*patch"], after: 0 days, include_non_security: true}}
associations:
  patched:
    targets: all
    patch_baseline: rows
"""
OLD, NEW = Deb("lab-patch", "1.0"), Deb("lab-patch", "2.0")


def installed(*old: Deb) -> Callable[[Scene], None]:
    """Both hosts have these; `scene.prepared` is where newer ones are published."""

    def prepare(scene: Scene) -> None:
        place = Path(tempfile.mkdtemp())
        scene.closers.append(lambda: shutil.rmtree(place))
        scene.prepared = PatchRepository(place)
        scene.prepared.publish("stable", *old)
        for host in (scene.victim, scene.witness):
            scene.prepared.give(host, alone=False)
            host.exec(["apt-get", "install", "-y", "-q", *(deb.name for deb in old)])

    return prepare


def published(*new: Deb, victim: Callable[[Scene], object] | None = None) -> Callable[[Scene], None]:
    """Newer ones, known to both hosts; then what breaks on the victim."""

    def inject(scene: Scene) -> None:
        scene.prepared.publish("security", *new)
        for host in (scene.victim, scene.witness):
            scene.prepared.give(host, alone=False)
        if victim is not None:
            victim(scene)

    return inject


def has(version: str, name: str = "lab-patch") -> Callable[[Scene], None]:
    def judge(scene: Scene) -> None:
        told = scene.victim.sh(f"dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {name}")
        assert told.split()[-1] == version, told
        assert told.split()[0] in ("ii", "hi"), told

    return judge


def _release(scene: Scene) -> None:
    scene.victim.sh("kill $(pgrep -f /run/holder[.]py); sleep 0.2", check=False)


row(
    Row(
        "P01.patches",
        "the lock of dpkg is held for 20 s while patches are to be installed",
        prepare=installed(OLD),
        inject=published(NEW, victim=held("/var/lib/dpkg/lock-frontend", 20)),
        mend=_release,
        says=has("2.0"),
        states=STATES,
        slower_s=28,
        bound_s=90,
    )
)

SLOW = '#!/bin/sh\nsleep "$(cat /etc/row-seconds 2>/dev/null || echo 0)"\n'


def _half_configured(scene: Scene) -> None:
    """dpkg, apt-get and a postinst of an earlier patch are killed in the middle."""
    host = scene.victim
    host.sh(
        "echo 60 > /etc/row-seconds; setsid apt-get install -y -q lab-slow-patch=2.0 >/run/apt.out 2>&1 </dev/null &"
    )
    scene.wait_for(lambda: host.sh("pgrep -f lab-slow-patch[.]postinst", check=False), "the postinst runs")
    host.sh(
        "pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f 'lab-slow-patch[.]postinst'; pkill -9 -f '[s]leep 60'; true"
    )
    host.sh("rm /etc/row-seconds")


def _repaired_first(scene: Scene) -> None:
    assert scene.said is not None
    verdicts = scene.said.json["plan"]["hosts"][scene.victim.name]["verdicts"]
    (patches,) = (one for one in verdicts if one["address"] == PATCHES)
    assert "repair: dpkg --configure -a (lab-slow-patch is half-configured" in str(patches), patches
    assert scene.results(scene.victim)[PATCHES]["outcome"] == "changed"
    has("2.0")(scene)
    has("2.0", "lab-slow-patch")(scene)


row(
    Row(
        "P02.patches",
        "dpkg was killed in the postinst of a patch: the plan says that it is repaired, and it is",
        prepare=installed(OLD, Deb("lab-slow-patch", "1.0")),
        inject=published(NEW, Deb("lab-slow-patch", "2.0", scripts={"postinst": SLOW}), victim=_half_configured),
        says=_repaired_first,
        states=STATES,
        slower_s=8,
    )
)

FAILING = Deb(
    "lab-patch", "2.0", scripts={"postinst": "#!/bin/sh\necho 'the cause of it all' >&2\ntest -e /etc/row-may\n"}
)


def _may(scene: Scene) -> None:
    scene.witness.sh("touch /etc/row-may")


def _failing_is_told(scene: Scene) -> None:
    failed(
        scene, PATCHES, "lab-patch", "post-installation script", "not installed: lab-patch 2.0", "the cause of it all"
    )
    has("2.0", "lab-other-patch")(scene)


row(
    Row(
        "P03.patches",
        "the postinst of a patch fails; another one is installed all the same",
        prepare=installed(OLD, Deb("lab-other-patch", "1.0")),
        inject=published(FAILING, Deb("lab-other-patch", "2.0"), victim=_may),
        mend=lambda scene: scene.victim.sh("touch /etc/row-may"),
        says=_failing_is_told,
        healed=has("2.0"),
        codes=(FAILED,),
        states=STATES,
        slower_s=8,
    )
)


def _served(how: str) -> Callable[[Scene], None]:
    """The victim's archive is a server that has a newer patch and one fault; the index that the victim has is an hour and more old."""

    def inject(scene: Scene) -> None:
        repository: PatchRepository = scene.prepared
        repository.publish("security", NEW)
        repository.give(scene.witness, alone=False)
        served = repository.served(network.ipv4(scene.victim.slot, 0))
        scene.injected = uri = served.__enter__()
        scene.closers.append(lambda: served.__exit__(None, None, None))
        broken = {"404": "/dists/", "unsigned": "Release"}[how]
        repository.answers = lambda path: (
            (404, b"") if broken in path and (how == "404" or not path.endswith("/Release")) else None
        )
        repository.give(scene.victim, uri, alone=False, update=False)
        scene.victim.sh("touch -d '3 hours ago' /var/lib/apt/lists/partial")

    return inject


def _not_believed(words: str) -> Callable[[Scene], None]:
    def says(scene: Scene) -> None:
        has("1.0")(scene)
        said = scene.run("patch", "scan", "-t", scene.victim.name, "--json")
        (entry,) = (one for one in said.json["entries"] if one["host"] == scene.victim.name)
        assert entry["status"] == "unknown", said
        told = str(entry)
        assert words in told, f"{words!r} is not told: {told}"

    return says


for family, how, title, words in (
    ("P04", "404", "the archive has no such index", "has no index here: repository has no such index"),
    ("T25", "unsigned", "the archive is not signed", "signature not accepted"),
):
    row(
        Row(
            f"{family}.patches",
            f"{title}: nothing of it is installed, and the host is unknown",
            prepare=installed(OLD),
            inject=_served(how),
            mend=lambda scene: setattr(scene.prepared, "answers", lambda _: None),
            says=_not_believed(words),
            healed=has("2.0"),
            states=STATES,
            slower_s=8,
            bound_s=90,
        )
    )


def _nothing_was_removed(scene: Scene) -> None:
    has("1.0", "lab-bystander")(scene)
    has("1.0")(scene)
    has("2.0", "lab-other-patch")(scene)
    assert scene.said is not None
    verdicts = scene.said.json["plan"]["hosts"][scene.victim.name]["verdicts"]
    (patches,) = (one for one in verdicts if one["address"] == PATCHES)
    assert "it would remove lab-bystander" in str(patches), patches


row(
    Row(
        "P05.patches",
        "a patch would take another package away: it is kept back, the others come",
        prepare=installed(OLD, Deb("lab-bystander", "1.0"), Deb("lab-other-patch", "1.0")),
        inject=published(Deb("lab-patch", "2.0", {"Conflicts": "lab-bystander"}), Deb("lab-other-patch", "2.0")),
        says=_nothing_was_removed,
        states=STATES,
        slower_s=8,
    )
)


def _hold_is_kept(scene: Scene) -> None:
    has("1.0")(scene)
    scan = scene.run("patch", "scan", "-t", scene.victim.name, "--json")
    (entry,) = (one for one in scan.json["entries"] if one["host"] == scene.victim.name)
    (patch,) = (one for one in entry["patches"] if one["package"] == "lab-patch")
    assert patch["state"] == "Missing", patch
    assert "held back on the host" in patch["reason"], patch


row(
    Row(
        "P06.patches",
        "somebody holds a package that has a patch",
        prepare=installed(OLD),
        inject=published(NEW, victim=lambda scene: scene.victim.sh("apt-mark hold lab-patch")),
        mend=lambda scene: scene.victim.sh("apt-mark unhold lab-patch"),
        says=_hold_is_kept,
        healed=has("2.0"),
        states=STATES,
        slower_s=8,
    )
)


def _cut_while_apt_runs(scene: Scene) -> None:
    scene.wait_for(lambda: scene.victim.sh("pgrep -f lab-patch[.]postinst", check=False), "the postinst runs", 60)
    scene.victim.cut()


def _apt_has_finished(scene: Scene) -> None:
    def whole() -> bool:
        return scene.victim.sh("dpkg-query -W -f '${db:Status-Abbrev}${Version}' lab-patch") == "ii 2.0"

    scene.wait_for(whole, "apt finishes on its own", 60)
    time.sleep(1)
    scene.victim.heal()


row(
    Row(
        "P07.patches",
        "the link is cut while apt installs patches: apt finishes, and the result is fetched later",
        prepare=installed(OLD),
        inject=published(
            Deb("lab-patch", "2.0", scripts={"postinst": SLOW}),
            victim=lambda scene: scene.victim.sh("echo 5 > /etc/row-seconds"),
        ),
        during=_cut_while_apt_runs,
        mend=_apt_has_finished,
        healed=has("2.0"),
        codes=(UNREACHABLE,),
        bound_s=90,
        lost=True,
        states=STATES,
        slower_s=14,
    )
)


def _full(scene: Scene) -> None:
    scene.victim.sh("mount -t tmpfs -o size=64k tmpfs /var/cache/apt/archives && mkdir /var/cache/apt/archives/partial")


def _room_is_told(scene: Scene) -> None:
    failed(scene, PATCHES, "not enough room in /var/cache/apt/archives", "nothing was changed")
    has("1.0")(scene)


row(
    Row(
        "D02.patches",
        "there is no room for the files of patches",
        prepare=installed(OLD),
        inject=published(
            Deb("lab-patch", "2.0", files={"usr/share/lab-patch/much": "0123456789" * 100_000}), victim=_full
        ),
        mend=lambda scene: scene.victim.sh("umount /var/cache/apt/archives"),
        says=_room_is_told,
        healed=has("2.0"),
        codes=(FAILED,),
        states=STATES,
        slower_s=8,
    )
)
