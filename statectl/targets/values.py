"""Values of variables: from what a YAML or INI reader made to what expressions will see.

Reading YAML is done above this layer, so the reader comes in as an argument; `project.yaml_tree` is one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from statectl.errors import ConfigError
from statectl.problems import Note, Problem, Span
from statectl.secrets import Secret
from statectl.targets.references import Unreadable, value_of

Place = tuple[str | int, ...]


class Places(Protocol):
    """Where keys and values of one file stand; a path is a tuple of keys and list indexes."""

    def key(self, path: Place, /) -> Span | None: ...
    def value(self, path: Place, /) -> Span | None: ...


@dataclass(frozen=True, slots=True)
class Yaml:
    """The parts of the YAML reader that are needed here: Yaml(read_yaml, untyped, Expression, Plain, BROKEN)."""

    read_yaml: Callable[..., tuple[Any, Any, Sequence[Problem]]]
    """(text, file, *, ansible=False) to (tree, Places, problems). With `ansible` scalars are typed as Ansible types them,
    and `!vault` and `!unsafe` give objects with `tag` and `value`."""

    untyped: Callable[[str], Any]
    """A plain scalar of a project file to its value; raises ValueError, with the summary of a Problem."""

    Expression: Callable[..., Any]
    """(source, span): text with Jinja in it. Its instances have the attribute `source`."""

    Plain: type[str]
    """What the reader makes of an unquoted scalar of a project file."""

    BROKEN: Any
    """Stands for a value about which a problem was reported."""


class Vaulted:
    """A value that ansible-vault encrypted: opaque. `text` is the cipher text as it stands in the file."""

    __slots__ = ("span", "text")

    def __init__(self, text: str, span: Span | None = None) -> None:
        self.text = text
        self.span = span

    def __repr__(self) -> str:
        return "‹vaulted›"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret variable comes from: `env:NAME` or `file:PATH`. Nothing is read before `resolve()`."""

    kind: str  # env | file
    reference: str  # name of an environment variable, or an absolute path
    label: str  # names the secret for people: the variable's path
    span: Span | None = None

    def resolve(self) -> Secret:
        """The secret. Raises ConfigError (E167) when it is not there."""
        try:
            return Secret(value_of(self.kind, self.reference), self.label)
        except Unreadable as error:
            label = f"secret variable {self.label}"
            raise ConfigError([Problem("E167", error.summary, self.span, label=label, hint=error.hint)]) from None


@dataclass(frozen=True, slots=True)
class Settled:
    """Turns the values of one file into what variables hold, and collects what is wrong with them."""

    yaml: Yaml
    file: str  # for messages
    base: Path  # directory of the file: `file:PATH` is relative to it
    places: Places | None
    problems: list[Problem]

    def place(self, path: Place) -> Span | None:
        return self.places.value(path) if self.places is not None else Span(self.file, 1, 1)

    def problem(self, code: str, summary: str, path: Place, **more: Any) -> None:
        self.problems.append(Problem(code, summary, self.place(path), **more))

    def value(self, value: Any, path: Place) -> Any:
        """The value with its scalars typed and its secrets and vaulted parts marked, at any depth."""
        if isinstance(value, Mapping):
            if "value_from" in value:
                return self._secret(value, path)
            if "__ansible_vault" in value and len(value) == 1:
                return Vaulted(str(value["__ansible_vault"]), self.place(path))
            if "__ansible_unsafe" in value and len(value) == 1:
                return _without_templates(value["__ansible_unsafe"])
            return {_key(key): self.value(item, (*path, _key(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, self.yaml.Plain):
            return self._plain(value, path)
        if isinstance(value, str):
            return value
        if hasattr(value, "tag") and hasattr(value, "value"):
            if value.tag == "!unsafe":
                return _without_templates(value.value)
            return Vaulted(str(value.value), self.place(path))
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                self.problem(
                    "E108", "binary value that is not text", path, hint="a file takes binary content with `source`"
                )
                return self.yaml.BROKEN
        return value

    def _plain(self, value: str, path: Place) -> Any:
        try:
            return self.yaml.untyped(value)
        except ValueError as error:
            self.problem("E104", str(error), path)
            return self.yaml.BROKEN

    def _secret(self, value: Mapping[Any, Any], path: Place) -> Any:
        if len(value) > 1:
            self.problem("E167", "value_from stands alone in its map", path, hint="a secret variable has no other keys")
            return self.yaml.BROKEN
        reference = value["value_from"]
        if reference is self.yaml.BROKEN:
            return reference
        kind, colon, rest = str(reference).partition(":") if isinstance(reference, str) else ("", "", "")
        if not colon or kind not in ("env", "file") or not rest:
            known = "cmd: and cipher: are not part of this version; " if kind in ("cmd", "cipher") else ""
            self.problem(
                "E167", "value_from not valid", (*path, "value_from"), label=f'{known}write "env:NAME" or "file:PATH"'
            )
            return self.yaml.BROKEN
        if kind == "file":
            rest = str(self.base / rest)
        return SecretSource(kind, rest, ".".join(str(part) for part in path[-_depth(path) :]), self.place(path))

    def expressions(self, value: Any, path: Place) -> Any:
        """Text that did not come through the YAML reader (INI, JSON): what holds Jinja becomes an Expression."""
        if isinstance(value, str):
            return self.yaml.Expression(value, self.place(path)) if _holds_jinja(value) else value
        if isinstance(value, list):
            return [self.expressions(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, Mapping) and "__ansible_unsafe" not in value:
            return {key: self.expressions(item, (*path, key)) for key, item in value.items()}
        return value


def _holds_jinja(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


def _depth(path: Place) -> int:
    """How many last parts of a path name the variable: those after `vars`."""
    return len(path) - path.index("vars") - 1 if "vars" in path[:-1] else len(path)


def _key(key: Any) -> Any:
    return str(key) if isinstance(key, str) else getattr(key, "source", key)


def _without_templates(value: Any) -> Any:
    """`!unsafe`: text is text at any depth."""
    if isinstance(value, Mapping):
        return {_key(key): _without_templates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_templates(item) for item in value]
    return getattr(value, "source", value)


def first_here(span: Span | None) -> tuple[Note, ...]:
    return (Note("first here", span),) if span is not None else ()
