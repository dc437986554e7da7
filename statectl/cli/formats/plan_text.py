"""A plan for people: folded by identical change, then counted, then the next command."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from statectl.cli.formats.ages import age
from statectl.cli.formats.order_text import order_lines
from statectl.cli.formats.terminal import Screen, one_line, same_line
from statectl.plans.plan import PARAMETERS, Block, Change, HostPlan, Pending, Plan, Verdict

NESTED_PARTS = 2000  # values in a list or map that are compared one by one: a host says how many there are
CONTEXT_LINES = 60  # of one diff, unless all is asked for
Compress = Callable[[Sequence[str]], str]


def plan_lines(
    plan: Plan,
    screen: Screen,
    compress: Compress,
    *,
    full: bool = False,
    by_host: bool = False,
    drift: bool = False,
    before_apply: bool = False,
) -> Iterator[str]:
    """Lines without ends. `drift`: the words are drifted, not pending. `before_apply`: the apply of it is what comes next."""
    if by_host:
        yield from _by_host(plan, screen, full)
    else:
        yield from _blocks(plan, screen, compress, full)
    yield from order_lines(plan.order, screen, compress)
    yield from _not_checked(plan.hosts, screen, compress)
    yield from _debts(plan.hosts, screen, compress)
    yield from _summary(plan, screen, drift=drift, closing="" if before_apply else " Nothing was changed.")


def _blocks(plan: Plan, screen: Screen, compress: Compress, full: bool) -> Iterator[str]:
    association = None
    for block in plan.blocks:
        if block.association != association:
            association = block.association
            file = next((v.source.file for v in block.changes if v.source), "")
            title = one_line(association) or ("(project)" if block.hosts == [PARAMETERS] else "(no association)")
            yield _sides(screen.paint(title, "bold"), file, screen, len(title))
        yield _hosts_line(block, screen, compress)
        for verdict in block.changes:
            yield from _verdict(verdict, screen, full, _first_seen(plan, block.hosts, verdict.address))


def _hosts_line(block: Block, screen: Screen, compress: Compress) -> str:
    if block.hosts == [PARAMETERS]:
        return screen.fit("  in the parameter store")
    count = f"{len(block.hosts)} host{'s' * (len(block.hosts) != 1)}"
    text = f"  {count:8} {compress(block.hosts)}"
    if block.outlier:
        text += f"   {screen.mark('outlier')} differs from its peers"
    return screen.fit(text)


def _by_host(plan: Plan, screen: Screen, full: bool) -> Iterator[str]:
    for name, host in plan.hosts.items():
        if not host.verdicts:
            continue
        yield screen.paint(name, "bold")
        for verdict in host.verdicts:
            yield from _verdict(verdict, screen, full, _first_seen(plan, [name], verdict.address))


def _first_seen(plan: Plan, hosts: Sequence[str], address: str) -> str:
    """When this was seen for the first time, on the host where that is the longest ago and on the one where it is not."""
    found = sorted(plan.hosts[host].since[address] for host in hosts if address in plan.hosts[host].since)
    if not found:
        return ""
    if found[0] >= plan.created:
        return ", first seen now"
    oldest = age(found[0], plan.created)
    newest = "now" if found[-1] >= plan.created else f"{age(found[-1], plan.created)} ago"
    between = f" to {newest}" if newest != f"{oldest} ago" else " ago"
    return f", first seen {oldest}{between}: {found[0]}"


def _verdict(verdict: Verdict, screen: Screen, full: bool, first_seen: str = "") -> Iterator[str]:
    action = verdict.action
    if verdict.verdict == "orphan" and action == "none":
        mark = "orphan"
    elif verdict.verdict == "unknown":
        mark = "unknown"
    elif verdict.verdict == "refused":
        mark = "failed"
    else:
        mark = action if action != "none" else "change"
    text = f"{screen.mark(mark)} {one_line(verdict.address)}"
    tail = []
    short = _short(verdict)
    if short:
        tail.append(short)
    if verdict.predicted_after:
        tail.append(f"(predicted, after {_names(verdict.predicted_after)})")
    if verdict.unknown_until:
        tail.append(f"(known after {_names(verdict.unknown_until)})")
    if verdict.reason and not (verdict.audited and verdict.reason.endswith("only audits")):
        tail.append(one_line(verdict.reason))
    if verdict.audited:
        tail.append("(audit only)")
    if verdict.kind == "corrective" and verdict.verdict == "change":
        tail.append(f"(drifted{first_seen})")
    left = f"    {text}" + (f"   {'  '.join(tail)}" if tail else "")
    source = f"{verdict.source.file.rpartition('/')[2]}:{verdict.source.line}" if verdict.source else ""
    yield _sides(screen.paint(left, mark), source, screen, len(left))
    for change in verdict.changes:
        if change.field == "state" and verdict.action in ("add", "remove"):
            continue  # the mark says it
        if verdict.action == "add" and change.found is None and change.wanted in ([], {}, False, ""):
            continue  # an empty default of something new says nothing
        if not (short and change.field in _SHORT):
            yield from _change(change, screen, full, new=verdict.action == "add")
    for override in verdict.overrides:
        until = f" until {override['until']}" if override.get("until") else ""
        by = f"{override['by']} " if override.get("by") else ""
        fields = f" in {one_line(override['fields'])}" if override.get("fields") else ""
        place = f" ({one_line(override['source'])})" if override.get("source") else ""
        yield f"      {by}overrides {override.get('of', '')}{fields}{place}: {one_line(override.get('reason', ''))}{until}"
    for owed in verdict.notify if not (verdict.audited or verdict.waits or verdict.held) else ():
        yield f"      {screen.mark('then')} {one_line(owed)}"
    if verdict.waits:
        yield f"      {screen.mark('then')} pending: {one_line(verdict.waits)}"
    if verdict.held:
        yield f"      {screen.mark('then')} held back: {one_line(verdict.held)}"
    for pending in verdict.pending:
        yield f"      {screen.mark('then')} {_pending(pending)}"
    if verdict.armed:
        yield f"      {screen.mark('then')} armed: undone after {verdict.armed} s unless a new login succeeds"


def _pending(pending: Pending) -> str:
    return f"pending: {one_line(pending.what)}, {one_line(pending.reason)}"


_SHORT = ("state", "version")


def _short(verdict: Verdict) -> str:
    """What fits behind the address: a package's version, or the fields of something new."""
    fields = {change.field: change for change in verdict.changes}
    version = fields.get("version")
    if verdict.action == "add":
        return one_line(str(version.wanted)) if version is not None and version.wanted is not None else ""
    if version is not None and verdict.action == "change" and version.found is not None:
        return one_line(f"{version.found} to {version.wanted}")
    return ""


