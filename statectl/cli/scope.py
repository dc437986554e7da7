"""What a run is about: associations, hosts, addresses, removal, variables. Saved with the plan, so that apply repeats it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from statectl.addresses import parse_address
from statectl.cli.formats.terminal import one_line
from statectl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scope:
    associations: tuple[str, ...] = ()  # () : all
    target: str | None = None
    only: tuple[str, ...] = ()
    prune: bool = False
    release: bool = False
    variables: tuple[tuple[str, Any], ...] = ()
    inventory: str | None = None
    allow_empty: bool = False
    patches: bool = False  # about patches and nothing else; `associations` are those that name a baseline, perhaps none
    rolls_back: str = ""  # the run whose patches are taken back

    @classmethod
    def of(cls, associations: Sequence[str], options: Mapping[str, Any]) -> "Scope":
        """From the command line. Raises UsageError."""
        only = tuple(options.get("only") or ())
        for text in only:
            if parse_address(text) is None:
                raise UsageError(
                    f"--only {one_line(text)!r} is not an address",
                    hint="an address is type:name, such as file:/etc/motd",
                )
        if options.get("prune") and options.get("release"):
            raise UsageError("--prune removes, --release forgets: give one of them")
        return cls(
            associations=tuple(associations),
            target=options.get("target"),
            only=only,
            prune=bool(options.get("prune")),
            release=bool(options.get("release")),
            variables=tuple(_variables(options.get("settings") or ()).items()),
            inventory=options.get("inventory"),
            allow_empty=bool(options.get("allow_empty")),
        )

    @classmethod
    def saved(cls, document: Mapping[str, Any]) -> "Scope":
        """From a plan."""
        return cls(
            associations=tuple(document.get("associations", ())),
            target=document.get("target"),
            only=tuple(document.get("only", ())),
            prune=bool(document.get("prune")),
            release=bool(document.get("release")),
            variables=tuple((name, value) for name, value in document.get("variables", ())),
            inventory=document.get("inventory"),
            allow_empty=True,
            patches=bool(document.get("patches")),
            rolls_back=str(document.get("rolls_back", "")),
        )

    def document(self) -> dict[str, Any]:
        """JSON-able."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _variables(settings: Sequence[str]) -> dict[str, Any]:
    """--set NAME=VALUE: the value is read as a YAML value of `vars`. --set @FILE: a YAML map."""
    from statectl.project.yaml_tree import read_yaml

    values: dict[str, Any] = {}
    for text in settings:
        if text.startswith("@"):
            path = Path(text[1:])
            try:
                source = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = (error.strerror or "error").lower() if isinstance(error, OSError) else "not UTF-8 text"
                raise UsageError(f"--set {one_line(text)}: cannot be read: {reason}") from None
            tree, places, problems = read_yaml(source, str(path))
            if problems:
                from statectl.errors import ConfigError

                raise ConfigError(problems)
            if not isinstance(tree, dict):
                raise UsageError(f"--set {one_line(text)}: expected a map of variables")
            del places
            values.update({str(name): _untyped(value) for name, value in tree.items()})
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {one_line(text)!r}: expected NAME=VALUE", hint="for example --set workers=4")
        tree, _, problems = read_yaml(value, "--set")
        if problems:
            first = problems[0]
            column = f" at column {first.span.column}" if first.span else ""
            raise UsageError(f"--set {name}: {first.summary}{column}")
        values[name] = _untyped(tree) if value else ""
    return values


def _untyped(value: Any) -> Any:
    from statectl.project.scalars import Expression, Plain, ScalarError, untyped

    if isinstance(value, Plain):
        try:
            return untyped(value)
        except ScalarError as error:
            raise UsageError(f"--set: {error}") from None
    if isinstance(value, Expression):
        return value.source
    if isinstance(value, dict):
        return {str(key): _untyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_untyped(item) for item in value]
    return value
