"""OVAL of Debian, Ubuntu and Red Hat: definitions name tests, tests an object (a package) and a state (older than a version).

Debian's objects are source packages, those of the others packages.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from statectl.patches.fixes import CVE, Fix
from statectl.patches.index_files import Elements
from statectl.patches.loaded_feed import MAX_TITLE, BrokenFeed, FeedFile, Loaded

_PLATFORMS = (
    (re.compile(r"Debian(?: GNU/Linux)? ([0-9]+|[a-z]+)", re.IGNORECASE), "debian"),
    (re.compile(r"Ubuntu ([0-9]+\.[0-9]+)", re.IGNORECASE), "ubuntu"),
    (re.compile(r"Red Hat Enterprise Linux ([0-9]+)", re.IGNORECASE), "rhel"),
    (re.compile(r"(?:Rocky Linux|rocky) ([0-9]+)", re.IGNORECASE), "rocky"),
    (re.compile(r"AlmaLinux(?: OS)? ([0-9]+)", re.IGNORECASE), "almalinux"),
    (re.compile(r"Oracle Linux ([0-9]+)", re.IGNORECASE), "ol"),
)
_KINDS = {"debian": "source"}
_ADVISORY = re.compile(r"(?:RH[SBE]A|ALSA|RLSA|ELSA|DSA|DLA|USN)-[0-9][0-9A-Za-z:-]{1,20}")
MAX_TESTS = 3_000_000


@dataclass(slots=True)
class _Definition:
    cves: dict[str, None] = field(default_factory=dict)
    advisory: str = ""
    title: str = ""
    severity: str = ""
    issued: int = 0
    releases: dict[str, None] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)


def load_oval(file: FeedFile) -> Loaded:
    """Raises BrokenFeed and what FeedFile raises."""
    reader = _Oval(file.path.name)
    with file.opened() as stream:
        reader.feed(stream, file.path.name)
    loaded = Loaded(made=reader.made)
    for one in reader.definitions:
        for release in one.releases:
            kind = _KINDS.get(release.partition(":")[0], "binary")
            for package, version in reader.older_than(one.tests):
                for cve in one.cves or ("",):
                    loaded.add(
                        package,
                        Fix(cve, one.advisory, release, kind, "fixed", version, one.severity, one.issued, one.title),
                    )
    if not reader.definitions:
        raise BrokenFeed("no definitions in it")
    return loaded


class _Oval(Elements):
    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.definitions: list[_Definition] = []
        self.made = ""
        self._one: _Definition | None = None
        self._tests: dict[str, tuple[str, str]] = {}
        self._objects: dict[str, str] = {}
        self._by_variable: dict[str, str] = {}
        self._variables: dict[str, list[str]] = {}
        self._states: dict[str, str] = {}
        self._inside = ""
        self._links = ["", ""]
        self._operation = ""

    def bad(self, why: str) -> Exception:
        return BrokenFeed(why)

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "definition":
            self._one = _Definition()
        elif self._one is not None:
            if name == "reference":
                word = attributes.get("ref_id", "")
                if attributes.get("source", "").upper() == "CVE":
                    self._one.cves.update(dict.fromkeys(CVE.findall(word)))
                elif _ADVISORY.match(word) and not self._one.advisory:
                    self._one.advisory = word[:200]
            elif name == "criterion":
                self._one.tests.append(attributes.get("test_ref", ""))
            elif name == "issued":
                self._one.issued = _seconds(attributes.get("date", ""))
        elif name in ("dpkginfo_test", "rpminfo_test"):
            self._inside, self._links = attributes.get("id", ""), ["", ""]
        elif name in ("dpkginfo_object", "rpminfo_object", "dpkginfo_state", "rpminfo_state", "constant_variable"):
            self._inside = attributes.get("id", "")
        elif name == "object":
            self._links[0] = attributes.get("object_ref", "")
        elif name == "state":
            self._links[1] = attributes.get("state_ref", "")
        elif name == "name" and attributes.get("var_ref"):
            self._by_variable[self._inside] = attributes["var_ref"]
        elif name == "evr":
            self._operation = attributes.get("operation", "")

    def end(self, name: str, text: str) -> None:
        one = self._one
        if one is not None:
            if name == "title":
                one.title = text[:MAX_TITLE]
                match = _ADVISORY.match(text)
                one.advisory = one.advisory or (match[0].rstrip(":-") if match else "")
            elif name == "severity":
                one.severity = "" if text.lower() in ("none", "") else text[:40]
            elif name in ("cve", "cve_id"):
                one.cves.update(dict.fromkeys(CVE.findall(text)))
            elif name == "dsa":
                one.advisory = text[:200]
            elif name == "platform":
                one.releases.update(dict.fromkeys(_releases(text)))
            elif name == "definition":
                self.definitions.append(one)
                self._one = None
        elif name in ("dpkginfo_test", "rpminfo_test"):
            self._tests[self._inside] = (self._links[0], self._links[1])
            if len(self._tests) > MAX_TESTS:
                raise self.bad(f"it has over {MAX_TESTS} tests")
        elif name == "name" and text:
            self._objects[self._inside] = text
        elif name == "value" and self._inside:
            self._variables.setdefault(self._inside, []).append(text)
        elif name == "evr" and self._operation == "less than":
            self._states[self._inside] = text.removeprefix("0:")
        elif name == "timestamp" and not self.made:
            self.made = f"{text[:19]}Z" if _seconds(text) else ""

    def older_than(self, tests: list[str]) -> Iterator[tuple[str, str]]:
        """(package, version) of tests that hold for whatever is older than the version."""
        for name in dict.fromkeys(tests):
            target, state = self._tests.get(name, ("", ""))
            version = self._states.get(state, "")
            if not version:
                continue
            variable = self._by_variable.get(target)
            packages = self._variables.get(variable, []) if variable else [self._objects.get(target, "")]
            yield from ((package, version) for package in packages if package)


def _releases(platform: str) -> Iterator[str]:
    from statectl.patches.fixes import release_named

    for pattern, system in _PLATFORMS:
        match = pattern.search(platform)
        if match:
            yield release_named(system, match[1])
            return


def _seconds(moment: str) -> int:
    try:
        return max(int(datetime.fromisoformat(moment[:19]).replace(tzinfo=UTC).timestamp()), 0) if moment else 0
    except (ValueError, OverflowError):
        return 0
