"""`disrupt` of associations: from the files to what a host is told, and from what it told to what people see."""

import asyncio
import datetime as dt
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from statectl.cli.deciding import plan_code
from statectl.cli.formats.apply_text import notified_line, report_lines
from statectl.cli.formats.plan_text import plan_lines
from statectl.cli.formats.terminal import Screen
from statectl.onhost import messages as onhost_messages
from statectl.plans.plan import HostPlan, Verdict, summarise
from statectl.project.schema import states_schema
from statectl.reconcile.disruption import Waiting, Windows, WindowsOfRun
from statectl.reconcile.fleet import Run
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun, Order
from statectl.reconcile.record import host_record
from statectl.sections import table
from statectl.transport.channel import Endpoint
from tests.bad_input.loading import lines, load_files
from tests.cli.plans import compress, plan_of
from tests.unit.compiling import Compiled

WINDOWS = """\
maintenance_windows:
  sunday-night: {schedule: cron(0 2 ? * SUN *), timezone: Europe/Oslo, duration: 4h, cutoff: 1h}
  off: {schedule: cron(0 2 ? * SUN *), duration: 4h, enabled: false}
  once: {schedule: "at(2026-11-22T02:00)", duration: 4h}
"""
FRIDAY = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)
SUNDAY = dt.datetime(2026, 11, 29, 1, 0, tzinfo=dt.UTC)  # 02:00 in Oslo
WAITS = "waits for window sunday-night, opens 2026-11-29 02:00 Europe/Oslo"
LATER = "waits for window sunday-night, opens 2026-12-06 02:00 Europe/Oslo"


def entries(disrupt: str) -> list[dict[str, str]]:
    return [{"name": "web", "disrupt": disrupt}, {"name": "base"}]


@pytest.mark.parametrize(
    ("disrupt", "at", "seconds", "waits"),
    [
        ("window:sunday-night", FRIDAY, 0, WAITS),
        ("window:sunday-night", SUNDAY - dt.timedelta(seconds=1), 0, WAITS),
        ("window:sunday-night", SUNDAY, 3 * 3600, LATER),
        ("window:sunday-night", SUNDAY + dt.timedelta(hours=2, minutes=59), 60, LATER),
        ("window:sunday-night", SUNDAY + dt.timedelta(hours=3), 0, LATER),  # open, and at its cutoff
        ("window:sunday-night", SUNDAY + dt.timedelta(hours=3, minutes=30), 0, LATER),
        ("window:off", SUNDAY, 0, "waits for window off, which is disabled"),
        ("window:once", SUNDAY, 0, "waits for window once, which never opens again"),
        ("never", SUNDAY, 0, "disrupt: never, so no apply does it"),
    ],
)
def test_for_how_long_something_may_begin(tmp_path, disrupt, at, seconds, waits):
    """A host is told the seconds until the cutoff, 0 when closed, and why it waits afterwards; of associations that say always, nothing."""
    project = load_files(tmp_path, {"states/a.yml": WINDOWS})
    granted = Windows(project.maintenance_windows, lambda: at).granted(entries(disrupt))
    assert granted == {"web": {"seconds": seconds, "waits": waits}}
    onhost_messages.check({"type": "go", "disrupt": granted})


def test_from_the_files_to_the_catalogue(tmp_path):
    """`disrupt` and its replacement by `where` arrive; always is the default and is not said."""
    text = """\
associations:
  web: {targets: all, disrupt: never, where: [{targets: web2, disrupt: window:sunday-night}]}
  base: {targets: all, disrupt: always}
  other: {targets: all}
"""
    with Compiled(tmp_path, {"states/a.yml": text, "states/w.yml": WINDOWS}) as compiled:
        found = {
            host: {one["name"]: one.get("disrupt") for one in compiled.host(host).catalogue["associations"]}
            for host in ("web1", "web2")
        }
    assert found["web1"] == {"web": "never", "base": None, "other": None}
    assert found["web2"] == {"web": "window:sunday-night", "base": None, "other": None}