def _change(change: Change, screen: Screen, full: bool, *, new: bool) -> Iterator[str]:
    bar, field = screen.mark("bar"), one_line(change.field)
    if change.secret:
        yield f"        {bar} {field}: differs (secret, not shown)"
    elif change.diff is not None:
        lines = change.diff if full else change.diff[:CONTEXT_LINES]
        for line in lines:
            style = {"+": "add", "-": "remove"}.get(line[:1], "dim")
            yield f"        {bar}{screen.paint(same_line(line), style)}"
        if len(lines) < len(change.diff):
            yield f"        {bar} {screen.mark('more')} {len(change.diff) - len(lines)} more lines (--full shows them)"
    elif change.binary:
        yield f"        {bar} {field}: {_size(change.found)} to {_size(change.wanted)}, not text"
    elif (
        isinstance(change.found, list | dict)
        and isinstance(change.wanted, list | dict)
        and _parts(change.found) + _parts(change.wanted) <= NESTED_PARTS
    ):
        for line in _nested(change.found, change.wanted):
            yield screen.fit(f"        {bar} {field}{line}")
    elif new and change.found is None:
        yield screen.fit(f"        {bar} {field}: {_value(change.wanted)}")
    else:
        yield screen.fit(f"        {bar} {field}: {_value(change.found)} to {_value(change.wanted)}")


def _parts(value: object) -> int:
    """How many values are inside."""
    if isinstance(value, dict):
        return 1 + sum(map(_parts, value.values()))
    return 1 + sum(map(_parts, value)) if isinstance(value, list | tuple) else 1


def _nested(found: object, wanted: object) -> Iterator[str]:
    """What differs inside lists and maps, one line each: what was added, what was taken away, what changed."""
    from deepdiff import DeepDiff

    difference = DeepDiff(found, wanted, ignore_order=True, view="tree")
    kinds = (
        ("iterable_item_removed", "dictionary_item_removed"),
        ("iterable_item_added", "dictionary_item_added"),
        ("values_changed", "type_changes"),
    )
    for index, group in enumerate(kinds):
        for kind in group:
            for item in difference.get(kind, ()):
                keys = [str(key) for key in item.path(output_format="list")]
                place = "." + ".".join(one_line(key) for key in keys) if isinstance(found, dict) and keys else ""
                if index == 0:
                    yield f"{place}: without {_value(item.t1)}"
                elif index == 1:
                    yield f"{place}: with {_value(item.t2)}"
                else:
                    yield f"{place}: {_value(item.t1)} to {_value(item.t2)}"
    if not difference:
        yield f": the order, {_value(found)} to {_value(wanted)}"


def _size(value: object) -> str:
    if isinstance(value, Mapping) and "size" in value:
        return f"{value['size']} bytes"
    return "nothing" if value is None else one_line(str(value))


