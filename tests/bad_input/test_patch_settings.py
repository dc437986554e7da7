"""What a person may get wrong in the `patching` block: each told at its place."""

import pytest

from statectl.baselines.patching import Feed, Index
from tests.bad_input.loading import HEAD, lines, load_files

BLOCK = "patching:\n"
APT = "name: a, uri: https://example.org/debian, suites: [bookworm], signed_by: k.gpg"
RPM = "name: b, baseurl: https://example.org/el9, repository: baseos"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  pol: 1h\n", "statectl.yml:4:3: error[E101]: unknown key `pol` in `patching`; did you mean `poll`?"),
        ("  poll: 1s\n", "statectl.yml:4:9: error[E108]: `poll`: expected a duration from 1m to 7d"),
        ("  poll: often\n", "statectl.yml:4:9: error[E108]: `poll`: expected a duration from 1m to 7d"),
        ("  cache_max: 10\n", "statectl.yml:4:14: error[E108]: `cache_max`: expected a size such as"),
        ("  cache_days: 0\n", "statectl.yml:4:15: error[E108]: `cache_days`: expected a whole number from 1 to 3650"),
        ("  cache: c\n", "statectl.yml:4:3: error[E109]: `cache` needs `indexes`"),
        ("  indexes: {a: b}\n", "statectl.yml:4:12: error[E108]: `indexes`: expected a list of maps"),
        ("  indexes: [{name: a}]\n", "statectl.yml:4:13: error[E109]: an index needs either `uri` (apt) or `baseurl` (rpm)"),
        (f"  indexes: [{{{APT}, baseurl: https://x}}]\n", "statectl.yml:4:13: error[E109]: an index needs either `uri`"),
        (f"  indexes: [{{{APT}, repository: x}}]\n", "statectl.yml:4:94: error[E101]: `repository` is not for an index of apt"),
        ("  indexes: [{name: a, uri: https://x/d, signed_by: k}]\n", "statectl.yml:4:13: error[E109]: an index of apt needs `suites`"),
        ("  indexes: [{name: a, uri: https://x/d, suites: [s]}]\n", "statectl.yml:4:13: error[E109]: an index needs `signed_by`, or `trusted`"),
        ("  indexes: [{name: b, baseurl: http://x/d, repository: r}]\n", "statectl.yml:4:13: error[E109]: an index needs `gpgkey` or https, or"),
        ("  indexes: [{name: b, baseurl: https://x/d}]\n", "statectl.yml:4:13: error[E109]: an index of rpm needs `repository`"),
        ("  indexes: [{name: a b, uri: https://x/d, suites: [s], signed_by: k}]\n", "statectl.yml:4:20: error[E108]: `name`: expected letters"),
        ("  indexes: [{name: a, uri: ftp://x/d, suites: [s], signed_by: k}]\n", "statectl.yml:4:28: error[E108]: `uri`: expected an https"),
        ("  indexes: [{name: a, uri: https://u:p@x/d, suites: [s], signed_by: k}]\n", "statectl.yml:4:28: error[E108]: `uri`: an address holds no user"),
        ("  indexes: [{name: a, uri: https://x/d, suites: [../s], signed_by: k}]\n", "statectl.yml:4:50: error[E108]: entry 1: expected a name"),
        ("  indexes: [{name: a, uri: https://x/d, suites: [], signed_by: k}]\n", "statectl.yml:4:49: error[E108]: `suites`: expected at least one"),
        (f"  indexes: [{{{APT}}}, {{{APT}}}]\n", "statectl.yml:4:102: error[E108]: `name`: another index is called a too"),
        ("  feeds: {f: {kind: dsa, source: x}}\n", "statectl.yml:4:21: error[E108]: `kind`: expected debian, osv or oval"),
        ("  feeds: {f: {kind: osv}}\n", "statectl.yml:4:11: error[E109]: a feed needs `source`"),
        ("  feeds: {f: {kind: osv, source: ssh://x}}\n", "statectl.yml:4:34: error[E108]: `source`: expected an https"),
        ("  feeds: {'f g': {kind: osv, source: x}}\n", "statectl.yml:4:11: error[E108]: `f g`: expected letters, digits"),
    ],
)  # fmt: skip
def test_a_mistake_in_patching(tmp_path, text, line):
    """One line each, with its place and what is right."""
    found = lines(load_files(tmp_path, {"statectl.yml": HEAD + BLOCK + text}))
    assert any(one.startswith(line) for one in found), found


def test_a_right_block_is_taken(tmp_path):
    """Every key, as polling, the cache and feeds use it."""
    text = (
        "  refresh: 6h\n  poll: 2h\n  cache: .statectl/packages\n  cache_max: 20GiB\n  cache_days: 5\n  snapshot_days: 9\n"
        f"  indexes: [{{{APT}, components: [main, contrib], architectures: [amd64, arm64]}}, {{{RPM}, gpgkey: r.asc}}]\n"
        "  feeds: {debian: {kind: debian, source: https://example.org/data.json}, own: {kind: osv, source: feeds/own}}\n"
    )
    project = load_files(tmp_path, {"statectl.yml": HEAD + BLOCK + text})
    assert lines(project) == []
    found = project.settings.patching
    assert found.indexes == (
        Index("a", "https://example.org/debian", ("bookworm",), ("main", "contrib"), ("amd64", "arm64"), "k.gpg"),
        Index("b", baseurl="https://example.org/el9", repository="baseos", gpgkey="r.asc"),
    )
    assert found.feeds == (Feed("debian", "debian", "https://example.org/data.json"), Feed("own", "osv", "feeds/own"))
    assert (found.refresh_s, found.poll_s, found.cache, found.cache_max) == (
        21600,
        7200,
        ".statectl/packages",
        20 * 1024**3,
    )
    assert (found.cache_days, found.snapshot_days) == (5, 9)
