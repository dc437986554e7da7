"""What a baseline puts into the catalogue of a host: the patches, and the repositories that stay there."""

from collections.abc import Iterable, Mapping
from typing import Any

from statectl.baselines.evaluation import Evaluation, Wanted
from statectl.baselines.model import Baseline, PatchSource
from statectl.problems import Span
from statectl.resources import package_repository
from statectl.resources.model import PHASES


def patches(
    baseline: Baseline, evaluation: Evaluation, association: str, manager: str, cached: Mapping[str, Any]
) -> dict[str, Any]:
    """`cached`: {"name arch version": its content}"""
    want: dict[str, Any] = {
        "name": baseline.name,
        "versions": _rows(evaluation.install),
        "manager": manager,
        "allowed": _rows(evaluation.allowed),
        "blocked": sorted(evaluation.blocked),
        "dependencies": baseline.dependencies,
        "cached": dict(cached),
        "sources": run_sources(baseline),
        "reboot": baseline.reboot,
        "restart": baseline.restart,
        "hooks": _hooks(baseline),
        "max_reboots": baseline.max_reboots,
        "reboot_timeout_s": baseline.reboot_timeout_s,
    }
    # behind everything that is declared: whatever fails before it is not made worse
    return _entry(f"patches:{baseline.name}", "patches", association, len(PHASES), want, baseline.span)


def _entry(
    address: str, kind: str, association: str, phase: int, want: dict[str, Any], span: Span | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "address": address,
        "type": kind,
        "association": association,
        "owners": [association],
        "phase": phase,
        "want": want,
    }
    if span is not None:
        entry["source"] = {"file": span.file, "line": span.line}
    return entry


def _rows(wanted: Iterable[Wanted]) -> list[list[str]]:
    return sorted([one.name, one.arch, one.version] for one in wanted)


def run_sources(baseline: Baseline) -> list[dict[str, Any]]:
    """Those that replace the host's own while it is scanned and patched, as the host is told of them."""
    return [_source(one) for one in baseline.sources if not one.kept]


def kept_sources(baseline: Baseline, association: str) -> list[dict[str, Any]]:
    """Those that stay among the host's own, as the resources that they are."""
    found = []
    for one in baseline.sources:
        if one.kept:
            given: dict[str, Any] = {"name": one.name}
            if one.uris:
                given |= {"uris": list(one.uris), "suites": list(one.suites), "components": list(one.components)}
                given |= {"architectures": list(one.architectures), "signed_by": one.signed_by}
            else:
                given |= {"baseurl": [one.baseurl], "gpgkey": [one.gpgkey] if one.gpgkey else []}
                given["gpgcheck"] = not one.trusted
            model = package_repository.Model(**given, allow_unsigned=bool(one.trusted))
            want = {name: value for name, value in model.model_dump().items() if value is not None}
            address = f"package_repository:{one.name}"
            found.append(_entry(address, "package_repository", association, 0, want, one.span))
    return found


def _source(one: PatchSource) -> dict[str, Any]:
    return {
        "name": one.name,
        "uris": list(one.uris),
        "suites": list(one.suites),
        "components": list(one.components),
        "architectures": list(one.architectures),
        "signed_by": one.signed_by,
        "baseurl": one.baseurl,
        "gpgkey": one.gpgkey,
        "trusted": one.trusted,
    }


def _hooks(baseline: Baseline) -> dict[str, Any]:
    hooks = baseline.hooks
    named = {
        "before_install": hooks.before_install,
        "after_install": hooks.after_install,
        "before_reboot": hooks.before_reboot,
        "after_reboot": hooks.after_reboot,
        "on_exit": hooks.on_exit,
    }
    found: dict[str, Any] = {name: list(argv) for name, argv in named.items() if argv}
    return {**found, "timeout_s": hooks.timeout_s} if found else {}
