"""/statectl/public/...: facts that come with the package, read-only, in the version of their revision."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from statectl.errors import Refused
from statectl.parameters.failures import missing
from statectl.parameters.model import Parameter
from statectl.parameters.names import Selector

ROOT = "/statectl/public/"
FILE = "public.json"


@cache
def _document() -> Mapping[str, Any]:
    """{"revision": N, "released": DATE, "parameters": {name: value}}"""
    document: Mapping[str, Any] = json.loads(
        (resources.files("statectl.parameters") / FILE).read_text(encoding="utf-8")
    )
    return document


def get(selector: Selector) -> Parameter:
    document = _document()
    value = document["parameters"].get(selector.name.strip(" "))
    if value is None:
        raise missing(selector.name)
    revision = document["revision"]
    if selector.label or selector.version not in (None, revision):
        raise Refused(
            f"parameter {selector.name}: only version {revision} is there; public parameters come with statectl",
            code="E613",
        )
    return _parameter(selector.name.strip(" "), value, selector.text)


def below(path: str, recursive: bool) -> list[Parameter]:
    """In the order of their names."""
    depth = path.count("/") + 1
    return [
        _parameter(name, value)
        for name, value in sorted(_document()["parameters"].items())
        if name.startswith(f"{path}/") and (recursive or name.count("/") == depth)
    ]


def read_only(name: str) -> Refused:
    return Refused(
        f"{name}: what is below /statectl comes with statectl, and is not written",
        code="E622",
        hint="choose another name",
    )


def _parameter(name: str, value: str | list[str], selector: str = "") -> Parameter:
    document = _document()
    return Parameter(
        name=name,
        type="StringList" if isinstance(value, list) else "String",
        version=document["revision"],
        value=",".join(value) if isinstance(value, list) else value,
        data_type="text",
        description="",
        allowed_pattern="",
        policies_text="[]",
        expires=None,
        modified=f"{document['released']}T00:00:00Z",
        who="statectl",
        why="",
        key_id=None,
        selector=selector,
    )
