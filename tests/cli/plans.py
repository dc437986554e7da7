"""Plan values made by hand: fixed ids and dates, a fleet as people have it."""

from statectl.plans.fold import fold
from statectl.plans.plan import Change, HostPlan, Plan, Source, Verdict, summarise
from statectl.targets.ranges import compress

__all__ = ["compress", "fleet", "many", "plan_of"]


def verdict(address: str, association: str, action: str, line: int, **more: object) -> Verdict:
    source = Source(file=f"states/{association}.yml", line=line)
    return Verdict(address=address, association=association, verdict="change", action=action, source=source, **more)


def diff(found: str) -> list[Change]:
    return [
        Change(
            field="content",
            diff=[
                "@@ -3,3 +3,3 @@",
                " events {",
                f"-  worker_connections {found};",
                "+  worker_connections 1024;",
                " }",
            ],
        )
    ]


def web(connections: str = "512") -> HostPlan:
    """What most web hosts would get."""
    return HostPlan(
        outcome="planned",
        ok=40,
        verdicts=[
            verdict(
                "package:libnginx-mod-brotli",
                "web",
                "add",
                9,
                changes=[
                    Change(field="state", found="absent", wanted="present"),
                    Change(field="version", wanted="1.22.1-9"),
                ],
            ),
            verdict(
                "file:/etc/nginx/nginx.conf",
                "web",
                "change",
                14,
                changes=diff(connections),
                notify=["reload service:nginx"],
            ),
            verdict("service:nginx", "web", "change", 30, changes=[Change(field="enabled", found=False, wanted=True)]),
        ],
    )


def db() -> HostPlan:
    orphan = Verdict(
        address="file:/etc/cron.d/report",
        association="base",
        verdict="orphan",
        action="none",
        reason="no longer declared; kept",
    )
    return HostPlan(
        outcome="planned",
        ok=12,
        verdicts=[
            verdict("user:oldadmin", "base", "remove", 31, changes=[Change(field="state", found="present", wanted="absent")]),
            verdict("file:/etc/secret.key", "base", "change", 44, changes=[Change(field="content", secret=True)]),
            verdict("file:/srv/blob", "base", "change", 50, changes=[Change(field="content", found={"sha256": "a", "size": 3000}, wanted={"sha256": "b", "size": 4000}, binary=True)]),
            verdict("sysctl:net.ipv4.ip_forward", "base", "change", 60, changes=[Change(field="value", found="0", wanted="1")], kind="corrective",
                    overrides=[{"of": "hardening", "reason": "router", "until": "2027-06-30", "by": "gateway", "fields": "value", "source": "states/base.yml:12"}]),
            verdict("command:migrate", "base", "run", 70, predicted_after=["package:app"]),
            Verdict(address="file:/etc/app/env", association="base", verdict="unknown", action="none", unknown_until=["user:app"]),
            orphan,
        ],
        debts=["restart service:cron"],
    )  # fmt: skip


def plan_of(hosts: dict[str, HostPlan]) -> Plan:
    summary = summarise(hosts)
    own = {name: {name: "{{ host.name }}"} for name in hosts}
    return Plan(
        id="V7KQ2MXP",
        project="shop",
        created="2026-11-23T10:02:11Z",
        expires="2026-11-24T10:02:11Z",
        has_changes=summary.hosts_changed > 0,
        summary=summary,
        blocks=fold(hosts, own, ["web", "base"]),
        hosts=hosts,
    )


def fleet() -> Plan:
    """36 web hosts, one of them edited by hand; two databases; hosts that could not be read, for two reasons."""
    hosts = {f"web{number:02}": web("2048" if number == 36 else "512") for number in range(1, 37)}
    hosts |= {"db01": db(), "db02": db()}
    hosts["db03"] = HostPlan(outcome="unreachable", reason="connection refused (10.0.3.13 tcp 22)", code="E301")
    hosts["new1"] = HostPlan(
        outcome="refused",
        reason="host key unknown: shown SHA256:FzArDuAviYka4L4Wm89A6HKIKbOC3kt3xlQjHdKAnzo",
        code="E311",
        hint="compare the fingerprint on the host, then: statectl inventory trust new1",
    )
    hosts["right1"] = HostPlan(outcome="planned", ok=52)
    return plan_of(hosts)


def many(count: int) -> Plan:
    """`count` hosts with the same changes, each with its own name in a file, and one that was edited by hand."""
    hosts = {}
    for number in range(1, count + 1):
        name = f"web{number:04}"
        hosts[name] = web("2048" if number == 417 else "512")
        own = Change(field="content", diff=["@@ -1,1 +1,1 @@", "-old", f"+server_name {name};"])
        hosts[name].verdicts.append(verdict("file:/etc/nginx/name.conf", "web", "change", 20, changes=[own]))
    return plan_of(hosts)
