"""statectl runs follow and runs cancel: runs that go on, here or from another controller."""

from typing import Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, login_options, output_options, to_json
from statectl.errors import Refused

FORMATS = ("text", "json")
target_option = click.option(
    "-t", "--target", metavar="EXPR", default=None, help="Ask only these hosts, when the run is not of this store."
)


@click.command("follow")
@click.argument("run_id", metavar="RUN")
@target_option
@inventory_option
@login_options
@output_options(FORMATS)
@click.pass_obj
def follow_run(obj: dict[str, Any], /, run_id: str, target: str | None, **options: Any) -> int:
    """Watch a run until it ends, as the one who started it does, and end with its exit code. Ctrl-C only stops watching.

    A run of another controller, or one whose controller is gone, is watched on its hosts.
    """
    from statectl.cli import following
    from statectl.cli.fleet import Opened
    from statectl.cli.planning import outputs_of

    shown = outputs_of(options, FORMATS)
    opened = Opened.of(obj, options["inventory"], options, states=False)
    try:
        store = opened.records()
        run = store.run(run_id) if run_id.isascii() else None
        here = run is not None and target is None and (run["ended"] or store.under_way.alive(run_id))
        if run is not None and here and run["verb"] == "apply":
            if following.follow_in_store(opened, run_id, shown):
                return _ended(store, run_id, shown, opened.root)
            following.tell(f"run {one_line(run_id)}: its controller is gone; its hosts are asked")
        elif run is not None and here and run["ended"]:
            return _ended(store, run_id, shown, opened.root)
        hosts = following.hosts_of(opened, run_id, target)
        seen = following.follow_on_hosts(opened, hosts, run_id, shown)
        if not any(found.living for found in seen.values()):
            raise following.not_found(run_id, hosts, seen)
        return _on_hosts(seen, run_id, shown)
    finally:
        opened.close()


def _ended(store: Any, run_id: str, shown: Any, root: Any) -> int:
    """What the run's own command printed at the end, and its exit code."""
    from statectl.cli.deciding import apply_code, worst
    from statectl.cli.following import stored_run
    from statectl.targets.ranges import compress

    run = store.run(run_id)
    plan = store.plan(run["plan"]) if run["plan"] else None
    ended = stored_run(run, plan[0] if plan else None)

    def text() -> str:
        from statectl.cli.formats.apply_text import next_lines, report_lines
        from statectl.cli.runs_command import run_text

        if ended is None:
            return run_text(run, shown)
        return "".join(f"{line}\n" for line in (*report_lines(ended, shown.screen, compress, root), *next_lines(ended)))

    shown.write({"text": text, "json": lambda: to_json({"format": "statectl.run/1.0", **run})})
    if ended is not None:
        return apply_code(ended)
    codes = {"failed": 1, "terminated": 1, "stopped": 1, "unknown": 3, "unreachable": 3, "refused": 5, "skipped": 5}
    return worst([codes[entry["outcome"]] for entry in run["hosts"].values() if entry["outcome"] in codes])


def _on_hosts(seen: Any, run_id: str, shown: Any) -> int:
    from statectl.cli.deciding import worst

    codes = {"failed": 1, "stopped": 1, "stale": 5, "refused": 5, "unreachable": 3, "unknown": 3}
    followed = {host: found for host, found in seen.items() if found.living}

    def text() -> str:
        lines = []
        for host, found in followed.items():
            reason = f": {found.reason}" if found.reason else ""
            lines.append(f"{host}  {one_line(found.outcome)}{reason}")
        return "\n".join(lines) + "\n"

    hosts = {
        host: {"outcome": found.outcome, "reason": found.reason, "results": found.results}
        for host, found in followed.items()
    }
    shown.write({"text": text, "json": lambda: to_json({"format": "statectl.run/1.0", "id": run_id, "hosts": hosts})})
    return worst([codes[found.outcome] for found in followed.values() if found.outcome in codes])


@click.command("cancel")
@click.argument("run_id", metavar="RUN")
@target_option
@inventory_option
@login_options
@output_options(FORMATS)
@click.pass_obj
def cancel_run(obj: dict[str, Any], /, run_id: str, target: str | None, **options: Any) -> int:
    """Ask a run to stop: no further host is started, and each host stops at its next resource border. No process is killed.

    What was changed stays changed, and apply can go on with the rest. The command of a `statectl run` is ended.
    """
    from statectl.cli import following
    from statectl.cli.fleet import Opened
    from statectl.cli.planning import outputs_of

    shown = outputs_of(options, FORMATS)
    opened = Opened.of(obj, options["inventory"], options, states=False)
    try:
        store = opened.records()
        run = store.run(run_id) if run_id.isascii() else None
        if run is not None and run["ended"] and not any(e["outcome"] == "unknown" for e in run["hosts"].values()):
            raise Refused(
                f"run {one_line(run_id)} has ended at {run['ended']}: {one_line(run['outcome'])}", code="E509"
            )
        ended = False
        if run is not None and store.under_way.alive(run_id):
            ended = following.cancel_in_store(opened, run_id)
        if ended:
            return _cancelled(store.run(run_id), shown)
        if run is not None and store.under_way.alive(run_id) and target is None:
            following.tell(f"run {one_line(run_id)} was asked to stop; {_works_on(store, run_id)}")
            following.tell(f"  watch it: statectl runs follow {one_line(run_id)}")
            return _cancelled(store.run(run_id), shown)
        hosts = following.hosts_of(opened, run_id, target)
        seen = following.cancel_on_hosts(opened, hosts, run_id)
        if not any(found.living for found in seen.values()):
            raise following.not_found(run_id, hosts, seen)
        if run is None:
            following.tell(
                "the run is another controller's: it may go on with hosts that it had not started; cancel it there as well"
            )
        return _asked(seen, run_id, shown)
    finally:
        opened.close()


def _works_on(store: Any, run_id: str) -> str:
    from statectl.targets.ranges import compress

    left = [host for host, (begun, outcome) in store.under_way.targets(run_id).items() if begun and not outcome]
    if not left:
        return "its controller has not answered yet"
    return f"{one_line(compress(left))} stop{'s' * (len(left) == 1)} after the resource in hand"


def _cancelled(run: Any, shown: Any) -> int:
    counts = ", ".join(f"{count} {word}" for word, count in run["counts"].items())
    shown.write(
        {
            "text": lambda: f"Run {one_line(run['id'])}: {run['status']}{f' ({one_line(counts)})' if counts else ''}\n",
            "json": lambda: to_json({"format": "statectl.run/1.0", **run}),
        }
    )
    return 0


def _asked(seen: Any, run_id: str, shown: Any) -> int:
    found = {host: one for host, one in seen.items() if one.living}

    def text() -> str:
        return "".join(
            f"{host}  {'Cancelled' if one.stopped else 'Cancelling'}{f': {one.reason}' if one.reason else ''}\n"
            for host, one in found.items()
        )

    def document() -> str:
        hosts = {
            host: {"status": "Cancelled" if one.stopped else "Cancelling", "reason": one.reason}
            for host, one in found.items()
        }
        return to_json({"format": "statectl.run/1.0", "id": run_id, "hosts": hosts})

    shown.write({"text": text, "json": document})
    return 0
