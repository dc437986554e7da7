"""The plan document, `statectl.plan/1.0`. The models are the schema: `statectl schema plan` prints it.

A plan is complete or says where it is not: every targeted host is in `hosts`, planned or with the reason why it is not.
It holds references and hashes of what was observed, never the value of a secret.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "statectl.plan/1.0"
PARAMETERS = "(parameters)"  # stands among the hosts for the parameter store; no host can have this name


class Model(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Source(Model):
    file: str = Field(description="file that declares it, relative to the project")
    line: int = Field(description="line, counted from 1")


class Change(Model):
    """One field of one resource. Exactly one of (found, wanted), diff, binary or secret says how it differs."""

    field: str = Field(description="name of the field")
    found: Any = Field(default=None, description="what the host has")
    wanted: Any = Field(default=None, description="what the files say")
    diff: list[str] | None = Field(default=None, description="unified diff of text, without file names")
    binary: bool = Field(default=False, description="contents differ and are not text, or too large for a diff")
    secret: bool = Field(default=False, description="differs, and is not shown")


class Pending(Model):
    """A restart or reload that disrupts, and has to wait."""

    what: str = Field(description="as `verb service:name`")
    address: str = Field(description="whom it is about")
    reason: str = Field(description="what it waits for, and when that comes")


class Verdict(Model):
    """What a plan knows of one resource that is not simply as wanted."""

    address: str = Field(description="type:name")
    association: str = Field(default="", description="the association it belongs to on this host")
    verdict: Literal["change", "unknown", "orphan", "refused"] = Field(description="what is known")
    action: Literal["add", "change", "remove", "run", "none"] = Field(description="what apply would do")
    predicted_after: list[str] = Field(
        default_factory=list, description="changes of the same plan that this one follows from"
    )
    unknown_until: list[str] = Field(default_factory=list, description="what has to exist before more can be said")
    changes: list[Change] = Field(default_factory=list, description="field by field")
    notify: list[str] = Field(default_factory=list, description="services told afterwards, as `verb service:name`")
    pending: list[Pending] = Field(
        default_factory=list, description="services that would be told, and have to wait: `disrupt` of an association"
    )
    waits: str = Field(
        default="",
        description="the change itself disrupts, and has to wait for this: apply leaves it as it is; '' : it need not",
    )
    disrupts: str = Field(
        default="", description="of a change that waits: what it takes away, such as stop, upgrade, remove, unmount"
    )
    held: str = Field(
        default="",
        description="its association requires one of another host that is not there: apply leaves it as it is; '' : it is not held back",
    )
    reason: str = Field(default="", description="why, in words")
    kind: Literal["", "intended", "corrective"] = Field(
        default="", description="intended: git moved; corrective: the host did"
    )
    armed: int = Field(
        default=0,
        description="it may lock us out: after so many seconds the host undoes it unless a new login succeeds; 0: not armed",
    )
    source: Source | None = Field(default=None, description="where it is declared")
    overrides: list[dict[str, str]] = Field(
        default_factory=list,
        description="declarations this one wins over: of whom, in which fields, where those stand, with reason and date",
    )
    audited: bool = Field(default=False, description="the association only audits: apply leaves it as it is")


class HostPlan(Model):
    outcome: Literal["planned", "unreachable", "failed", "refused", "unknown", "not contacted"] = Field(
        description="whether the host could be planned"
    )
    reason: str = Field(default="", description="why not, in one line")
    code: str = Field(default="", description="error code of the reason")
    hint: str = Field(default="", description="what to do about it")
    ok: int = Field(default=0, description="resources that are as wanted")
    verdicts: list[Verdict] = Field(default_factory=list, description="all the others, in the order of apply")
    observed: dict[str, str] = Field(
        default_factory=dict, description="hash of what was found, by address, for what would change"
    )
    since: dict[str, str] = Field(
        default_factory=dict,
        description="drift: UTC by address, when this controller first saw it so; it may have been so before",
    )
    catalogue: str = Field(default="", description="hash of the catalogue this was made with")
    parameters: list[str] = Field(
        default_factory=list, description="names or selectors of the parameters that its catalogue needs"
    )
    run_counter: int = Field(default=0, description="the host's own counter of applies when it was read")
    debts: list[str] = Field(
        default_factory=list, description="restarts owed from earlier runs, as `verb service:name`"
    )
    pending: list[Pending] = Field(default_factory=list, description="those of them that have to wait")


class Block(Model):
    """Hosts that would change in the same way."""

    association: str = Field(description="association, or '' for what none declares any more")
    hosts: list[str] = Field(description="names, in natural order")
    changes: list[Verdict] = Field(description="with the host's own name and addresses replaced by expressions")
    outlier: bool = Field(default=False, description="few hosts beside many peers of the same association")


class Wait(Model):
    """An association of some hosts that comes after one of other hosts."""

    association: str = Field(description="the one that waits")
    hosts: list[str] = Field(description="hosts on which it waits")
    requires: str = Field(description="the association that it waits for")
    on: list[str] = Field(description="hosts on which that one has yet to come")


class PlannedStep(Model):
    """A command of a rollout, around each host."""

    run: list[str] = Field(description="arguments, with the host's own name and addresses replaced by expressions")
    on: list[str] = Field(description="hosts that run it, one after the other")


class PlannedRollout(Model):
    """How an association is rolled out over the hosts that it changes."""

    association: str = Field(description="its name")
    batches: list[int] = Field(description="hosts of each batch")
    health: str = Field(default="", description="what must hold on a changed host, in words")
    bake_s: float = Field(default=0, description="seconds between two batches")
    on_failure: str = Field(default="stop", description="stop or continue")
    before: list[PlannedStep] = Field(default_factory=list, description="commands before each host")
    after: list[PlannedStep] = Field(default_factory=list, description="commands after each host")


class HostOrder(Model):
    """In which order apply goes over the hosts. Empty lists: all at once."""

    waves: list[list[str]] = Field(
        default_factory=list,
        description="hosts with changes, in the order in which they change; each wave ends before the next",
    )
    waits: list[Wait] = Field(default_factory=list, description="`requires` of other hosts that make it so")
    rollouts: list[PlannedRollout] = Field(default_factory=list, description="rollouts of associations with changes")


class Summary(Model):
    add: int = Field(default=0, description="resources to be made")
    change: int = Field(default=0, description="resources to be changed")
    remove: int = Field(default=0, description="resources to be removed")
    run: int = Field(default=0, description="commands to be run")
    unknown: int = Field(default=0, description="resources nothing can be said of yet")
    orphans: int = Field(default=0, description="no longer declared; kept unless pruned")
    refused: int = Field(default=0, description="resources that cannot be applied as declared")
    notify: int = Field(default=0, description="services that would be restarted or reloaded")
    pending: int = Field(
        default=0, description="changes, restarts and reloads that have to wait: they disrupt, or are held back"
    )
    parameters_changed: bool = Field(default=False, description="some of these are in the parameter store")
    hosts_changed: int = Field(default=0, description="hosts with changes")
    hosts_right: int = Field(default=0, description="hosts as wanted")
    hosts_pending: int = Field(default=0, description="hosts with nothing to apply now, where something has to wait")
    hosts_audited: int = Field(
        default=0, description="hosts with nothing to apply, that differ where associations only audit"
    )
    hosts_unreachable: int = Field(default=0, description="hosts that did not answer")
    hosts_refused: int = Field(
        default=0, description="hosts that refused, or were refused: a host key, a login, a lock"
    )
    hosts_failed: int = Field(default=0, description="hosts that could not be planned")


class Plan(Model):
    format: Literal["statectl.plan/1.0"] = Field(
        default="statectl.plan/1.0", description="name and version of this document"
    )
    id: str = Field(description="8 letters and digits; `statectl apply ID` applies exactly this, once")
    project: str = Field(default="", description="name of the project")
    commit: str = Field(default="", description="commit the files are of; '' outside git")
    dirty: bool = Field(default=False, description="files differ from the commit")
    created: str = Field(description="UTC")
    expires: str = Field(description="UTC; refused afterwards")
    who: str = Field(default="", description="user@machine that made it")
    scope: dict[str, Any] = Field(
        default_factory=dict, description="inventory, target, associations, only, prune, release, set"
    )
    has_changes: bool = Field(description="anything to apply")
    summary: Summary = Field(description="counts")
    blocks: list[Block] = Field(default_factory=list, description="for people: folded by identical change")
    order: HostOrder = Field(default_factory=HostOrder, description="in which order apply goes over the hosts")
    parameters: dict[str, int | str] = Field(
        default_factory=dict,
        description="version of every parameter that param() and secret() gave, by name or selector; `planned`: as this plan puts it; `declared`: as the files say it, for it was never put",
    )
    problems: list[dict[str, Any]] = Field(default_factory=list, description="warnings from the files")
    hosts: dict[str, HostPlan] = Field(
        default_factory=dict,
        description="every targeted host; and `(parameters)`, the parameter store, where parameters are declared",
    )
    checksum: str = Field(default="", description="hash of all of the above: an edited file is refused")


def checksum(document: Mapping[str, Any]) -> str:
    """Hash of a plan document without its own checksum."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def summarise(hosts: Mapping[str, HostPlan]) -> Summary:
    """Count once, here: every output prints these numbers."""
    summary = Summary()
    for name, plan in hosts.items():
        changed = bool(plan.debts)
        audited = refused = False
        notified = set(plan.debts)
        pending = {one.what for one in plan.pending}
        for verdict in plan.verdicts:
            if verdict.audited:
                audited = True
                continue
            if verdict.verdict == "orphan" and verdict.action == "none":
                summary.orphans += 1
                continue
            if verdict.verdict == "refused":
                summary.refused += 1
                refused = True
                continue
            pending.update(one.what for one in verdict.pending)
            if verdict.waits or verdict.held:
                pending.add(verdict.address)
                continue
            changed = True
            if verdict.verdict == "unknown":
                summary.unknown += 1
            elif verdict.action != "none":
                setattr(summary, verdict.action, getattr(summary, verdict.action) + 1)
            notified.update(verdict.notify)
        summary.notify += len(notified)
        summary.pending += len(pending)
        if name == PARAMETERS and plan.outcome == "planned":
            summary.parameters_changed = changed
            continue  # it is no host
        if plan.outcome == "planned":
            summary.hosts_changed += changed
            summary.hosts_right += not (changed or audited or refused or pending)
            summary.hosts_pending += bool(pending) and not (changed or audited or refused)
            summary.hosts_audited += audited and not (changed or refused)
        elif plan.outcome in ("unreachable", "unknown"):
            summary.hosts_unreachable += 1
        elif plan.outcome == "refused":
            summary.hosts_refused += 1
        else:
            summary.hosts_failed += 1
    return summary
