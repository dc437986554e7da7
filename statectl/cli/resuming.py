"""`apply --resume RUN`: which plan that run had, and which of its hosts have not come to their end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statectl.cli.formats.terminal import one_line
from statectl.errors import Refused, UsageError

if TYPE_CHECKING:
    from statectl.plans.plan import Plan
    from statectl.reconcile.fleet import Resumed
    from statectl.store.store import Store

FINISHED = ("ok", "changed", "applied", "done")


@dataclass(frozen=True, slots=True)
class Rest:
    """What a run left. `hosts`: in the order of that run; empty: nothing is left to do."""

    plan: "Plan"
    hosts: list[str]
    resumed: "Resumed"


def rest_of(store: "Store", run_id: str) -> Rest:
    """Raises UsageError when it is no apply of this store, Refused when somebody still works on it."""
    from statectl.plans.plan import Plan
    from statectl.reconcile.fleet import Resumed

    run = store.run(run_id) if run_id.isascii() else None
    shown = one_line(run_id)
    if run is None or run["verb"] != "apply":
        what = "no run" if run is None else f"run {shown} is of {run['verb']}, not of apply:"
        raise UsageError(
            f"{what} {shown!r} in this store" if run is None else f"{what} nothing to go on with",
            hint="statectl runs list shows the runs of this store; without it, statectl apply does what is left",
        )
    if store.under_way.alive(run_id):
        raise Refused(
            f"run {shown} has not ended: {one_line(run['who'])} works on it since {run['started']}",
            code="E509",
            hint=f"statectl runs follow {shown}, or statectl runs cancel {shown}",
        )
    found = store.plan(run["plan"]) if run["plan"] else None
    if found is None:
        raise Refused(
            f"the plan of run {shown} is not in this store", code="E514", hint="statectl apply does what is left"
        )
    targets = store.under_way.targets(run_id)
    left = [host for host, (_, outcome) in targets.items() if outcome not in FINISHED]
    begun = frozenset(host for host in left if targets[host][0])
    earlier = run["scope"].get("resumes")
    if earlier:  # what the run before had begun is begun as well
        before = store.under_way.targets(str(earlier))
        begun |= {host for host in left if before.get(host, (False, ""))[0]}
    return Rest(Plan.model_validate(found[0]), left, Resumed(run_id, begun))


def refuse_other_choices(what: tuple[str, ...], options: dict[str, Any]) -> None:
    """A run that is gone on with has its hosts and its files. Raises UsageError."""
    given = [
        name
        for name, value in (
            ("associations or a plan", what),
            ("-t", options["target"]),
            ("-i", options["inventory"]),
            ("--only", options["only"]),
            ("--set", options["settings"]),
            ("--prune", options["prune"]),
            ("--release", options["release"]),
        )
        if value
    ]
    if given:
        raise UsageError(f"--resume goes on with the hosts and the plan of that run: leave out {', '.join(given)}")
