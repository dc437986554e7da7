"""The patch report in every format: golden texts, documents that parse, a page without anything foreign in it, CSV that no spreadsheet runs.

After a wanted change of the output: STATECTL_GOLDEN=write pytest tests/cli/test_patch_report.py, then read the difference.
"""

import csv
import io
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from statectl.cli.formats.patch_report_findings import COMMENT, MOST_ANNOTATIONS
from statectl.cli.formats.patch_report_html import COLOURS, report_html
from statectl.cli.formats.terminal import Screen
from statectl.cli.patch_report_command import FORMATS, documents
from statectl.patches.report import COLUMNS, PatchReport, report
from statectl.targets.ranges import compress
from tests.cli.patch_reports import BASH, CURL, NOW, OPENSSL, judged, made, operation

GOLDEN = Path(__file__).parent / "golden"
VOID = {"meta", "rect", "path"}


def text_of(name, found=None, **view):
    return documents(found or made(), Screen(**{"width": 120, **view}))[name]()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("marks", ["unicode", "ascii", "colour"])
@pytest.mark.parametrize("form", ["text", "wide"])
def test_golden(form, width, marks):
    """The report looks as it was looked at and found good, at every width, in ASCII and in colour."""
    text = text_of(form, width=width, unicode=marks != "ascii", colour=marks == "colour", terminal=True)
    file = GOLDEN / f"patch-report-{form}-{width}-{marks}.txt"
    if os.environ.get("STATECTL_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text()


def test_colour_repeats_meaning():
    """Without its colours the coloured text is the plain one."""
    coloured = text_of("text", colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == text_of("text")


def test_a_thousand_hosts_are_one_screen():
    """The same two patches on 1,000 hosts are two lines, with the number of hosts."""
    found = report(judged([operation(f"web{number:04}", [OPENSSL, CURL]) for number in range(1000)]), NOW)
    text = text_of("text", found)
    assert len(text.splitlines()) < 15 and text.count("1000 hosts web[0000-0999]") == 2


def test_what_is_cut_is_counted():
    """More patches than the text shows are counted, and the way to all of them is said."""
    many = [replace(CURL, name=f"p{number:03}") for number in range(60)]
    text = text_of("text", report(judged([operation("h", many)]), NOW))
    assert "20 more (-o csv, -o json and -o html have all)" in text


def test_nothing_known_is_not_zero_compliant():
    """Of hosts that were never scanned not even a number of compliant ones is said."""
    found = report(judged([], expected=[("a", "b"), ("c", "b")]), NOW)
    assert text_of("text", found).startswith("None of 2 hosts was ever scanned; statectl patch scan reads them\n")


def test_json_is_as_its_schema_says():
    """The document validates against the schema that is printed, and comes back as the same report."""
    document = json.loads(text_of("json"))
    assert document["format"] == "statectl.patch-report/1.0"
    jsonschema.validate(document, PatchReport.model_json_schema())
    assert PatchReport.model_validate(document) == made()
    assert yaml.safe_load(text_of("yaml")) == document
    lines = [json.loads(line) for line in text_of("jsonl").splitlines()]
    assert [one["host"] for one in lines[:-1]] == [one["host"] for one in document["entries"]]
    assert lines[-1]["type"] == "report" and lines[-1]["hosts_total"] == 15


def test_names_are_hosts_that_are_not_compliant():
    """-o name gives each host once, unknown ones too, exempt and compliant ones not."""
    names = text_of("name").split()
    assert len(names) == len(set(names)) == 13
    assert {"db01", "db02"} <= set(names) and not {"db03", "db04"} & set(names)


# --- CSV


def test_csv_has_the_documented_columns_and_a_row_for_every_patch():
    """The head is COLUMNS, which stand in the reference; every missing patch of every host is a row."""
    rows = list(csv.DictReader(io.StringIO(text_of("csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert sum(row["state"] == "Missing" for row in rows) == 18
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "patch-reports.md").read_text()
    assert all(f"`{column}`" in reference for column in COLUMNS)


def test_csv_runs_in_no_spreadsheet():
    """A text of a host that a spreadsheet would take for a formula is put behind a quote."""
    evil = replace(
        CURL, name='=HYPERLINK("http://x")', version="+1", reason="@SUM(A1)", severity="-2", classification="\t=1"
    )
    (row,) = csv.DictReader(io.StringIO(text_of("csv", report(judged([operation("h", [evil])]), NOW))))
    for column in ("package", "wanted", "reason", "vendor_severity", "classification"):
        assert row[column][0] not in "=+-@\t\r", (column, row[column])


# --- for programs that read findings


def test_junit_counts_what_it_says():
    """Failures and errors of each suite are as many as its cases have; unknown is an error, a pin is skipped."""
    root = ET.fromstring(text_of("junit"))
    suites = {suite.get("name"): suite for suite in root}
    for suite in root:
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors")) == len(suite.findall("testcase/error"))
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
    assert suites["db01 debian-prod"].get("errors") == "1"
    assert suites["db03 debian-prod"].find("testcase/skipped") is not None
    assert suites["db04 debian-prod"].get("failures") == "0"


def test_findings_stand_where_the_baseline_does():
    """SARIF, GitLab and GitHub name file and line of the baseline, worst first, with different fingerprints."""
    results = json.loads(text_of("sarif"))["runs"][0]["results"]
    assert results[0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "states/patches.yml"}, "region": {"startLine": 7},
    }  # fmt: skip
    assert [one["level"] for one in results] == ["error", "error", "error", "warning", "warning", "note"]
    quality = json.loads(text_of("gitlab"))
    assert len({one["fingerprint"] for one in quality}) == len(quality) == 6
    assert quality[0]["severity"] == "blocker" and quality[0]["location"] == {
        "path": "states/patches.yml",
        "lines": {"begin": 7},
    }
    assert text_of("github").startswith(
        "::error file=states/patches.yml,line=7,title=Failed openssl::Failed (critical): "
    )


def test_annotations_are_limited_and_say_so():
    """GitHub drops what is above ten of a kind without a word: the rest is counted."""
    many = [replace(CURL, name=f"p{number:03}") for number in range(30)]
    lines = text_of("github", report(judged([operation("h", many)]), NOW)).splitlines()
    assert len(lines) == MOST_ANNOTATIONS + 1 and lines[-1] == "and 20 more"


def test_comment_fits_and_says_what_is_left_out():
    """A comment is never longer than GitHub takes, and says how much is missing."""
    many = [replace(CURL, name=f"package-with-a-long-name-{number:05}") for number in range(3000)]
    text = text_of("md", report(judged([operation("h", many)]), NOW))
    assert len(text) < COMMENT + 200 and re.search(r"\d+ lines left out here", text)
    assert text.startswith("<!-- statectl:patches:project -->\n")


def test_text_of_hosts_steers_nothing():
    """Control characters, workflow commands, Markdown and HTML of a host reach no format as what they are."""
    evil = replace(CURL, name="a\x1b[31m|<img src=x>\n::error::b", reason="\u202eevil `x` [y](z) @all")
    found = report(judged([operation("h", [evil])]), NOW)
    for form in FORMATS:
        text = text_of(form, found)
        assert "\x1b" not in text and "\u202e" not in text, form
    assert len(text_of("github", found).splitlines()) == 1
    assert "<img" not in text_of("html", found)
    assert "\\<img" in text_of("md", found) and "\n::error" not in text_of("md", found)


# --- the page


class Page(HTMLParser):
    """Every start tag with its attributes; complains of tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(found=None):
    return Page(report_html(found or made(), compress))


def test_page_loads_nothing_and_runs_nothing():
    """No script, no link, picture, frame or style of elsewhere, no handler; and the page forbids them itself."""
    found = page()
    assert not {tag for tag, _ in found.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "image",
        "use",
    }
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "xlink:href") and (name != "href" or value.startswith("#")), (
                tag,
                value,
            )
    source = report_html(made(), compress)
    assert "url(#" in source and not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", source)
    policy = next(one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_every_table_has_a_caption_and_its_heads_a_scope():
    """Who hears the page knows what a table is, and which column and row a cell belongs to."""
    found = page()
    assert len(found.all("caption")) == len(found.all("table")) >= 5
    assert all(one.get("scope") in ("row", "col") for one in found.all("th"))
    assert found.tags[0] == ("html", {"lang": "en"})
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {attributes["href"][1:] for attributes in found.all("a")} | {
        word for _, attributes in found.tags for word in attributes.get("aria-labelledby", "").split()
    }
    assert named <= set(ids)


def test_drawing_has_a_name_and_its_numbers_stand_in_a_table():
    """The drawing is one picture with a title; its longest bar is that of the most hosts, from zero, and each number is in the table."""
    text = report_html(made(), compress)
    found = Page(text)
    assert found.all("svg")[0]["role"] == "img"
    bars = [
        float(width)
        for width in re.findall(r'<rect x="110\.0" y="\d+" width="([\d.]+)" height="22" fill="var\(--age', text)
    ]
    assert bars == [519.0, 519.0, 56.8]  # 9, 9 and 1 hosts
    assert re.search(r'<th scope="row">critical</th><td class="number">0</td><td class="number">9</td>', text)


def test_state_is_a_word_and_a_shape_beside_its_colour():
    """Each state has a shape of its own and is written out; each age in the drawing has a hatching of its own."""
    text = report_html(made(), compress)
    shown = dict(
        re.findall(r'<span aria-hidden="true">(.)</span> (failed|unknown|drifted|pending|compliant)</span>', text)
    )
    assert len(shown) == 5 and len(set(shown.values())) == 5
    assert len(set(re.findall(r'<pattern id="p\d" [^>]*><path d="([^"]*)"', text))) == 5


def _luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_aa(scheme):
    """Text has 4.5:1 on the page and on panels, parts of drawings and lines 3:1, in both schemes."""

    def ratio(first, second):
        high, low = sorted((_luminance(COLOURS[first][scheme]), _luminance(COLOURS[second][scheme])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for name in COLOURS:
        if name not in ("background", "panel"):
            needed = 3 if name.startswith("age") or name == "line" else 4.5
            assert ratio(name, "background") >= needed, (name, ratio(name, "background"))
    assert ratio("text", "panel") >= 4.5


def test_page_prints_light_and_whole():
    """On paper the light colours, all lists open, the heads of tables on every sheet."""
    text = report_html(made(), compress)
    assert len(page().all("details")) == sum("open" in one for one in page().all("details")) > 0
    printed = text[text.index("@media print{body") :]
    assert "table-header-group" in printed and "nav{display:none}" in printed


def test_every_host_and_its_patches_are_on_the_page():
    """Each host has its row, unknown ones with the reason; each list names package, versions and why."""
    text = page().text
    for entry in made().entries:
        assert entry.host in text
    assert "never scanned" in text and "rule 1 approves it 3 days after" in text


def test_page_without_anything_missing():
    """Where everything is right, the page says so in place of a drawing."""
    found = report(judged([operation("h", [BASH])]), NOW)
    text = page(found).text
    assert "No patch is missing" in text and "1 of 1 host compliant" in text
    assert not page(found).all("svg")
