"""Commands to run where no type says it better. Each needs a guard, so that a plan can tell whether it will run."""

import re
from posixpath import dirname
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from statectl.addresses import parse_address
from statectl.resources.fields import AbsolutePath, Account, Seconds, Text, wrong
from statectl.resources.model import Edge, Resource

SECTION = "commands"
PHASE = "commands"

GUARDS = ("unless", "creates", "when_changed")


def _invocation(value: Any) -> Any:
    """A list is an argv; text goes to a shell as it is."""
    if isinstance(value, list):
        if not value or not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value):
            raise wrong("expected a list of arguments, or text for a shell")
        words = [str(item) for item in value]
        if not words[0]:
            raise wrong("the program to run is empty")
    elif isinstance(value, str) and value.strip():
        words = [str.__str__(value)]
    else:
        raise wrong("expected a list of arguments, or text for a shell")
    if any("\0" in word for word in words):
        raise wrong("a command may not hold a NUL")
    return words if isinstance(value, list) else words[0]


def _addresses(value: Any) -> Any:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        raise wrong("expected an address such as file:/etc/app.conf, or a list of them")
    for item in items:
        if not isinstance(item, str) or parse_address(item) is None:
            raise wrong("expected an address such as file:/etc/app.conf, or a list of them")
    return [str(item) for item in items]


def _env(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("expected a map of names and values")
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise wrong("environment names are letters, digits and _, and do not start with a digit")
        if isinstance(text, bool | dict | list) or text is None or "\0" in str(text):
            raise wrong(f"the value of {name} must be text")
    return {str(name): str(text) for name, text in value.items()}


Invocation = Annotated[list[str] | str, BeforeValidator(_invocation)]


class Model(Resource):
    name: Text = Field(description="free name of the command")
    run: Invocation = Field(description="what to run: a list of arguments, or text for /bin/sh")
    unless: Invocation | None = Field(
        default=None, description="check that only reads: the command runs unless this exits 0, and must make it exit 0"
    )
    creates: AbsolutePath | None = Field(
        default=None, description="path that the command makes: it runs while nothing is there"
    )
    when_changed: Annotated[list[str], BeforeValidator(_addresses)] | None = Field(
        default=None, description="addresses: it runs in an apply that changed one of them, or still owes them a run"
    )
    user: Account | None = Field(
        default=None, description="user to run as, the check too (default: as the executor runs)"
    )
    cwd: AbsolutePath | None = Field(default=None, description="directory to run in (default /)")
    env: Annotated[dict[str, str], BeforeValidator(_env)] | None = Field(
        default=None, description="environment, added to a small clean one"
    )
    timeout: Annotated[Seconds, Field(gt=0, le=86400)] = Field(
        default=300.0, description="how long it may run before its process group is killed (default 5m)"
    )

    @model_validator(mode="after")
    def _guarded(self) -> "Model":
        given = [guard for guard in GUARDS if getattr(self, guard) is not None]
        if not given:
            text = "a command needs one of `unless`, `creates` or `when_changed`, or every apply would run it"
            raise PydanticCustomError("statectl", "{text}", {"text": text, "code": "E140"})
        if len(given) > 1:
            raise wrong(f"`{given[0]}` and `{given[1]}` exclude each other; keep one of them")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the contract of every type
    """None: a command without its guard says too little."""
    return None


def edges(model: Model) -> list[Edge]:
    found = [Edge(f"user:{model.user}")] if isinstance(model.user, str) else []
    if isinstance(model.cwd, str):
        found.append(Edge(f"directory:{model.cwd}"))
    if isinstance(model.creates, str):
        found.append(Edge(f"directory:{dirname(model.creates)}"))
    argvs = [words for words in (model.run, model.unless) if isinstance(words, list) and isinstance(words[0], str)]
    found += [Edge(f"file:{words[0]}") for words in argvs if words[0].startswith("/")]
    if isinstance(model.when_changed, list):
        found += [Edge(address) for address in model.when_changed]
    return found
