"""What a run does about patches: whom it asks for what, what it puts into catalogues, and when that may happen."""

import datetime as dt
from dataclasses import dataclass, field, replace

import pytest

from statectl.baselines.assign import Assigned
from statectl.baselines.evaluation import Evaluation, PatchState, Wanted
from statectl.baselines.model import Baseline, Hooks, PatchSource
from statectl.catalogue.canonical import fingerprint
from statectl.errors import ConfigError
from statectl.reconcile.disruption import Windows
from statectl.reconcile.disruption import policies as said_by
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.patching import APPLY, BESIDE, INSTALL, SCAN, PatchRun

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
OURS = Baseline("ours", "debian")
BASE = Assigned(OURS, "", "base")
MESSAGE = {"manager": "apt", "taken": 1, "archives": [], "installed": [], "available": []}
WANTED = Evaluation("ours", install=(Wanted("app", "all", "2"),), allowed=(Wanted("lib", "all", "2", "cafe"),))


@dataclass
class Compiled:
    catalogue: dict = field(
        default_factory=lambda: {
            "hash": "x",
            "associations": [{"name": "base", "mode": "enforce", "disrupt": "window:night", "requires": []}],
            "resources": [{"address": "file:/a", "association": "base", "owners": ["base"]}],
        }
    )
    blobs: dict = field(default_factory=dict)


def made(operation=APPLY, assigned=(BASE,), evaluation=WANTED, package=None, **more):
    kept = []
    run = PatchRun(
        operation=operation,
        assigned=lambda _host, _facts: list(assigned),
        judge=lambda _host, _baseline, _scan: evaluation,
        keep_scan=lambda *_: None,
        keep=lambda host, judged, done: kept.append((host, judged.address, done)),
        package=lambda _: package,
        fingerprint=fingerprint,
        now=lambda: NOW,
        **more,
    )
    return run, kept


def compiled_by(run, compiled=None):
    compiled = compiled or Compiled()
    run.asked("web1")
    said = run.compiled("web1", compiled, {"os": {"id": "debian"}}, MESSAGE, "RUN1")
    return compiled, said


@pytest.mark.parametrize(
    ("association", "window", "policy"),
    [
        ("window:night", "", "window:night"),
        ("window:night", "sunday", "window:night"),
        ("always", "sunday", "window:sunday"),
        ("always", "", "typed"),
        ("never", "sunday", "typed"),
        ("never", "", "typed"),
    ],
)
def test_nothing_is_installed_by_itself_without_a_window(association, window, policy):
    """Whatever an association allows otherwise: a window that it or the baseline names, or somebody who types it."""
    run, _ = made(assigned=(Assigned(replace(OURS, window=window), "", "base"),))
    compiled = Compiled()
    compiled.catalogue["associations"][0]["disrupt"] = association
    compiled_by(run, compiled)
    entry = compiled.catalogue["resources"][-1]
    assert entry["disrupt"] == policy
    granted = Windows({}, lambda: NOW).granted(said_by(compiled.catalogue))
    assert granted["patches:ours"]["seconds"] == 0
    assert ("patch install" in granted["patches:ours"]["waits"]) == (policy == "typed")


def test_what_somebody_typed_happens_at_once_and_alone():
    """No window holds it back, no audit, and nothing else of the catalogue is in scope."""
    run, _ = made(INSTALL, alone=True, reboot="never")
    compiled = Compiled()
    compiled.catalogue["associations"][0]["mode"] = "audit"
    compiled_by(run, compiled)
    entry = compiled.catalogue["resources"][-1]
    assert "disrupt" not in entry
    assert Windows({}, lambda: NOW).granted(said_by(compiled.catalogue)) == {}, (
        "the window of its association holds it back"
    )
    assert entry["want"]["reboot"] == "never"
    assert compiled.catalogue["associations"][0]["mode"] == "enforce"
    assert compiled.catalogue["only"] == ["patches:ours"]


def test_a_scan_leaves_an_association_that_audits_as_it_is():
    """Looking at it changes nothing about who may write."""
    run, _ = made(SCAN, alone=True)
    compiled = Compiled()
    compiled.catalogue["associations"][0]["mode"] = "audit"
    compiled_by(run, compiled)
    assert compiled.catalogue["associations"][0]["mode"] == "audit"


