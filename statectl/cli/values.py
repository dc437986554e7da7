"""What templates get from param() and secret(), and what the files declare for the parameter store, with values from where they say."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.catalogue.templates import NotLookedUp, TemplateRefused
from statectl.errors import ConfigError, Refused, StatectlError, UsageError
from statectl.problems import Problem
from statectl.project.model import Association, DeclaredParameter
from statectl.secrets import Secret
from statectl.targets.references import Unreadable, value_of

if TYPE_CHECKING:
    from statectl.parameters.declared import Wanted
    from statectl.parameters.keys import Keys
    from statectl.parameters.model import Parameter
    from statectl.parameters.store import ParameterStore

PLANNED, DECLARED = "planned", "declared"


class Declared:
    """What param() and secret() give where no store is asked: what the files declare. All else is not looked up."""

    def __init__(self, declared: Iterable[DeclaredParameter]) -> None:
        self._declared = {one.name.lstrip("/"): one for one in declared if not one.absent}

    def parameter(self, selector: str) -> Any:
        one = self._declared.get(selector.strip(" ").lstrip("/"))
        if one is None or one.value_from:
            raise NotLookedUp
        return one.value.split(",") if one.type == "StringList" else one.value

    def secret(self, selector: str) -> Any:
        return Secret("", selector)


class StoredSecret:
    """A secret of the store, decrypted when a host's catalogue is sent and not before."""

    def __init__(self, store: "ParameterStore", name: str, version: int) -> None:
        self._store = store
        self._name, self._version = name, version
        self._value: Secret | None = None
        self.label = f"{name} v{version}"

    def resolve(self) -> Secret:
        """Raises ConfigError where it cannot be decrypted."""
        if self._value is None:
            try:
                self._value = self._store.decrypt_version(self._name, self._version)
            except StatectlError as error:
                raise ConfigError([Problem(error.code or "E610", error.message, None, hint=error.hint)]) from None
        return self._value


class Values:
    """param() and secret() of one command: each is looked up once, and `versions` tells which one it got.

    planned   parameters that the same command puts, by name: they are seen as they will be
    declared  all others of the files: they are seen as they are stored, and where they never were, as they are declared
    pinned    {selector: version} of a plan that is applied as it was made
    """

    def __init__(
        self,
        store: Callable[[], "ParameterStore"],
        planned: Mapping[str, "Wanted"],
        declared: Mapping[str, "Wanted"],
        pinned: Mapping[str, int | str] | None = None,
    ) -> None:
        self._open = store
        self._planned = {name.lstrip("/"): one for name, one in planned.items() if not one.audited}
        self._declared = {name.lstrip("/"): one for name, one in declared.items()}
        self._pinned = pinned or {}
        self.versions: dict[str, int | str] = {}

    def parameter(self, selector: str) -> Any:
        """Text; of a StringList, its texts. Raises TemplateRefused."""
        found = self._found(selector)
        value = found.value
        if not isinstance(value, str):
            raise TemplateRefused(
                "E210",
                f"parameter {selector} is a SecureString",
                f"write secret('{selector}'): its value is not shown then",
            )
        return value.split(",") if found.type == "StringList" else value

    def secret(self, selector: str) -> Any:
        """A secret, or a StoredSecret. Raises TemplateRefused."""
        found = self._found(selector)
        if isinstance(found.value, Secret):
            return found.value
        if isinstance(found.value, str):
            return Secret(found.value, found.name)
        return StoredSecret(self._open(), found.name, int(self.versions[selector]))

    def _found(self, selector: str) -> "Parameter | Wanted":
        """What the files say of it, or what is stored. The value of a stored SecureString is None."""
        slot = selector.strip(" ").lstrip("/")
        planned = self._planned.get(slot)
        if planned is not None and planned.value is None:
            hint = "declare a value, or leave it out"
            raise TemplateRefused("E610", f"parameter {selector} is declared absent", hint)
        if planned is not None:
            self.versions[selector] = PLANNED
            return planned
        version = self._pinned.get(selector)
        pinned = f"{selector}:{version}" if isinstance(version, int) and ":" not in selector else selector
        try:
            found = self._open().get(pinned)
        except (Refused, UsageError) as error:
            declared = self._declared.get(slot)
            if declared is not None and declared.value is not None and error.code == "E610":
                self.versions[selector] = DECLARED
                return declared
            raise TemplateRefused(error.code or "E610", error.message, error.hint) from None
        self.versions[selector] = found.version
        return found


def wanted(
    declared: Iterable[DeclaredParameter],
    associations: Mapping[str, Association],
    root: Path,
    *,
    trusted: bool,
    keys: Callable[[], "Keys"],
    needed: Callable[[DeclaredParameter], bool],
) -> list["Wanted"]:
    """With their values. Raises ConfigError with all that cannot be had; those that are not needed are left out then."""
    from statectl.parameters.declared import Wanted

    found, problems = [], []
    for one in declared:
        span = one.span
        try:
            value = (
                None if one.absent else _value(one, root, trusted=trusted, keys=keys) if one.value_from else one.value
            )
        except Unreadable as error:
            if not needed(one):
                continue
            place = one.places.value((*one.path, "value_from"))
            label = f"parameter {one.name}"
            problems.append(Problem("E167", error.summary, place, label=label, hint=error.hint))
            continue
        owner = associations.get(one.association)
        found.append(
            Wanted(
                one.name,
                one.type,
                value,
                one.more,
                one.association,
                span.file if span is not None else "",
                span.line if span is not None else 0,
                audited=owner is not None and owner.mode == "audit",
            )
        )
    if problems:
        raise ConfigError(problems, root=root)
    return found


def _value(one: DeclaredParameter, root: Path, *, trusted: bool, keys: Callable[[], "Keys"]) -> str | Secret:
    """Raises Unreadable."""
    kind, _, reference = one.value_from.partition(":")
    if kind == "cmd" and not trusted:
        raise Unreadable(
            "a command of the files runs only where the project is trusted",
            f"trusted_projects: [{root}] in your own configuration (statectl config path)",
        )
    if kind == "file":
        reference = str(root / Path(one.places.file).parent / reference)
    if kind == "cipher":
        return _deciphered(one, keys())
    text = value_of(kind, reference)
    if not text:
        raise Unreadable(f"{one.value_from} gives an empty value")
    return Secret(text, one.name) if one.type == "SecureString" else text


def _deciphered(one: DeclaredParameter, keys: "Keys") -> Secret:
    """Raises Unreadable."""
    from statectl.parameters.in_git import decrypted

    try:
        name, secret = decrypted(keys, one.value_from)
    except Refused as error:
        raise Unreadable(error.message, error.hint) from None
    if name.lstrip("/") != one.name.lstrip("/"):
        raise Unreadable(
            f"the ciphertext was made for {name}",
            f"statectl parameter encrypt {one.name} --write makes one for this name",
        )
    return secret
