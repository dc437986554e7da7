"""Play rows with another tool.

What a foreign tool cannot be asked is left out, to its favour: exit codes of our table, JSON, a history, `doctor`, the time of the
other host. Its bound is the row's own and twice the time that it takes when nothing is broken.
"""

import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from tests.faults import oracles
from tests.faults.oracles import Broken
from tests.faults.peers.scene import PeerScene
from tests.faults.row import ROWS, Row
from tests.faults.rows.disk import old_is_there
from tests.faults.rows.volume import GOOD, no_sleeper, working
from tests.faults.scene import inside
from tests.lab.machine import LabHost
from tests.lab.pool import HostPool

SMALL = ("D01", "D03", "D04.target")
WORK = ("V07.plain-resource", "V07.group-resource", "V07.escaped-resource", "V08.term-resource", "V08.nohup-resource")
EXTRA = {**dict.fromkeys(SMALL, "small"), **dict.fromkeys(WORK, "work")}
UNHARMED = {
    **dict.fromkeys(SMALL, old_is_there),
    **dict.fromkeys(WORK, no_sleeper),
}  # what the row looks for on the host itself
# Rows whose fault is in the network, the host or this machine, not in what only statectl has (cache, store, saved plans, ledger),
# and whose workload is the common one, SMALL or WORK.
COMPARABLE = (
    *("N01", "N02", "N03", "N04", "N04.banner", "N06", "N08", "N08.10", "N08.26", "N09"),
    *("E03.text", "E04", "E06.echo", "E06.much", "E12.stopped"),
    *SMALL,
    *("D02.dpkg", "P01.frontend-20s", "P02", "P07", "C03"),
    *WORK,
)
LEFT = r"find /etc /srv /usr/local /root /tmp /home -xdev \( -name '.ansible_tmp*' -o -name 'ansible-tmp-*' -o -name 'pyinfra-*' \) 2>/dev/null"
THEIRS = r"ansible|AnsiballZ|pyinfra"


class Judged(NamedTuple):
    """`oracle`: '' when the fault was survived."""

    oracle: str
    seen: str
    seconds: float


class PeerStage:
    """Plays for one tool; knows how long it takes on clean hosts."""

    def __init__(self, pool: HostPool, name: str) -> None:
        self._pool = pool
        self._name = name
        self._clean: dict[str, float] = {}

    def clean_s(self, extra: str) -> float:
        """Seconds of the whole run while nothing is broken. Raises RuntimeError where the tool cannot do the workload at all."""
        if extra not in self._clean:
            hosts = self._pool.take(2, "bookworm")
            try:
                with tempfile.TemporaryDirectory() as place:
                    scene = PeerScene(Path(place), hosts, self._name, extra=extra)
                    if extra == "work":
                        working(GOOD)(scene)
                    first = scene.run()
                    self._clean[extra] = first.seconds
                    again = scene.run()
                    scene.close()
                    wrong = [name for host in hosts for name, right in scene.truth(host).items() if not right]
                    if first.code or wrong or not scene.nothing_changed(again):
                        raise RuntimeError(f"{self._name} cannot do the workload: {wrong}\n{first}\n{again}")
            finally:
                self._pool.give_back(hosts)
        return self._clean[extra]

    def play(self, row: Row) -> Judged:
        extra = EXTRA.get(row.id, "")
        clean_s = self.clean_s(extra)
        began = time.monotonic()
        hosts = self._pool.take(2, row.suite)
        oracle, seen = "", ""
        try:
            with tempfile.TemporaryDirectory() as place:
                scene = PeerScene(Path(place), hosts, self._name, extra=extra)
                try:
                    _judge(row, scene, clean_s)
                except Broken as broken:
                    oracle, seen = broken.oracle, str(broken)
                except Exception:  # noqa: BLE001  a row that cannot be judged is said to be so
                    oracle, seen = "not judged", traceback.format_exc()
                finally:
                    scene.close()
        finally:
            for host in hosts:
                host.heal_quietly()
            self._pool.give_back(hosts)
        return Judged(oracle, seen, time.monotonic() - began)


def _judge(row: Row, scene: PeerScene, clean_s: float) -> None:
    mended = row.mend is None
    bound_s = row.bound_s + 2 * clean_s
    try:
        if row.inject is not None:
            scene.injected = row.inject(scene)
        said = scene.run(during=row.during, limit_s=bound_s + 5)
        if said.seconds > bound_s:
            raise Broken("O1 ends", f"still running after {bound_s:.0f} s; without a fault it takes {clean_s:.0f} s")
        left = [words for words in scene.left_here if "[mux]" not in words and "ControlPersist" not in words]
        if left and not row.silent:
            raise Broken("O4 no damage", f"still running on this machine: {left}")
        if scene.victim.alive and said.code == 0:
            _all_right("O3 true", "exit 0, and it is not so", scene, scene.victim)
        if row.witness and not row.silent:
            _all_right("O2 isolated", "the other host does not get there", scene, scene.witness)
        _undamaged(scene, healed=False)
        if row.id in UNHARMED:
            try:
                UNHARMED[row.id](scene)
            except AssertionError as error:
                raise Broken("O4 no damage", error) from None
        if row.mend is not None:
            row.mend(scene)
        mended = True
        _heals(scene)
        _undamaged(scene, healed=True)
        _secret_stays(scene)
    finally:
        if not mended and row.mend is not None:
            row.mend(scene)


def _all_right(oracle: str, words: str, scene: PeerScene, host: LabHost) -> None:
    wrong = [address for address, right in scene.truth(host).items() if not right]
    if wrong:
        raise Broken(oracle, f"{words}: {host.name}: {', '.join(wrong)}")


def _heals(scene: PeerScene) -> None:
    said = scene.run()
    if said.code:
        raise Broken("O5 heals", f"the next run exits {said.code}\n{said}")
    for host in (scene.victim, scene.witness):
        _all_right("O5 heals", "after the next run it is not so", scene, host)
    again = scene.run()
    if again.code or not scene.nothing_changed(again):
        raise Broken("O5 heals", f"the run after that exits {again.code} or changes something\n{again}")


def _undamaged(scene: PeerScene, *, healed: bool) -> None:
    for host in (scene.victim, scene.witness):
        if not host.alive:
            continue
        oracles.whole_files(scene, host)
        if healed:
            now, before = inside(host), scene.before[host.name]
            if now["audit"] and now["audit"] != before["audit"]:
                raise Broken("O4 no damage", f"dpkg --audit on {host.name}: {now['audit']}")
            stray = host.sh(LEFT, check=False)
            if stray:
                raise Broken("O4 no damage", f"left behind on {host.name}: {stray}")
            running = host.sh(f"ps -eo args --no-headers | grep -E '{THEIRS}' | grep -v grep", check=False)
            if running:
                raise Broken("O4 no damage", f"still running on {host.name}: {running}")


def _secret_stays(scene: PeerScene) -> None:
    for host in (scene.victim, scene.witness):
        where = oracles.secret_places(scene, host)
        if where:
            raise Broken("O6 kept", f"the secret stands in {where[0]} of {host.name}")


def chosen(wanted: list[Row]) -> list[Row]:
    """Those of them that another tool can play."""
    unknown = set(COMPARABLE) - set(ROWS)
    if unknown:
        raise ValueError(f"no such rows: {', '.join(sorted(unknown))}")
    return [row for row in wanted if row.id in COMPARABLE]
