"""A month of `statectl serve` over six hosts, in minutes: every six hours a slot, under a clock that is told what to show.

    python -m tests.sweeps.month                        thirty days
    python -m tests.sweeps.month --days 3 --seed 7

Meanwhile people edit files on hosts and stop services, hosts lose their power, applies fail, new settings wait for their
maintenance window, and the controller is killed with -9 in the middle of runs and stays away for some. In the end the
history has to be what was done: each slot once, nothing lost, no restart outside of a window.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab import Lab, LabHost
from tests.lab.project import LabProject
from tests.lab.waiting import wait_for
from tests.sweeps.serving import Serving

START = datetime(2027, 3, 2, 0, 0, 30, tzinfo=UTC)  # a Tuesday; the month has a change of clocks
EVERY, HOUR = timedelta(hours=6), timedelta(hours=1)
HOSTS = 6
# what goes wrong before the slots of three days; further three days have the same in another order
EVENTS = (
    "edit", "setting", "refuse", "power", "edit", "edit",
    "kill", "quiet", "away", "late", "setting", "stop",
)  # fmt: skip
EDITS = {
    "content": "echo by hand > /etc/month/motd",
    "gone": "rm /etc/month/motd",
    "mode": "chmod 0600 /etc/month/motd",
    "link": "ln -sfn /etc/hostname /etc/month/link",
    "directory": "chmod 0700 /etc/month",
}
UNIT = """\
[Service]
ExecStart=/bin/sh -c 'echo start >> /var/month.events; exec sleep infinity'
[Install]
WantedBy=multi-user.target
"""
STATES = """\
maintenance_windows:
  night: {schedule: "cron(0 5 ? * WED,SUN *)", duration: 2h, cutoff: 15m}
associations:
  base:
    targets: all
    schedule: cron(0 0/6 * * ? *)
    disrupt: window:night
    directories: {/etc/month: {mode: "0755"}}
    files:
      /etc/month/motd: {content: "declared\\n", mode: "0644"}
      /etc/month/checked: {content: "checked\\n", validate: "sh -c 'test ! -e /run/month.refuse' %s"}
      /etc/month/setting: {content: "NUMBER\\n", notify: "service:month"}
    links: {/etc/month/link: motd}
    services: {month: running}
