"""statectl runs: earlier runs, from the store."""

from typing import Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs, output_options, outputs, to_json, to_json_lines
from statectl.cli.runs_under_way import cancel_run, follow_run
from statectl.errors import UsageError

FORMATS = ("text", "json", "jsonl")


@click.group()
def command() -> None:
    """List and show earlier runs, from this controller's store; follow and cancel those that go on."""


command.add_command(follow_run)
command.add_command(cancel_run)


@command.command("list")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@output_options(FORMATS)
@click.pass_obj
def list_runs(
    obj: dict[str, Any], limit: int, out: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, color: str
) -> int:
    """Newest first."""
    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    runs = _store(obj).list_runs(limit)
    shown.write(
        {
            "text": lambda: _list_text(runs, shown),
            "json": lambda: to_json({"format": "statectl.runs/1.0", "runs": runs}),
            "jsonl": lambda: to_json_lines(runs),
        }
    )
    return 0


@command.command("show")
@click.argument("run_id")
@output_options(FORMATS)
@click.pass_obj
def show_run(
    obj: dict[str, Any], run_id: str, out: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, color: str
) -> int:
    """Everything one run did, host by host."""
    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    run = _store(obj).run(run_id) if run_id.isascii() else None
    if run is None:
        raise UsageError(
            f"no run {one_line(run_id)!r} in this store", hint="statectl runs list shows those that are here"
        )
    shown.write(
        {
            "text": lambda: run_text(run, shown),
            "json": lambda: to_json({"format": "statectl.run/1.0", **run}),
            "jsonl": lambda: _lines(run),
        }
    )
    return 0


def _store(obj: dict[str, Any]) -> Any:
    from statectl.cli.interrupted import tell_interrupted
    from statectl.cli.opening import open_settings, open_store

    root, settings = open_settings(obj)
    store = open_store(root, settings)
    tell_interrupted(store)
    return store


def _list_text(runs: list[dict[str, Any]], shown: Outputs) -> str:
    if not runs:
        return "No runs are recorded in this store.\n"
    lines = []
    for run in runs:
        counts = ", ".join(f"{count} {word}" for word, count in run["counts"].items())
        lines.append(
            shown.screen.fit(
                f"{run['id']}  {run['started']}  {run['verb']:6} {run['outcome']:12} {one_line(counts)}  {one_line(run['who'])}"
                + (f"  for {one_line(', '.join(_slots(run)))}" if _slots(run) else "")
                + (
                    f"  rolls back {one_line(str(run['scope']['rolls_back']))}"
                    if run["scope"].get("rolls_back")
                    else ""
                )
            )
        )
    return "\n".join(lines) + "\n"


def _slots(run: dict[str, Any]) -> list[str]:
    """The slots that it was started for; none when somebody typed it."""
    return [str(slot) for slot in run["scope"].get("slot", ())]


def _lines(run: dict[str, Any]) -> str:
    """One line a host, then one with everything but the hosts."""
    whole = {key: value for key, value in run.items() if key != "hosts"}
    hosts = [{"type": "host", "host": host, **entry} for host, entry in run["hosts"].items()]
    return to_json_lines([*hosts, {"type": "run", "format": "statectl.run/1.0", **whole}])


def run_text(run: dict[str, Any], shown: Outputs) -> str:
    from statectl.cli.formats.apply_text import notified_line, result_line

    lines = [
        f"Run {run['id']}: {run['verb']}, {run['outcome']}",
        f"  started {run['started']} by {one_line(run['who'])}"
        + (f", ended {run['ended']}" if run["ended"] else ", not ended"),
    ]
    if run["commit"]:
        lines.append(f"  commit {one_line(run['commit'][:12])}")
    if run["scope"].get("rolls_back"):
        lines.append(f"  rolls back {one_line(str(run['scope']['rolls_back']))}")
    if _slots(run):
        lines.append(f"  scheduled for {one_line(', '.join(_slots(run)))}")
    if run["plan"]:
        lines.append(f"  plan {one_line(run['plan'])}")
    for host, entry in run["hosts"].items():
        reason = f": {one_line(entry['reason'])}" if entry["reason"] else ""
        code = f" [{one_line(entry['code'])}]" if entry["code"] else ""
        lines.append(f"{host}  {one_line(entry['outcome'])}{reason}{code}")
        if entry["hint"]:
            lines.append(f"  hint: {one_line(entry['hint'])}")
        for told in entry["results"] or ():
            if told.get("type") == "log":
                lines.append(f"  {shown.screen.mark('warning')} warning: {one_line(str(told['text']))}")
            elif told.get("type") == "notified" or "verb" in told:
                lines.append(f"  {notified_line(host, told, shown.screen, with_host=False)}")
            elif "address" in told and (told["outcome"] != "ok" or shown.verbose):
                lines.append(f"  {result_line(host, told, shown.screen, with_host=False)}")
    return "\n".join(lines) + "\n"
