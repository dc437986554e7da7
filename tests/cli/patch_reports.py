"""Patch reports made by hand: fixed moments, and hosts in every state."""

import datetime as dt
import json

from statectl.baselines.evaluation import Evaluation, PatchState
from statectl.baselines.model import Baseline, Pin
from statectl.baselines.scan import Archive, Needs, Scan
from statectl.patches.history import patch_operation
from statectl.patches.report import PatchReport, report
from statectl.patches.standing import Standing, standings
from statectl.problems import Span

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
BASELINE = Baseline(
    "debian-prod", "debian", pins=(Pin("nginx", "*", dt.date(2026, 12, 31), "vendor module is not built yet"),),
    span=Span("states/patches.yml", 7, 3),
)  # fmt: skip


def ago(**before: float) -> dt.datetime:
    return NOW - dt.timedelta(**before)


def stamp(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


OPENSSL = PatchState(
    "openssl", "amd64", "Missing", "3.0.14-1~deb12u1", "3.0.15-1~deb12u1", level="critical", classification="Security",
    severity="high", reason="rule 1 approves it 3 days after it was first seen (2026-11-12)", advisories=("DSA-5764-1",),
    cves=("CVE-2026-6119",), first_seen=ago(days=12), approved_at=ago(days=9),
)  # fmt: skip
CURL = PatchState(
    "curl", "amd64", "Missing", "7.88.1-10+deb12u7", "7.88.1-10+deb12u8", severity="Moderate", classification="Security",
    reason="rule 2 approves it at once", cves=("CVE-2026-8096",), first_seen=ago(days=45), approved_at=ago(days=45),
)  # fmt: skip
TZDATA = PatchState(
    "tzdata", "all", "Missing", "2026a-0", "2026b-0", level="low", reason="approved by name", first_seen=ago(days=2)
)
BASH = PatchState("bash", "amd64", "InstalledOther", "5.2.15-2", "5.2.15-2")
KERNEL = PatchState(
    "linux-image-amd64", "amd64", "InstalledPendingReboot", "6.1.112-1", "6.1.112-1", level="high",
    reason="installed since the last boot", first_seen=ago(days=5),
)  # fmt: skip
DOCKER = PatchState(
    "docker-ce", "amd64", "InstalledRejected", "27.0", "27.0", level="medium", reason="rejected by `docker-ce*`"
)
NGINX = PatchState(
    "nginx", "amd64", "InstalledOther", "1.22.1-9", "1.22.1-9", reason="pinned", withheld="1.22.1-9+deb12u1",
    first_seen=ago(days=20),
)  # fmt: skip
FAILED = PatchState(
    "openssl", "amd64", "Failed", "3.0.14-1~deb12u1", "3.0.15-1~deb12u1", level="critical", classification="Security",
    reason="postinst of openssl exited 1", first_seen=ago(days=12), approved_at=ago(days=9),
)  # fmt: skip


def operation(host, states, *, run="R1", before=None, unknown="", scan=None, baseline=BASELINE, kind="scan", **more):
    ended = stamp(before or ago(hours=3))
    evaluation = Evaluation(
        baseline.name, tuple(states), unknown=unknown,
        compliant=not unknown and all(one.state in ("Installed", "InstalledOther") for one in states),
    )  # fmt: skip
    fetched = int((before or ago(hours=4)).timestamp())
    told = scan or Scan("apt", fetched, archives=(Archive("Debian:bookworm", fetched=fetched, date=fetched - 3600),))
    return patch_operation(
        evaluation, run=run, host=host, baseline=baseline, operation=kind, started=ended, ended=ended, scan=told,
        commit="3f2c1aa9d0", **more,
    )  # fmt: skip


def judged(operations, *, expected=None, at=NOW, **options) -> list[Standing]:
    """Without a store: a list stands for itself."""
    from dataclasses import replace

    named = [replace(one, listed=f"{one.host} {one.run}" if one.rows is not None else "") for one in operations]
    rows = {one.listed: [json.loads(row) for row in one.rows] for one in named if one.listed}
    pairs = expected or [(one.host, one.baseline) for one in named]
    return standings(pairs, named, rows, at, **options)


def fleet() -> list[Standing]:
    needs = Needs(
        reboot=True, reasons=("kernel 6.1.112 is installed, 6.1.106 runs",), services={"ssh.service": ("/usr/lib/libssl.so.3",)}
    )  # fmt: skip
    operations = [operation(f"web{number:02}", [OPENSSL, CURL, BASH]) for number in range(1, 9)]
    operations += [
        operation("web09", [FAILED, CURL, BASH], run="R2", kind="install"),
        operation("web10", [KERNEL, BASH], scan=Scan("apt", 0, needs=needs)),
        operation("db01", [], unknown="the package data are 9 days old, 7 are allowed", before=ago(days=9)),
        operation("db03", [NGINX, BASH]),
        operation("db04", [BASH]),
        operation("ci01", [DOCKER, TZDATA, BASH]),
    ]
    names = [one.host for one in operations]
    expected = [(name, "debian-prod") for name in (*names[:11], "db02", *names[11:])]
    return judged(operations, expected=expected)


def made(**options) -> PatchReport:
    return report(fleet(), NOW, project="shop", **options)
