"""How an apply ended, for people: what changed, then failures folded by resource and cause, then the next command."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from statectl.cli.formats.problems import Sources
from statectl.cli.formats.terminal import Screen, clean, one_line
from statectl.plans.fold import natural
from statectl.plans.plan import Plan, Source
from statectl.reconcile.fleet import Run
from statectl.reconcile.host_result import HostResult

OUTPUT_LINES = 20  # of a failed command
HOOKS = ("before_install", "after_install", "before_reboot", "after_reboot", "on_exit")
NO_RESTARTS = ("check", "reboot", *HOOKS)  # verbs of what is told beside restarts, reloads and runs
Compress = Callable[[Sequence[str]], str]
ACTION_WORDS = {"add": "added", "change": "changed", "remove": "removed", "run": "ran", "none": "changed"}


def result_line(host: str, entry: Mapping[str, Any], screen: Screen, *, with_host: bool) -> str:
    """One resource that changed or failed, as it happens."""
    address = one_line(str(entry["address"]))
    shown = f"{host}/{address}" if with_host else address
    seconds = f"  {entry['duration_ms'] / 1000:.1f} s" if entry.get("duration_ms", 0) >= 1000 else ""
    if entry["outcome"] == "failed":
        reason = one_line(_error(entry)[0])
        return f"{screen.paint(screen.mark('failed'), 'failed')} {shown}  {reason}{seconds}"
    if entry["outcome"] == "skipped":
        word = "pending" if entry.get("pending") else "skipped"
        return (
            f"{screen.paint(screen.mark('unknown'), 'dim')} {shown}  {word}: {one_line(str(entry.get('reason', '')))}"
        )
    if entry["outcome"] == "unknown":
        reason = one_line(str(entry.get("reason") or "nobody knows how far it came"))
        return f"{screen.paint(screen.mark('warning'), 'warning')} {shown}  unknown: {reason}"
    if entry["outcome"] == "ok":
        return f"{screen.paint(screen.mark('unknown'), 'dim')} {shown}  as wanted"
    word = ACTION_WORDS.get(str(entry.get("action", "change")), "changed")
    corrective = " (drift put right)" if entry.get("kind") == "corrective" else ""
    return f"{screen.paint(screen.mark('ok'), 'ok')} {shown}  {word}{corrective}{seconds}"


def notified_line(host: str, entry: Mapping[str, Any], screen: Screen, *, with_host: bool) -> str:
    address = one_line(str(entry["address"]))
    shown = f"{host}/{address}" if with_host else address
    verb = one_line(str(entry.get("verb", "restart")))
    if entry["outcome"] == "failed":
        return f"{screen.paint(screen.mark('failed'), 'failed')} {verb} {shown}  {one_line(_error(entry)[0])}"
    reason = one_line(str(entry.get("reason") or ""))
    if entry.get("pending"):
        return f"{screen.mark('then')} pending: {verb} {shown}, {reason}"
    if entry["outcome"] == "unknown":
        return f"{screen.paint(screen.mark('warning'), 'warning')} {verb} {shown}  unknown: {reason}"
    if entry["outcome"] in ("ok", "skipped"):
        return f"{screen.mark('then')} {verb} {shown}  {reason}"
    return f"{screen.paint(screen.mark('then'), 'ok')} {verb} {shown}"


def report_lines(run: Run, screen: Screen, compress: Compress, root: Path) -> Iterator[str]:
    """The closing report. Hosts are in the order of their names: whoever asks later reads the same."""
    sources = _sources(run.plan)
    results = {name: run.everything[name] for name in sorted(run.everything, key=natural)}
    for number, ((address, cause), hosts) in enumerate(_failures(results).items(), 1):
        yield ""
        yield from _failure(number, address, cause, hosts, run, sources, screen, compress, root)
    for (outcome, reason, code, hint), names in _ended(results).items():
        mark = screen.paint(screen.mark("warning"), "warning")
        coded = f" [{one_line(code)}]" if code else ""
        yield f"{mark} {outcome}: {compress(names)} ({one_line(reason) or 'no reason given'}){coded}"
        if hint:
            yield f"    hint: {one_line(hint)}"
    for text, names in _warnings(results).items():
        yield f"{screen.paint(screen.mark('warning'), 'warning')} warning: {text}   {compress(names)}"
    for text, names in _pending(results).items():
        yield f"{screen.mark('then')} pending: {text} on {compress(names)}"
    yield from _counts(run)


def next_lines(run: Run) -> Iterator[str]:
    """What to type for the hosts that were not done."""
    unfinished = any(result.outcome not in ("ok", "changed") for result in run.results.values())
    if run.results and unfinished and run.outcome in ("interrupted", "cancelled", "failed"):
        yield f"Only those again:  statectl apply --resume {run.run_id}"


def _pending(results: Mapping[str, HostResult]) -> dict[str, list[str]]:
    """{what disrupts and waits, and for what: hosts}."""
    folded: dict[str, list[str]] = {}
    for host, result in results.items():
        for entry in (*result.results, *result.notified):
            if entry.get("pending"):
                what = f"{entry.get('verb') or entry.get('action', 'change')} {entry['address']}"
                folded.setdefault(one_line(f"{what}, {entry.get('reason', '')}"), []).append(host)
    return folded


def _warnings(results: Mapping[str, HostResult]) -> dict[str, list[str]]:
    """{what was said in warning: hosts}."""
    folded: dict[str, list[str]] = {}
    for host, result in results.items():
        for text in result.warnings:
            folded.setdefault(one_line(text), []).append(host)
    return folded


def _counts(run: Run) -> Iterator[str]:
    resources: dict[str, int] = {}
    for result in run.everything.values():
        for entry in result.results:
            word = "pending" if entry.get("pending") else entry["outcome"]
            resources[word] = resources.get(word, 0) + 1
        waiting = sum(bool(entry.get("pending")) for entry in result.notified)
        resources["pending"] = resources.get("pending", 0) + waiting
    hosts: dict[str, int] = {}
    for result in run.results.values():
        hosts[result.outcome] = hosts.get(result.outcome, 0) + 1
    done = hosts.get("ok", 0) + hosts.get("changed", 0)
    told = [entry for result in run.results.values() for entry in result.notified]
    reboots = [entry for entry in told if entry.get("verb") == "reboot"]
    others = [entry for entry in told if entry.get("verb") not in NO_RESTARTS]
    restarts = sum(entry["outcome"] in ("changed", "failed") for entry in others)
    parts = [f"{resources.get('changed', 0)} changed"]
    parts += [
        f"{resources[word]} {word}" for word in ("failed", "skipped", "pending", "unknown") if resources.get(word)
    ]
    undone = sum(entry["outcome"] in ("skipped", "unknown") and not entry.get("pending") for entry in others)
    booted = sum(entry["outcome"] == "changed" for entry in reboots)
    not_booted = sum(entry["outcome"] != "changed" and not entry.get("pending") for entry in reboots)
    if restarts:
        parts.append(f"{restarts} restart{'s' * (restarts != 1)} or reload{'s' * (restarts != 1)}")
    if undone:
        parts.append(f"{undone} restart{'s' * (undone != 1)} or reload{'s' * (undone != 1)} not done")
    if booted:
        parts.append(f"{booted} reboot{'s' * (booted != 1)}")
    if not_booted:
        parts.append(f"{not_booted} reboot{'s' * (not_booted != 1)} not done")
    yield ""
    where = f"{len(run.results)} host{'s' * (len(run.results) != 1)}"
    if run.parameters is not None and run.parameters.results:
        where = f"the parameter store and {where}" if run.results else "the parameter store"
    yield f"Run {run.run_id}: {', '.join(parts)} on {where}."
    not_done = len(run.results) - done
    if not_done:
        listed = ", ".join(f"{count} {word}" for word, count in sorted(hosts.items()) if word not in ("ok", "changed"))
        yield f"{done} done, {not_done} not done ({listed})."
    if run.halted:
        yield f"Stopped: {one_line(run.halted)}; nothing new was started."
    elif run.budget_spent:
        yield f"Stopped: more than {run.errors_allowed} error{'s' * (run.errors_allowed != 1)} (--max-errors); nothing new was started."


def _failures(results: Mapping[str, HostResult]) -> dict[tuple[str, str], list[str]]:
    """{(address, cause): hosts}, most hosts first."""
    folded: dict[tuple[str, str], list[str]] = {}
    for host, result in results.items():
        for entry in (*result.results, *result.notified):
            if entry["outcome"] == "failed":
                folded.setdefault((str(entry["address"]), cause_of(entry)), []).append(host)
    return dict(sorted(folded.items(), key=lambda item: -len(item[1])))


def _ended(results: Mapping[str, HostResult]) -> dict[tuple[str, str, str, str], list[str]]:
    """Hosts whose run as a whole did not end well, folded by (outcome, reason, code, hint)."""
    folded: dict[tuple[str, str, str, str], list[str]] = {}
    for host, result in results.items():
        told = any(entry["outcome"] == "failed" for entry in (*result.results, *result.notified))
        if result.outcome not in ("ok", "changed") and not told:
            folded.setdefault((result.outcome, result.reason, result.code, result.hint), []).append(host)
    return folded


def _sources(plan: Plan) -> dict[str, Source]:
    return {
        verdict.address: verdict.source
        for host in plan.hosts.values()
        for verdict in host.verdicts
        if verdict.source is not None
    }


def _failure(
    number: int,
    address: str,
    cause: str,
    hosts: list[str],
    run: Run,
    sources: Mapping[str, Source],
    screen: Screen,
    compress: Compress,
    root: Path,
) -> Iterator[str]:
    yield f"{screen.paint(screen.mark('failed'), 'failed')} {number}  {one_line(address)} {screen.mark('dash')} {one_line(cause)}   {compress(hosts)}"
    source = sources.get(address)
    if source is not None:
        yield f"      {source.file}:{source.line}"
        line = _line(root, source.file, source.line)
        if line:
            yield f"  {source.line:4} {screen.mark('bar')} {clean(line)}"
    entry = next(
        item
        for item in (*run.everything[hosts[0]].results, *run.everything[hosts[0]].notified)
        if str(item["address"]) == address and item["outcome"] == "failed"
    )
    message, output = _error(entry)
    which = f" ({hosts[0]}; the others say the same)" if len(hosts) > 1 else ""
    yield f"   why      {one_line(message)}{which}"
    for line in output[-OUTPUT_LINES:]:
        # behind a mark: a CI runner takes what it knows for a command even when only spaces stand before it
        yield f"            {screen.mark('bar')} {clean(line)}"
    skipped = [
        one_line(str(item["address"])) for item in run.everything[hosts[0]].results if item["outcome"] == "skipped"
    ]
    if skipped:
        more = f" and {len(skipped) - 4} more" if len(skipped) > 4 else ""
        yield f"   skipped  {', '.join(skipped[:4])}{more}"
    yield f"   try      statectl plan -t '{compress(hosts)}'"


def cause_of(entry: Mapping[str, Any]) -> str:
    """Why something failed, the same on every host with the same cause."""
    error = entry.get("error") or {}
    return str(error.get("cause") or error.get("message") or entry.get("reason") or "failed")


def _error(entry: Mapping[str, Any]) -> tuple[str, list[str]]:
    error = entry.get("error") or {}
    message = str(error.get("message") or entry.get("reason") or "failed")
    return message, [line for line in str(error.get("output") or "").splitlines() if line.strip()]


def _line(root: Path, name: str, number: int) -> str:
    """A line of a file of the project, without its secrets; '' for anything else: a plan may come from somewhere else."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return ""
    return Sources(root).harmless(name, number).rstrip()