def test_the_hash_of_a_catalogue_is_of_what_is_sent():
    """A saved plan is stale when another patch was approved since."""
    first, _ = compiled_by(made()[0])
    hashed = first.catalogue.pop("hash")
    assert hashed == fingerprint(first.catalogue)
    other, _ = compiled_by(made(evaluation=replace(WANTED, install=()))[0])
    assert other.catalogue["hash"] != hashed


def test_patches_of_no_association_have_one_beside():
    """A baseline by default or patch group needs no association of the files."""
    compiled, _ = compiled_by(made(assigned=(Assigned(OURS, "default"),))[0])
    assert compiled.catalogue["resources"][-1]["owners"] == [BESIDE]
    assert [one["name"] for one in compiled.catalogue["associations"]] == ["base", BESIDE]


def test_packages_that_are_kept_here_travel_as_contents(tmp_path):
    """What no archive has any more comes from the controller, by its hash."""
    path = tmp_path / "lib.deb"
    path.write_bytes(b"deb")
    compiled, _ = compiled_by(made(package=path)[0])
    assert compiled.blobs == {"cafe": path}
    assert compiled.catalogue["resources"][-1]["want"]["cached"] == {"lib all 2": {"$blob": "cafe", "size": 3}}


def test_what_is_not_known_is_said_and_does_nothing():
    """An evaluation that is unknown puts nothing into the catalogue, and is kept as that."""
    run, kept = made(evaluation=Evaluation("ours", unknown="its index is 9 days old", trouble=("clock",)))
    compiled, said = compiled_by(run)
    assert [one["address"] for one in compiled.catalogue["resources"]] == ["file:/a"]
    assert said == ["patches:ours: unknown: its index is 9 days old", "patches:ours: clock"]
    assert kept == [("web1", "patches:ours", None)]
    scanned, _ = made(SCAN, evaluation=Evaluation("ours", unknown="old"))
    assert compiled_by(scanned)[1] == []  # its report has it, folded


SOURCE = PatchSource("mirror", uris=("https://mirror",), suites=("stable",), components=("main",), signed_by="/key")


def test_a_host_is_scanned_with_the_sources_of_its_baseline():
    """Two baselines that differ in them cannot share one scan; one that was not known when it was asked waits for the next."""
    assert made(assigned=(Assigned(replace(OURS, sources=(SOURCE,)), ""),))[0].asked("web1")["sources"][0]["uris"] == [
        "https://mirror"
    ]
    other = Assigned(Baseline("other", "debian"), "")
    run, _ = made(assigned=(Assigned(replace(OURS, sources=(SOURCE,)), ""), other))
    with pytest.raises(ConfigError) as wrong:
        run.asked("web1")
    assert wrong.value.problems[0].code == "E180"
    answers = [[], [Assigned(replace(OURS, sources=(SOURCE,)), "")]]
    run, _ = made()
    run.alone, run.assigned = True, lambda _host, facts: answers[facts is not None]
    _, said = compiled_by(run)
    assert said == ["patches:ours: unknown: it was scanned without the sources of its baseline; scan it again"]


def test_a_source_that_is_kept_is_a_repository_like_any_other():
    """It comes first, with a signature unless the files say why not, and the patches come after it."""
    kept = replace(SOURCE, kept=True)
    unsigned = PatchSource("rpms", kept=True, baseurl="https://rpms", trusted="ours")
    run, _ = made(assigned=(Assigned(replace(OURS, sources=(kept, unsigned)), "", "base"),))
    compiled, _ = compiled_by(run)
    first, second, *_, last = compiled.catalogue["resources"]
    assert run.asked("web1")["sources"] == []
    assert (first["address"], first["want"]["signed_by"]) == ("package_repository:mirror", "/key")
    assert first["want"]["allow_unsigned"] is False
    assert (second["want"]["gpgcheck"], second["want"]["allow_unsigned"]) == (False, True)
    assert last["after"] == ["package_repository:mirror", "package_repository:rpms"]