@pytest.mark.parametrize(
    ("value", "accepted"), [("never", True), ("window:a-b", True), ("window:", False), ("x", False)]
)
def test_loader_and_schema_agree(tmp_path, value, accepted):
    """An editor with the schema says the same as validate."""
    text = f"associations: {{web: {{targets: all, disrupt: '{value}'}}}}\n"
    window = "maintenance_windows: {a-b: {schedule: cron(0 2 * * ? *), duration: 2h}}\n"
    assert (lines(load_files(tmp_path, {"states/a.yml": text + window})) == []) is accepted
    validator = jsonschema.Draft202012Validator(states_schema(table()))
    assert (not list(validator.iter_errors(yaml.safe_load(text)))) is accepted


def waiting(at: dt.datetime, tmp_path) -> Waiting:
    project = load_files(tmp_path, {"states/a.yml": WINDOWS})
    catalogue = {
        "associations": [{"name": "web", "disrupt": "window:sunday-night"}, {"name": "base"}],
        "resources": [
            {"address": "file:/a", "owners": ["web"]},
            {"address": "file:/b", "owners": ["base"]},
            {"address": "file:/c", "owners": ["base"]},
            {"address": "service:else", "owners": ["base"]},
            {"address": "service:own", "owners": ["web"]},
            {"address": "service:free", "owners": ["base"]},
            {"address": "package:shared", "owners": ["base", "web"]},
        ],
    }
    return Waiting.of(WindowsOfRun(Windows(project.maintenance_windows, lambda: at)), catalogue)


def change(address: str, association: str, **more: Any) -> Verdict:
    return Verdict(address=address, association=association, verdict="change", action="change", **more)


def marked(at: dt.datetime, tmp_path) -> HostPlan:
    """Three files and a package that change, and three debts."""
    told = [("file:/a", ""), ("file:/b", ""), ("package:shared", "upgrade"), ("file:/c", "")]
    plan = HostPlan(
        outcome="planned",
        verdicts=[
            change("file:/a", "web", notify=["reload service:free"]),
            change("file:/b", "base", notify=["restart service:else", "restart service:own"]),
            change("package:shared", "base", notify=["restart service:else"]),
            change("file:/c", "base", notify=["reload service:free"]),
        ],
    )
    debts = [
        {"verb": "restart", "address": "service:own", "because": ["file:/gone"]},
        {"verb": "restart", "address": "service:else", "because": ["file:/b"]},
        {"verb": "run", "address": "command:x", "because": ["file:/a"]},
    ]
    plan.debts = [f"{debt['verb']} {debt['address']}" for debt in debts]
    messages = [{"address": address, "disrupts": word} for address, word in told]
    waiting(at, tmp_path).mark(plan, messages, debts)
    return plan


def test_what_waits_is_marked(tmp_path):
    """Outside of the window: what the association disrupts or asks for waits, of whoever the service is; the rest does not. Inside: nothing."""
    plan = marked(FRIDAY, tmp_path)
    a, b, shared, c = plan.verdicts
    assert (a.waits, a.notify, [one.what for one in a.pending]) == ("", [], ["reload service:free"])
    assert (c.notify, c.pending) == ([], a.pending), "one reload is owed to both"
    assert (b.waits, b.notify) == ("", ["restart service:else"])
    assert [(one.what, one.reason) for one in b.pending] == [("restart service:own", WAITS)]
    assert (shared.waits, shared.pending) == (WAITS, [])
    assert plan.debts == ["restart service:else", "run command:x"]
    assert [one.address for one in plan.pending] == ["service:own"]
    opened = marked(SUNDAY, tmp_path)
    assert not any(verdict.waits or verdict.pending for verdict in opened.verdicts)
    assert opened.pending == []
    assert opened.debts == ["restart service:own", "restart service:else", "run command:x"]


