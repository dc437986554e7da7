"""Patch sources: repositories of one's own that a baseline patches from. Each is signed, or says why it need not be."""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from statectl.baselines.filters import could_be_product
from statectl.baselines.model import PatchSource
from statectl.baselines.systems import APT, PRODUCTS, kind_of_packages
from statectl.project.files import ProjectFiles
from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

FIELDS: Mapping[str, str] = {
    "uris": "apt: base addresses (required), https:, http: or file:",
    "suites": "apt: suites (required); one that ends in / is a flat repository and has no components",
    "components": "apt: components, such as main",
    "architectures": "apt: only these architectures",
    "signed_by": "apt: the key that must have signed it: a file of the project, an absolute path on the host, or the key itself",
    "baseurl": "rpm: base address (required)",
    "gpgkey": "rpm: where the key is that must have signed its packages: https: or file:",
    "trusted": "Instead of a key: the reason why nobody needs to sign it",
    "kept": "true: it stays among the host's own repositories; false (default): it replaces them while this baseline scans and installs",
    "products": "Only for hosts of these products, such as [Debian12]",
}
OF_APT = ("uris", "suites", "components", "architectures", "signed_by")
OF_RPM = ("baseurl", "gpgkey")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_URI = re.compile(r"(https?|file|copy|ftp|mirror\+https?|mirror\+file)://?[^\s\x00-\x1f]+|file:/[^\s]*")
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
MAX_KEY = 256 * 1024