"""


@dataclass
class Slot:
    """What is to be found of it. hosts: outcomes that must be; of others any that is well."""

    moment: datetime
    event: str
    states: tuple[str, ...] = ("done",)
    hosts: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"base@{self.moment:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def in_window(self) -> bool:
        return self.moment.hour == 6 and self.moment.isoweekday() in (3, 7)


class Month:
    """`run()` -> what is wrong."""

    def __init__(
        self, place: Path, hosts: Sequence[LabHost], days: int, seed: int, say: Callable[[str], None] = print
    ) -> None:
        self.wrong: list[str] = []
        self.counts: dict[str, int] = {}
        self.slots: list[Slot] = []
        self._say = say
        self._chance = random.Random(seed)
        self._project = LabProject(place, hosts)
        self._serve = Serving(self._project, START)
        self._hosts = {host.name: host for host in hosts}
        self._number = 0
        self._owed: set[str] = set()  # hosts that have a setting which waits for the window
        self._starts: dict[str, int] = {}
        self._edits = 0
        self._rows: dict[str, dict[str, Any]] = {}
        self._days = days

    # -- the world

    def prepare(self) -> None:
        for host in self._hosts.values():
            host.write("/etc/systemd/system/month.service", UNIT)
            host.sh("systemctl daemon-reload")
        self._write_setting()
        self._project.statectl("apply", "--yes", expect=0)
        self._starts = {name: self._starts_of(name) for name in self._hosts}
        self._serve.begin()

    def _write_setting(self) -> None:
        self._project.write("states/month.yml", STATES.replace("NUMBER", str(self._number)))

    def _starts_of(self, name: str) -> int:
        return len(self._hosts[name].read("/var/month.events").split())

    # -- one slot after the other

    def run(self) -> list[str]:
        try:
            self.prepare()
            first = START.replace(second=0) + EVERY
            for number in range(self._days * 4):
                block, place = divmod(number, len(EVENTS))
                if place == 0:
                    events = list(_order(self._chance, block))
                slot = Slot(first + number * EVERY, events[place])
                self.slots.append(slot)
                self._before(slot)
                self._at(slot)
                self._after(slot)
                self._rows |= self._serve.slots()  # those of a month ago are forgotten
                self._say(f"{slot.id}  {slot.event:8} {self._serve.state(slot.id) or 'none'}")
            self._settle()
            self._judge()
        finally:
            self.wrong += filter(None, [self._serve.end()])
        return self.wrong

    def _some(self, count: int = 1) -> list[str]:
        return self._chance.sample(sorted(self._hosts), count)

    def _before(self, slot: Slot) -> None:
        """What happens in the hours before it."""
        if slot.event in ("edit", "kill", "late"):
            for name in self._some(self._chance.randint(1, 3)):
                self._hosts[name].sh(EDITS[self._chance.choice(sorted(EDITS))])
                slot.hosts[name] = "changed"
        if slot.event == "stop":
            (name,) = self._some()
            self._hosts[name].sh("systemctl stop month")
            slot.hosts[name] = "changed"
            self._start_pays(name)
        if slot.event == "refuse":
            (name,) = self._some()
            self._hosts[name].sh("touch /run/month.refuse; echo by hand > /etc/month/checked")
            slot.hosts[name], slot.states = "failed", ("failed",)
        if slot.event == "power":
            (name,) = self._some()
            self._hosts[name].kill()
            slot.hosts[name] = "unreachable"
        if slot.event == "setting":
            self._edit_project(slot.moment - 3 * HOUR)
        if slot.event == "away":
            self._serve.kill()
            slot.states = ("missed",)
        if slot.event == "late":
            self._serve.tell(slot.moment + 2 * HOUR)
            self._serve.begin()

    def _edit_project(self, moment: datetime) -> None:
        """Somebody changes a setting in the files: it is applied at the next look, and the restart waits."""
        self._number += 1
        self._write_setting()
        self._serve.tell(moment)
        self._edits += 1
        self._serve.until(
            lambda: (
                sum(row["cause"] == "edit" and row["state"] == "done" for row in self._serve.slots().values())
                == self._edits
            ),
            "the edit is applied",
        )
        for name, host in self._hosts.items():
            if host.read("/etc/month/setting") != f"{self._number}\n":
                self.wrong.append(f"{moment}: {name} has not got setting {self._number}")
            self._owed.add(name)
        self._no_restart(str(moment))

    def _at(self, slot: Slot) -> None:
        self._serve.tell(slot.moment + timedelta(seconds=1))
        if slot.event == "away":
            return
        if slot.event == "kill":
            self._serve.until(lambda: self._serve.state(slot.id) not in ("", "due"), "its run begins")
            time.sleep(self._chance.uniform(0, 0.8))
            self._serve.kill()
            slot.states = ("interrupted",) if not self._serve.ended(slot.id) else slot.states
            slot.hosts = {} if slot.states == ("interrupted",) else slot.hosts
            self._serve.begin()
            for host in self._hosts.values():  # they go on by themselves: what happens next happens behind that
                wait_for(lambda host=host: not host.sh("ls /var/lib/statectl/running"), "its executors end", 60)
        self._serve.until(lambda: self._serve.ended(slot.id), f"{slot.id} ends ({slot.event})")

    def _after(self, slot: Slot) -> None:
        if slot.event == "away":
            return
        if slot.event in ("power", "refuse"):
            self._compliance(slot)
        if slot.event == "power":
            (name,) = slot.hosts
            self._hosts[name].start()
            self._hosts[name].wait_ssh()
        if slot.event == "refuse":
            (name,) = slot.hosts
            self._hosts[name].sh("rm /run/month.refuse")
        if slot.in_window:
            self._pay(slot)
        if slot.event == "power":  # the service is not enabled: the next slot starts it
            self._start_pays(name)
        else:
            self._no_restart(slot.id)

    def _start_pays(self, name: str) -> None:
        """A service that has been stopped is started at once, and needs no restart any more."""
        self._starts[name] += 1
        self._owed.discard(name)

    def _pay(self, slot: Slot) -> None:
        """What waited for the window is done, on every host that came to its end. Of the others nobody knows before they are looked at."""
        for name in sorted(self._owed):
            done = slot.states == ("done",) or (slot.event == "refuse" and name not in slot.hosts)
            if slot.hosts.get(name) == "unreachable":
                continue
            if done or self._starts_of(name) == self._starts[name] + 1:
                self._starts[name] += 1
                self._owed.discard(name)

    def _no_restart(self, where: str) -> None:
        """Every service was started as often as it should have been."""
        for name, wanted in self._starts.items():
            found = self._starts_of(name)
            if found != wanted:
                self.wrong.append(f"{where}: month on {name} was started {found} times, not {wanted}")
                self._starts[name] = found

    def _compliance(self, slot: Slot) -> None:
        """The one host that is not well is told as such."""
        (name,) = slot.hosts
        wanted = {"failed": "failed", "unreachable": "unknown"}[slot.hosts[name]]
        entries = self._project.statectl("compliance", "--json").json["entries"]
        found = {entry["host"]: entry["status"] for entry in entries}
        if found.get(name) != wanted:
            self.wrong.append(f"{slot.id}: compliance of {name} is {found.get(name)}, not {wanted}")

    def _settle(self) -> None:
        """One more slot, in the next window, at which nothing is in the way: then all is as declared."""
        moment = self.slots[-1].moment + EVERY
        while not Slot(moment, "").in_window:
            self.slots.append(Slot(moment, "quiet"))
            self._serve.tell(moment + timedelta(seconds=1))
            self._serve.until(lambda: self._serve.ended(self.slots[-1].id), "a quiet slot ends")
            moment += EVERY
        self.slots.append(Slot(moment, "quiet"))
        self._serve.tell(moment + timedelta(seconds=1))
        self._serve.until(lambda: self._serve.ended(self.slots[-1].id), "the last slot ends")
        for name in self._owed:
            self._starts[name] += 1
        self._no_restart("the end")

    # -- the history

    def _judge(self) -> None:
        rows = self._rows = self._rows | self._serve.slots()
        runs = {
            run["id"]: run for run in self._project.statectl("runs", "list", "--json", "--limit", "100000").json["runs"]
        }
        scheduled = {name: row for name, row in rows.items() if row["cause"] == "schedule"}
        wanted = {slot.id: slot for slot in self.slots}
        if set(scheduled) != set(wanted):
            self.wrong.append(f"slots that are not there, or too many: {sorted(set(scheduled) ^ set(wanted))}")
        claimed: dict[str, list[str]] = {}
        for run in runs.values():
            for name in run["scope"].get("slot", ()):
                claimed.setdefault(name, []).append(run["id"])
        for name, slot in wanted.items():
            row = rows.get(name)
            if row is not None:
                self._judge_slot(slot, row, claimed.get(name, []))
        edits = [row for row in rows.values() if row["cause"] == "edit"]
        if len(edits) != self._edits or any(row["state"] != "done" for row in edits):
            self.wrong.append(f"{self._edits} edits, and {len(edits)} slots of edits")
        if strange := set(claimed) - set(rows):
            self.wrong.append(f"runs for slots that there are not: {sorted(strange)}")
        entries = self._project.statectl("compliance", "--json", expect=0).json["entries"]
        if {entry["status"] for entry in entries} != {"compliant"} or len(entries) != HOSTS:
            self.wrong.append(f"not compliant in the end: {entries}")
        if "No changes" not in self._project.statectl("plan", expect=0).out:
            self.wrong.append("there are changes in the end")
        self.counts["runs"] = len(runs)

    def _judge_slot(self, slot: Slot, row: dict[str, Any], runs: list[str]) -> None:
        self.counts[row["state"]] = self.counts.get(row["state"], 0) + 1
        if row["state"] not in slot.states:
            self.wrong.append(f"{slot.id} ({slot.event}) is {row['state']}, not {slot.states}: {row['reason']}")
        expected = [[], [row["run_ids"]]] if row["state"] == "interrupted" else [[row["run_ids"]]]
        if row["state"] == "missed":
            expected = [[]]
            if row["run_ids"] or "nobody ran it at its time" not in row["reason"]:
                self.wrong.append(f"{slot.id} was missed, and says: {row['reason']} {row['run_ids']}")
        if runs not in expected or " " in row["run_ids"]:
            self.wrong.append(f"{slot.id} ({row['state']}) has the runs {runs}, and says {row['run_ids']!r}")
        if not runs:
            return
        run = self._project.statectl("runs", "show", runs[0], "--json", expect=0).json
        late = 3 * HOUR if slot.event == "late" else HOUR
        started = datetime.strptime(run["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if not slot.moment <= started <= slot.moment + late:
            self.wrong.append(f"{slot.id}: its run started at {started}")
        outcomes = {name: entry["outcome"] for name, entry in run["hosts"].items()}
        if row["state"] != "interrupted" and set(outcomes) != set(self._hosts):
            self.wrong.append(f"{slot.id}: its run has the hosts {sorted(outcomes)}")
        if "unknown" in outcomes.values():
            self.wrong.append(f"{slot.id}: never heard how it ended: {outcomes}")
        for name, wanted in slot.hosts.items():
            if outcomes.get(name) != wanted:
                self.wrong.append(f"{slot.id} ({slot.event}): {name} is {outcomes.get(name)}, not {wanted}")


def _order(chance: random.Random, block: int) -> Iterator[str]:
    """The events of three days. What needs the slot before it stays together; the first three days are as they stand."""
    parts = [[event] for event in EVENTS if event not in ("away", "late")] + [["away", "late"]]
    if block == 0:
        yield from EVENTS
        return
    chance.shuffle(parts)
    for part in parts:
        yield from part


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.month")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    order = parser.parse_args()
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    with Lab() as lab, tempfile.TemporaryDirectory(prefix="statectl-month-") as place:
        month = Month(Path(place), lab.start(HOSTS), order.days, order.seed)
        for wrong in month.run():
            print(f"wrong: {wrong}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(month.counts.items()))
    print(f"{order.days} days, {len(month.slots)} slots ({counts}), {len(month.wrong)} wrong")
    return 1 if month.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