def test_what_counts_on_something_that_waits_waits_as_well():
    """Behind a stop or a removal, also by `requires` of the same host; behind an upgrade it goes on. Then there is nothing to do."""
    closed = {"web": {"seconds": 0, "waits": WAITS}}
    after = {"file:/a": ["service:x"], "file:/b": ["file:/a"], "file:/c": ["package:p"]}
    addresses = ("service:x", "package:p", "file:/a", "file:/b", "file:/c", "file:/d", "file:/e")
    owners = {address: ["web"] for address in addresses} | {"file:/d": ["app"], "file:/e": ["other"]}
    waits = Waiting(closed, owners, after, {"app": ["web"]})
    plan = HostPlan(outcome="planned", verdicts=[change(address, owners[address][0]) for address in addresses])
    told = {"service:x": "stop", "package:p": "upgrade"}
    waits.mark(plan, [{"disrupts": told.get(address, "")} for address in addresses], [])
    found = {verdict.address: verdict.waits for verdict in plan.verdicts}
    assert found == {
        "service:x": WAITS,
        "package:p": WAITS,
        "file:/a": "comes after service:x, which waits",
        "file:/b": "comes after file:/a, which waits",
        "file:/c": "",
        "file:/d": "comes after service:x, which waits",
        "file:/e": "",
    }
    assert summarise({"one": plan}).pending == 5


def test_what_waits_is_counted_apart(tmp_path):
    """A host where something only waits is neither changed nor right; nothing to apply is said, and a gate still sees a difference."""
    summary = summarise({"one": marked(FRIDAY, tmp_path)})
    assert (summary.change, summary.notify, summary.pending) == (3, 2, 3)
    debt = HostPlan(outcome="planned", debts=["restart service:own"])
    waiting(FRIDAY, tmp_path).mark(debt, [], [{"verb": "restart", "address": "service:own", "because": ["file:/a"]}])
    only = plan_of({"one": debt})
    counts = only.summary
    assert (counts.hosts_changed, counts.hosts_right, counts.hosts_pending, counts.pending) == (0, 0, 1, 1)
    assert not only.has_changes
    assert (plan_code(only, detailed=False), plan_code(only, detailed=True)) == (0, 2)
    shown = list(plan_lines(only, Screen(width=100), compress))
    assert f"→ pending: restart service:own, {WAITS} on one" in shown
    assert "No changes. 0 hosts already right, 1 pending on 1 otherwise right." in shown


def test_a_plan_shows_what_waits_and_for_what(tmp_path):
    """Below each change: the restart that waits, or that the change itself does."""
    text = "\n".join(plan_lines(plan_of({"one": marked(FRIDAY, tmp_path)}), Screen(width=100), compress))
    assert f"      → pending: reload service:free, {WAITS}\n" in text
    assert f"~ package:shared\n      → pending: {WAITS}\n" in text
    assert "→ restart service:else\n" in text


def test_an_apply_reports_what_waits():
    """In the line of its moment, in the closing report and in the counts; and it is no restart that was done."""
    told = {"address": "service:own", "verb": "restart", "outcome": "skipped", "reason": WAITS, "pending": True}
    result = {"address": "package:x", "action": "change", "outcome": "skipped", "reason": WAITS, "pending": True}
    assert notified_line("one", told, Screen(width=100), with_host=False) == f"→ pending: restart service:own, {WAITS}"
    run = Run("R1", plan_of({"one": HostPlan(outcome="planned")}))
    run.results = {host: HostResult("ok", results=[result], notified=[told]) for host in ("a1", "a2")}
    shown = list(report_lines(run, Screen(width=100), compress, None))
    assert f"→ pending: restart service:own, {WAITS} on a[1-2]" in shown
    assert f"→ pending: change package:x, {WAITS} on a[1-2]" in shown
    assert "Run R1: 0 changed, 4 pending on 2 hosts." in shown