class SourceReader:
    def __init__(self, findings: Findings, files: ProjectFiles) -> None:
        self.findings = findings
        self.files = files

    def read(self, value: Any, path: Path, system: str) -> tuple[PatchSource, ...]:
        fields = self.findings.map(value, path, "expected a map of sources")
        found = [self._source(name, below, (*path, name), system) for name, below in (fields or {}).items()]
        return tuple(one for one in found if one is not None)

    def _source(self, name: str, value: Any, path: Path, system: str) -> PatchSource | None:
        """None after a problem."""
        findings = self.findings
        before = sum(not one.is_warning for one in findings.problems)
        if not _NAME.fullmatch(name):
            hint = "letters, digits, _ . - and starting with a letter or digit"
            findings.add("E116", path, "name of a source not valid", key=True, hint=hint)
        needed = ("uris", "suites") if kind_of_packages(system) == APT else ("baseurl",)
        fields = findings.map(value, path, f"expected a map with {' and '.join(f'`{one}`' for one in needed)}")
        if fields is None:
            return None
        foreign = OF_RPM if kind_of_packages(system) == APT else OF_APT
        for key, inner in fields.items():
            if key not in FIELDS:
                findings.unknown(path, key, FIELDS, "a source", inner)
            elif key in foreign:
                hint = f"sources of {system} have {', '.join(needed)}"
                findings.add("E171", (*path, key), f"`{key}` means nothing on {system}", key=True, hint=hint)
        for key in needed:
            if key not in fields and fields.keys() <= FIELDS.keys():
                findings.add("E109", path, f"a source of {system} needs `{key}`", key=True, hint=FIELDS[key])
        source = PatchSource(
            name=name,
            kept=bool(findings.flag(fields["kept"], (*path, "kept"))) if "kept" in fields else False,
            uris=self._uris(fields, path),
            suites=self._words(fields, "suites", path, "suites"),
            components=self._words(fields, "components", path, "components"),
            architectures=self._words(fields, "architectures", path, "architectures"),
            signed_by=self._key(fields["signed_by"], (*path, "signed_by")) if "signed_by" in fields else "",
            baseurl=self._uri(fields["baseurl"], (*path, "baseurl")) if "baseurl" in fields else "",
            gpgkey=self._gpgkey(fields["gpgkey"], (*path, "gpgkey")) if "gpgkey" in fields else "",
            trusted=self._trusted(fields["trusted"], (*path, "trusted")) if "trusted" in fields else "",
            products=self._products(fields, path, system),
            span=findings.places.key(path),
        )
        self._components(source, fields, path)
        self._believed(source, fields, path, "signed_by" if kind_of_packages(system) == APT else "gpgkey")
        return source if sum(not one.is_warning for one in findings.problems) == before else None

    def _words(self, fields: Mapping[str, Any], key: str, path: Path, what: str) -> tuple[str, ...]:
        if key not in fields:
            return ()
        place = (*path, key)
        texts = self.findings.texts(fields[key], place, what)
        for index, text in enumerate(texts or ()):
            if not re.fullmatch(r"[A-Za-z0-9./_+~-]+", text):
                self.findings.wrong((*place, index), f"expected one of the {what}, such as {_EXAMPLES[key]}")
        if texts == []:
            self.findings.wrong(place, f"expected a list of {what}, got an empty one")
        return tuple(texts or ())

    def _uris(self, fields: Mapping[str, Any], path: Path) -> tuple[str, ...]:
        if "uris" not in fields:
            return ()
        place = (*path, "uris")
        texts = self.findings.texts(fields["uris"], place, "addresses") or []
        return tuple(one for index, text in enumerate(texts) if (one := self._uri(text, (*place, index))))

    def _uri(self, value: Any, path: Path) -> str:
        text = self.findings.text(value, path)
        if text is None:
            return ""
        if not _URI.fullmatch(text):
            self.findings.wrong(path, "expected an address such as https://deb.example.org/debian")
            return ""
        if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", text):
            hint = "put it into /etc/apt/auth.conf.d or /etc/yum.conf of the hosts"
            self.findings.add("E174", path, "a password does not stand in an address", hint=hint)
            return ""
        return text

    def _key(self, value: Any, path: Path) -> str:
        """The text of a key, or an absolute path on the host."""
        text = (self.findings.text(value, path) or "").strip()
        if not text or text.startswith("/"):
            return text
        if "PRIVATE KEY" in text:
            self.findings.add("E174", path, "this is a private key; give the public one")
            return ""
        if text.startswith(_KEY_BEGINS):
            if not text.endswith(_KEY_ENDS):
                self.findings.add("E174", path, "the key is cut: its END line is missing")
            return text
        return self._key_file(text, path)

    def _key_file(self, name: str, path: Path) -> str:
        """A file of the project, relative to the YAML file that names it."""
        fault = self.files.check(name, self.findings.places.file, "source")
        if fault is not None:
            self.findings.add(fault[0], path, f"`signed_by`: {fault[1]}", hint=fault[2])
            return ""
        file = (self.files.root / self.findings.places.file).parent / name
        try:
            with FilePath(file).open(encoding="ascii") as opened:
                text = opened.read(MAX_KEY).strip()
        except (OSError, UnicodeDecodeError):
            text = ""
        if "PRIVATE KEY" in text:
            self.findings.add("E174", path, "this file holds a private key; give the public one")
        elif not (text.startswith(_KEY_BEGINS) and text.endswith(_KEY_ENDS)):
            hint = "gpg --armor --export KEY makes one"
            self.findings.add(
                "E174", path, "this file is no armored public key (-----BEGIN PGP PUBLIC KEY BLOCK...)", hint=hint
            )
        else:
            return text
        return ""

    def _gpgkey(self, value: Any, path: Path) -> str:
        text = self._uri(value, path)
        if text.startswith("http:"):
            hint = "https: or file:, a path on the host"
            self.findings.add("E174", path, "a key that comes over http: can be anybody's", hint=hint)
        return text

    def _trusted(self, value: Any, path: Path) -> str:
        text = self.findings.text(value, path)
        if text is not None and text.lower() in ("true", "yes", "false", "no"):
            hint = "such as trusted: built and copied by our own pipeline"
            self.findings.add("E174", path, "`trusted` takes the reason why nobody needs to sign it", hint=hint)
            return ""
        return text or ""

    def _products(self, fields: Mapping[str, Any], path: Path, system: str) -> tuple[str, ...]:
        if "products" not in fields:
            return ()
        place = (*path, "products")
        texts = self.findings.texts(fields["products"], place, "products") or []
        for index, text in enumerate(texts):
            if not could_be_product(PRODUCTS[system], text):
                hint = f"products of {system} are called {PRODUCTS[system]}VERSION"
                self.findings.add("W171", (*place, index), f"no host can match: no product of {system}", hint=hint)
        return tuple(texts)

    def _components(self, source: PatchSource, fields: Mapping[str, Any], path: Path) -> None:
        if not source.suites:
            return
        flat = [suite for suite in source.suites if suite.endswith("/")]
        if flat and source.components:
            self.findings.add(
                "E110", (*path, "components"), f"the flat repository {flat[0]} has no components", key=True
            )
        elif len(flat) < len(source.suites) and "components" not in fields:
            self.findings.add("E109", path, "a source needs `components`", key=True, hint="such as components: [main]")

    def _believed(self, source: PatchSource, fields: Mapping[str, Any], path: Path, key: str) -> None:
        """Signed, or trusted for a reason and by a way that nobody can change."""
        if key not in fields and "trusted" not in fields:
            hint = f"give `{key}`, or `trusted` with the reason why nobody needs to sign it"
            self.findings.add("E174", path, f"a source needs `{key}`", key=True, hint=hint)
        elif key in fields and "trusted" in fields and fields["trusted"] is not BROKEN:
            self.findings.add("E110", (*path, "trusted"), f"`{key}` and `trusted` exclude each other", key=True)
        elif key not in fields:
            for place, uri in [((*path, "uris"), one) for one in source.uris] + [((*path, "baseurl"), source.baseurl)]:
                if re.match(r"(mirror\+)?(http|ftp):", uri):
                    hint = f"https: or file:, or `{key}`"
                    summary = "what nobody signed and comes over http: can be anybody's"
                    self.findings.add("E174", place, summary, hint=hint)


_EXAMPLES = {"suites": "bookworm", "components": "main", "architectures": "amd64"}
