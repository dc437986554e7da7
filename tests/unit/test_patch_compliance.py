"""Patch baselines beside associations: one number of hosts, unknown never compliant, exemptions with reason and end."""

import json

import jsonschema
import pytest

from statectl.cli.formats.compliance_text import compliance_lines
from statectl.cli.formats.terminal import Screen
from statectl.compliance.judge import Compliance, judge
from statectl.compliance.patches import patch_entry
from statectl.targets.ranges import compress
from tests.cli.patch_reports import BASH, CURL, NGINX, NOW, OPENSSL, fleet, judged, operation


def together(standings, expected=(), rows=()):
    return judge(expected, rows, {}, lambda *_: None, NOW, patches=[patch_entry(one) for one in standings])


def row(host, address="file:/a", status="compliant", association="web"):
    return {
        "host": host, "association": association, "address": address, "status": status, "since": "2026-11-01T00:00:00Z",
        "checked": "2026-11-24T11:00:00Z", "run_id": "R", "reason": "",
    }  # fmt: skip


def text(result, **view):
    return "\n".join(compliance_lines(result, Screen(**view), compress))


def test_missing_patch_makes_the_host_pending():
    """A host whose files are right and whose patches are not is not compliant, and counts once."""
    result = together(
        judged([operation("a", [OPENSSL]), operation("b", [BASH])]), [("a", "web"), ("b", "web")], [row("a"), row("b")]
    )
    assert (result.hosts_total, result.hosts_compliant) == (2, 1)
    assert result.by_status == {"pending": 1, "compliant": 1}


def test_right_patches_do_not_make_a_drifted_host_right():
    """The worst of association and baseline decides, from either side."""
    result = together(judged([operation("a", [BASH])]), [("a", "web")], [row("a", status="drifted")])
    assert result.by_status == {"drifted": 1}


def test_host_with_a_baseline_alone_counts():
    """A host without an association is in the denominator when a baseline concerns it."""
    result = together(judged([], expected=[("a", "debian-prod")]), [("b", "web")], [row("b")])
    assert (result.hosts_total, result.by_status) == (2, {"unknown": 1, "compliant": 1})
    assert result.entries[1].reason == "never scanned"


def test_exempt_counts_as_compliant_and_shows_why_and_until_when():
    """A pin is an agreed exception: the host is compliant, the patch is shown with the reason and the day."""
    result = together(judged([operation("a", [NGINX])]))
    assert result.hosts_compliant == 1 and result.entries[0].status == "exempt"
    (line,) = [line for line in text(result).splitlines() if "exempt" in line]
    assert "nginx 1.22.1-9+deb12u1  a  vendor module is not built yet (pinned until 2026-12-31)" in line


def test_resource_of_the_baseline_is_not_told_twice():
    """`patches:NAME` of the association and the baseline's own line are about the same: the latter says more."""
    rows = [row("a"), row("a", "patches:debian-prod", "pending")]
    shown = text(together(judged([operation("a", [OPENSSL])]), [("a", "web")], rows))
    assert "patches:debian-prod" not in shown
    assert "pending   patches debian-prod (critical)  a  1 patch: openssl" in shown


def test_lines_fold_over_hosts():
    """The hosts of one baseline in the same status are one line, with how many patches of how many packages, and the age of the data."""
    shown = text(together(fleet()))
    assert shown.splitlines()[0].startswith(
        "2 of 15 hosts compliant (13 %), 1 failed, 2 unknown, 1 drifted, 9 pending;"
    )
    assert shown.splitlines()[0].endswith("package data up to 9 days old")
    assert (
        "pending   patches debian-prod (critical)  web[01-08]  16 patches of 2 packages: openssl, curl  since 2026-10-10T12:00:00Z, 45 days"
        in shown
    )
    assert "unknown   patches debian-prod  db02  never scanned" in shown
    assert shown.splitlines()[-1] == "Patch by patch:  statectl patch report"


def test_compliant_alone_says_nothing_more():
    """Where all patches are there, the first sentence is all."""
    assert len(text(together(judged([operation("a", [BASH])]))).splitlines()) == 1


def test_document_is_as_its_schema_says():
    """Entries of baselines are in the same list, with counts, level, age of data and versions."""
    document = together(judged([operation("a", [OPENSSL, CURL, NGINX])])).model_dump(mode="json")
    jsonschema.validate(json.loads(json.dumps(document)), Compliance.model_json_schema())
    (entry,) = document["entries"]
    assert (entry["association"], entry["baseline"], entry["severity"]) == ("", "debian-prod", "critical")
    assert entry["patches"]["missing"] == 2 and entry["counts"] == {"pending": 2, "exempt": 1}
    assert entry["index_fetched"] == document["oldest_index"] == "2026-11-24T08:00:00Z"
    assert {one["address"]: one["until"] for one in entry["deviations"]} == {
        "patch:openssl": "", "patch:curl": "", "patch:nginx": "2026-12-31",
    }  # fmt: skip


@pytest.mark.parametrize("width", [60, 80])
def test_lines_fit_a_terminal(width):
    """On a terminal a line of patches is a row."""
    shown = text(together(fleet()), width=width, terminal=True).splitlines()
    assert all(len(line) <= width for line in shown[1:])
