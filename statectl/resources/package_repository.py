"""Sources of packages: a deb822 file for apt, a .repo file for dnf and zypper."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State

SECTION = "package_repositories"
PHASE = "package_repositories"

# apt skips files below sources.list.d whose name holds anything else; yum's ids agree.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_APT = ("uris", "suites", "components", "signed_by", "architectures")
_RPM = ("baseurl", "gpgkey", "gpgcheck")
_OWN = {"types", "uris", "suites", "components", "signed-by", "architectures", "trusted", "enabled"}
_OWN |= {"name", "baseurl", "gpgkey", "gpgcheck"}


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("repository name not valid: letters, digits, _ . - and starting with a letter or digit")
    return str.__str__(value)


def _words(what: str, pattern: str) -> BeforeValidator:
    """A list, or one text of words separated by space."""

    def check(value: Any) -> Any:
        items = value.split() if isinstance(value, str) else value
        if not isinstance(items, list) or not all(
            isinstance(item, str) and re.fullmatch(pattern, item) for item in items
        ):
            raise wrong(f"expected {what}, or a list of them")
        return [str(item) for item in items]

    return BeforeValidator(check)


_URI = r"[a-z][a-z0-9+]*:[^\s\x00-\x1f]+"


def _signed_by(value: Any) -> Any:
    text = str(value).strip() if isinstance(value, str) else "?"
    if not text:
        return ""  # any key that the system trusts
    if text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        if not text.endswith("-----END PGP PUBLIC KEY BLOCK-----"):
            raise wrong("the key is cut: its END line is missing")
        return text
    if "PRIVATE KEY" in text:
        raise wrong("this is a private key; give the public one")
    if not text.startswith("/") or re.search(r"\s", text):
        raise wrong(
            "expected the absolute path of a keyring on the host, or an armored public key (-----BEGIN PGP ...)"
        )
    return text


def _options(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("expected a map of options")
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise wrong("option names are letters, digits, _ and -")
        if name.lower() in _OWN or name.lower() in ("allow-insecure", "allow-weak"):
            raise wrong(f"option {name} has a field of its own or is not accepted here")
        if isinstance(text, dict | list) or text is None or "\n" in str(text):
            raise wrong(f"the value of {name} must be one line of text")
    return {
        str(name): ("yes" if text is True else "no" if text is False else str(text).strip())
        for name, text in value.items()
    }


Uris = Annotated[list[str], _words("an address such as https://deb.example.org/debian", _URI)]


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="name of the repository and of its file")
    state: State = Field(default="present", description="present or absent")
    uris: Uris | None = Field(default=None, description="apt: base addresses")
    suites: Annotated[list[str], _words("a suite such as bookworm or ./", r"[A-Za-z0-9./_+~-]+")] | None = Field(
        default=None, description="apt: suites; one that ends in / is a flat repository and has no components"
    )
    components: Annotated[list[str], _words("a component such as main", r"[A-Za-z0-9./_+-]+")] | None = Field(
        default=None, description="apt: components, such as main"
    )
    signed_by: Annotated[Text, BeforeValidator(_signed_by)] | None = Field(
        default=None,
        description="apt: the key that must have signed it: path of a keyring on the host, or the armored key itself (kept as /etc/apt/keyrings/NAME.asc)",
    )
    architectures: Annotated[list[str], _words("an architecture such as amd64", r"[a-z0-9-]+")] | None = Field(
        default=None, description="apt: only these architectures"
    )
    baseurl: Uris | None = Field(default=None, description="dnf, zypper: base addresses")
    gpgkey: Uris | None = Field(default=None, description="dnf, zypper: where the keys that sign its packages are")
    gpgcheck: Flag | None = Field(
        default=None,
        description="dnf, zypper: check signatures of packages (default true); false needs `allow_unsigned: true`",
    )
    enabled: Flag | None = Field(default=None, description="whether it is used (default true)")
    options: Annotated[dict[str, str], BeforeValidator(_options)] | None = Field(
        default=None,
        description="further options as the file knows them, such as {priority: 50} or {Check-Valid-Until: no}",
    )
    allow_unsigned: Flag | None = Field(
        default=None, description="accept packages that nobody signed (apt: Trusted: yes). For local repositories"
    )
    manager: Literal["auto", "apt", "dnf", "zypper"] = Field(
        default="auto", description="whose repository it is; auto: apt when `uris` is given, else the host's own"
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """The file is ours as a whole, so that every field of its kind has a value and is compared."""
        if not isinstance(data, dict) or data.get("state") == "absent":
            return data
        given = {key: value for key, value in data.items() if value is not None}
        whole: dict[str, Any] = {"enabled": True, "options": {}, "allow_unsigned": False}
        if "uris" in given:
            whole |= {"components": [], "architectures": [], "signed_by": ""}
        if "baseurl" in given:
            whole |= {"gpgkey": [], "gpgcheck": True}
        return {**whole, **given}

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        apt = [field for field in _APT if getattr(self, field) is not None]
        rpm = [field for field in _RPM if getattr(self, field) is not None]
        if self.state == "absent":
            return self
        if apt and rpm:
            raise wrong(f"`{apt[0]}` is apt's and `{rpm[0]}` is dnf's; use `when` and two repositories")
        if (apt and self.manager in ("dnf", "zypper")) or (rpm and self.manager == "apt"):
            raise wrong(f"`{(apt or rpm)[0]}` does not fit `manager: {self.manager}`")
        if not apt and not rpm:
            raise wrong("package_repository needs `uris` and `suites` (apt) or `baseurl` (dnf, zypper)")
        if apt:
            self._apt_fits()
        elif not self.baseurl:
            raise wrong("package_repository needs `baseurl`")
        elif self.gpgcheck is False and self.allow_unsigned is not True:
            raise wrong("`gpgcheck: false` installs unsigned packages; say `allow_unsigned: true` too if you mean it")
        return self

    def _apt_fits(self) -> None:
        if not self.uris or not self.suites:
            raise wrong("package_repository needs `uris` and `suites`")
        if not isinstance(self.suites, list):
            return
        flat = [suite for suite in self.suites if suite.endswith("/")]
        if flat and self.components:
            raise wrong("a flat repository (a suite that ends in /) has no components")
        if not flat and self.components == []:
            raise wrong("package_repository needs `components`, such as main; a flat repository has the suite ./")


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """`absent`."""
    return {"state": "absent"} if value == "absent" else None


def edges(model: Model) -> list[Edge]:
    """A key that is a file of the same host comes first."""
    if isinstance(model.signed_by, str) and model.signed_by.startswith("/"):
        return [Edge(f"file:{model.signed_by}")]
    return []