def _value(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(one_line(str(item)) for item in value) + "]"
    return one_line(str(value)) or '""'


def _names(addresses: Sequence[str]) -> str:
    """The nearest one, which comes last, and how many more."""
    return one_line(addresses[-1]) + (f" and {len(addresses) - 1} more" if len(addresses) > 1 else "")


def _not_checked(hosts: Mapping[str, HostPlan], screen: Screen, compress: Compress) -> Iterator[str]:
    """Hosts that were not planned, folded by cause."""
    causes: dict[tuple[str, str, str, str], list[str]] = {}
    for name, host in hosts.items():
        if host.outcome != "planned":
            causes.setdefault((host.outcome, host.code, host.reason, host.hint), []).append(name)
    for (outcome, code, reason, hint), names in sorted(causes.items(), key=lambda item: -len(item[1])):
        label = {"unreachable": "not checked", "unknown": "lost", "failed": "failed", "refused": "refused"}.get(
            outcome, outcome
        )
        mark = "failed" if outcome == "failed" else "warning"
        coded = f" [{one_line(code)}]" if code else ""
        yield f"{screen.paint(screen.mark(mark), mark)} {label}: {compress(names)} ({one_line(reason)}){coded}"
        if hint:
            yield f"    hint: {one_line(hint)}"


def _debts(hosts: Mapping[str, HostPlan], screen: Screen, compress: Compress) -> Iterator[str]:
    owed: dict[str, list[str]] = {}
    for name, host in hosts.items():
        for debt in host.debts:
            owed.setdefault(debt, []).append(name)
    for debt, names in owed.items():
        yield f"{screen.mark('then')} owed from an earlier run: {one_line(debt)} on {compress(names)}"
    waiting: dict[str, list[str]] = {}
    for name, host in hosts.items():
        for pending in host.pending:
            waiting.setdefault(_pending(pending), []).append(name)
    for text, names in waiting.items():
        yield f"{screen.mark('then')} {text} on {compress(names)}"


def _summary(plan: Plan, screen: Screen, *, drift: bool, closing: str) -> Iterator[str]:
    summary = plan.summary
    right = f"{summary.hosts_right} host{'s' * (summary.hosts_right != 1)} already right"
    extra = []
    if summary.hosts_audited:
        extra.append(f"{summary.hosts_audited} only audited and not as wanted")
    if summary.pending:
        hosts = f" on {summary.hosts_pending} otherwise right" if summary.hosts_pending else ""
        extra.append(f"{summary.pending} pending{hosts}")
    if summary.hosts_unreachable:
        extra.append(f"{summary.hosts_unreachable} unreachable")
    if summary.hosts_refused:
        extra.append(f"{summary.hosts_refused} host{'s' * (summary.hosts_refused != 1)} refused")
    if summary.hosts_failed:
        extra.append(f"{summary.hosts_failed} failed")
    if summary.orphans:
        extra.append(f"{summary.orphans} orphan{'s' * (summary.orphans != 1)} kept")
    if summary.refused:
        extra.append(f"{summary.refused} refused")
    rest = "".join(f", {part}" for part in extra)
    unread = summary.hosts_unreachable + summary.hosts_refused + summary.hosts_failed
    known = summary.hosts_right or summary.hosts_audited or summary.hosts_pending or summary.refused
    if not plan.has_changes and unread and not known:
        yield f"Nothing is known: none of {unread} host{'s' * (unread != 1)} could be read{rest}."
        return
    if drift and not plan.has_changes:
        yield f"No drift. {right.replace('already right', 'as last applied')}{rest}."
        return
    if not plan.has_changes:
        yield f"No changes. {right}{rest}."
        return
    counts = [
        (summary.add, "add"),
        (summary.change, "change"),
        (summary.remove, "remove"),
        (summary.run, "run"),
        (summary.unknown, "unknown yet"),
    ]
    total = sum(count for count, _ in counts)
    listed = ", ".join(f"{count} {word}" for count, word in counts if count)
    owed = [debt.partition(" ")[0] for host in plan.hosts.values() for debt in host.debts]
    reboots, looks = owed.count("reboot"), owed.count("after_reboot")
    restarts = summary.notify - reboots - looks
    told = f"; {restarts} restart{'s' * (restarts != 1)} or reload{'s' * (restarts != 1)}" if restarts else ""
    told += f"; {reboots} reboot{'s' * (reboots != 1)}" if reboots else ""
    told += f"; {looks} look{'s' * (looks != 1)} at a host that was rebooted" if looks else ""
    hosts = f"{summary.hosts_changed} host{'s' * (summary.hosts_changed != 1)}"
    if summary.parameters_changed:
        hosts = f"the parameter store and {hosts}" if summary.hosts_changed else "the parameter store"
    yield ""
    if drift:
        things = f"{total} resource{'s' * (total != 1)}"
        yield f"Drifted: {things} on {hosts}: {listed}{told}."
        yield f"         {right.replace('already right', 'as last applied')}{rest}.{closing}"
        return
    changes = f"{total} change{'s' * (total != 1)}"
    yield f"Plan {plan.id}: {changes} on {hosts} {screen.mark('dash')} {listed}{told}."
    yield f"               {right}{rest}.{closing}"


def _sides(left: str, right: str, screen: Screen, visible: int) -> str:
    """`right` at the right edge when there is room, else behind two blanks."""
    if not right:
        return left
    gap = max(2, min(screen.width, 100) - visible - len(right))
    return f"{left}{' ' * gap}{screen.paint(right, 'dim')}"