def test_nobody_is_asked_where_no_baseline_concerns_the_host():
    """A scan costs time; who only applies files does not pay for it."""
    assert made(assigned=())[0].asked("web1") is None
    assert made(assigned=(), alone=True)[0].asked("web1") is not None


@pytest.mark.parametrize(
    ("told", "outcome", "waits"),
    [
        ([{"verb": "reboot", "outcome": "skipped"}], "installed", True),
        ([{"verb": "reboot", "outcome": "changed"}], "installed", False),
        ([{"verb": "reboot", "outcome": "ok"}], "installed", False),
        ([{"verb": "restart", "outcome": "skipped"}], "installed", False),
    ],
)
def test_what_was_installed_is_kept_with_whether_it_waits_for_a_reboot(told, outcome, waits):
    """A reboot that is owed or not wanted is one that is waited for; one that was done or not needed is none."""
    run, kept = made()
    compiled_by(run)
    change = {"field": "versions", "moves": [["app", "all", "1", "2"]]}
    notified = [{"address": "patches:ours", **one} for one in told]
    result = HostResult(
        "changed", results=[{"address": "patches:ours", "outcome": "changed", "changes": [change]}], notified=notified
    )
    run.done("web1", result)
    done = kept[-1][2]
    assert done.moves == [{"name": "app", "arch": "all", "from": "1", "to": "2", "outcome": outcome}]
    assert done.waits_for_reboot is waits


def test_what_failed_is_kept_with_its_reason_and_what_waited_is_no_installation():
    """History tells attempts that failed; what a window held back was never tried."""
    run, kept = made()
    compiled_by(run)
    before = len(kept)
    entry = {"address": "patches:ours", "changes": [{"moves": [["app", "all", "1", "2"]]}]}
    run.done("web1", HostResult("changed", results=[{**entry, "outcome": "skipped", "pending": True}]))
    assert len(kept) == before
    run.done("web1", HostResult("failed", results=[{**entry, "outcome": "failed", "error": {"message": "no space"}}]))
    (move,) = kept[-1][2].moves
    assert (move["outcome"], move["reason"]) == ("failed", "no space")


MISSING = replace(WANTED, states=(PatchState("app", "all", "Missing", "1", "2", reason="rule 1"),))
KEPT = "needs lib 2, which is not approved"


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        ({"verdict": "ok", "reason": f"app all: {KEPT}"}, [f"patches:ours: app:all is kept back: {KEPT}"]),
        ({"verdict": "change", "changes": [{"moves": [], "kept": [["app", "all", KEPT]]}]}, []),
        ({"verdict": "ok"}, []),
    ],
)
def test_what_a_host_keeps_back_is_told_and_kept_with_its_reason(verdict, shown):
    """A plan that changes something shows it by itself; one that does not would lose it; reports have it in both cases."""
    kept = []
    run, _ = made(evaluation=MISSING)
    run.keep = lambda _host, judged, _done: kept.append(judged.evaluation.states[0].reason)
    compiled_by(run)
    assert run.looked("web1", [{"address": "patches:ours", **verdict}]) == shown
    expected = ["rule 1", f"kept back: {KEPT}"] if len(verdict) > 1 else ["rule 1"]
    assert kept == expected
    assert run.judged["web1"][0].evaluation.states[0].reason == kept[-1]


def test_hooks_travel_as_argv():
    """Those that are given, with their limit; none: nothing."""
    hooks = Hooks(before_install=("/bin/true", "a b"), timeout_s=5)
    run, _ = made(assigned=(Assigned(replace(OURS, hooks=hooks), "", "base"),))
    compiled, _ = compiled_by(run)
    assert compiled.catalogue["resources"][-1]["want"]["hooks"] == {
        "before_install": ["/bin/true", "a b"],
        "timeout_s": 5,
    }
    assert compiled_by(made()[0])[0].catalogue["resources"][-1]["want"]["hooks"] == {}


def test_a_scan_that_is_none_is_refused():
    """A host is not trusted: what is no scan ends the conversation."""
    run, _ = made()
    run.asked("web1")
    with pytest.raises(ValueError, match="installed"):
        run.compiled("web1", Compiled(), {}, {"installed": "x"}, "RUN1")