class Executor:
    """Stands in for a host that owes a restart: what it is told goes to `heard`."""

    def __init__(self, heard: list[dict[str, Any]]) -> None:
        self.heard = heard
        debts = [{"verb": "restart", "address": "service:own", "because": ["file:/a"]}]
        self.answers = [
            {"type": "ready", "facts": {}, "probes": {}, "memory": {"debts": debts}},
            {"type": "planned", "counts": {}},
            {"type": "end", "outcome": "applied"},
        ]

    async def send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    async def receive(self) -> dict[str, Any]:
        return self.answers.pop(0)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("planned", "go", "seconds", "pending"),
    [
        (FRIDAY, FRIDAY, 0, 1),
        (SUNDAY, SUNDAY + dt.timedelta(hours=1), 2 * 3600, 0),
        (SUNDAY, SUNDAY + dt.timedelta(hours=4), 0, 0),  # it closed while somebody thought about it
        (SUNDAY - dt.timedelta(minutes=1), SUNDAY + dt.timedelta(minutes=1), 0, 1),  # shown as waiting: not in this run
    ],
)
def test_the_moment_of_go_counts_and_the_plan_is_kept_to(tmp_path, planned, go, seconds, pending):
    """A host is told what holds when its part begins; what its plan showed as waiting is not done after all."""
    project = load_files(tmp_path, {"states/a.yml": WINDOWS})
    clock, heard = [planned], []
    catalogue = {
        "type": "catalogue",
        "hash": "h",
        "associations": [{"name": "web", "disrupt": "window:sunday-night"}],
        "resources": [{"address": "service:own", "owners": ["web"], "association": "web"}],
    }
    compiled = SimpleNamespace(
        catalogue=catalogue, blobs={}, secrets={}, problems=(), rollouts={}, requires={}, parameters={}
    )

    async def start(*_: object) -> Executor:
        return Executor(heard)

    run = HostRun(
        "one",
        Endpoint("one", "", connection="local"),
        Order("R1", "apply", "ana@laptop"),
        open_conversation=start,
        compile_with=lambda *_: compiled,
        windows=Windows(project.maintenance_windows, lambda: clock[0]),
    )

    async def drive() -> None:
        await run.contact()
        clock[0] = go
        await run.apply({})

    asyncio.run(drive())
    assert len(run.plan.pending) == pending
    (told,) = [message for message in heard if message["type"] == "go"]
    assert told["disrupt"]["web"]["seconds"] == seconds
    onhost_messages.check(told)


def statuses(plan: HostPlan, result: HostResult | None, tmp_path) -> dict[str, tuple[str, str]]:
    resources = waiting(FRIDAY, tmp_path).owners
    run = SimpleNamespace(
        name="one",
        plan=plan,
        facts=None,
        memory={},
        compiled=object(),
        declared=lambda: [{"address": address, "owners": owners} for address, owners in resources.items()],
    )
    rows = host_record(run, result, None).statuses  # type: ignore[arg-type]
    return {row.address: (row.status, row.reason) for row in rows or () if row.association == resources[row.address][0]}


def test_compliance_calls_it_pending(tmp_path):
    """After a plan and after an apply, of the service that waits and of the change that does; also where the host drifted; until it is paid."""
    plan = marked(FRIDAY, tmp_path)
    plan.verdicts[2].kind = "corrective"
    planned = statuses(plan, None, tmp_path)
    assert planned["service:own"] == ("pending", f"restart service:own {WAITS}")
    assert planned["package:shared"] == ("pending", WAITS)
    held = HostResult(
        "changed",
        results=[{"address": "package:shared", "outcome": "skipped", "reason": LATER, "pending": True}],
        notified=[
            {"address": "service:own", "verb": "restart", "outcome": "changed"},
            {"address": "service:free", "verb": "restart", "outcome": "skipped", "reason": LATER, "pending": True},
        ],
    )
    applied = statuses(plan, held, tmp_path)
    assert applied["service:own"] == ("compliant", "")
    assert applied["service:free"] == ("pending", f"restart service:free {LATER}")
    assert applied["package:shared"] == ("pending", LATER)
