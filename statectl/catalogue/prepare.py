"""From a rendered declaration to a checked resource: the type's model, its content, its edges, its limits."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from statectl.catalogue.contents import Files, Piece, Slot, Wanted, text_piece
from statectl.catalogue.rendered import SecretParts
from statectl.catalogue.shapes import Rendered
from statectl.catalogue.templates import TemplateRefused
from statectl.catalogue.trees import Manifest, Trees
from statectl.problems import Note, Problem, Span
from statectl.project.findings import Findings
from statectl.project.model import Declaration, Limits, Places
from statectl.project.model_errors import report
from statectl.project.scalars import Expression
from statectl.project.types import ResourceType
from statectl.resources.model import Edge, Resource

# Arguments of commands are visible to every user of the host while they run.
ARGUMENTS = frozenset(
    {"run", "unless", "validate", "command", "creates", "cwd", "version", "comment", "home", "shell", "expires"}
)
CONTENT = ("content", "source", "template", "fragments")  # of which `content` is made


@dataclass(frozen=True, slots=True)
class Prepared:
    """One resource as one association wants it. `given`: the fields that were written, not defaulted."""

    kind: ResourceType
    address: str
    given: Mapping[str, Any]
    content: Wanted | Manifest | None
    values: Mapping[str, Any]  # what goes into `want` besides content; SecretParts where there are secrets
    edges: tuple[Edge, ...]
    paths: tuple[str, ...]  # that it may write to; empty for what is no path
    declaration: Declaration
    span: Span | None

    def place(self, field: str) -> Span | None:
        """Where a field was written, or the resource when it was not."""
        places, path = self.declaration.places, (*self.declaration.path, field)
        return places.value(path) if path in places.values else self.span


class _RenderedFindings(Findings):
    """Problems of values that were rendered say so: the text at that place is not what is wrong."""

    def __init__(self, places: Places, declaration: Declaration) -> None:
        super().__init__(places)
        self._declaration = declaration

    def add(self, code: str, path: Any, summary: str, **more: Any) -> None:
        below = path[len(self._declaration.path) :]
        raw: Any = self._declaration.key if not below else self._declaration.fields
        for part in below:
            raw = (
                raw.get(part)
                if isinstance(raw, Mapping)
                else raw[part]
                if isinstance(raw, list) and isinstance(part, int)
                else None
            )
        if isinstance(raw, Expression):
            code, summary = "E211", f"rendered value is not valid: {summary}"
            more["replacement"] = None
        super().add(code, path, summary, **more)


class Preparer:
    """Checks rendered declarations. What is equal on many hosts is checked once."""

    def __init__(self, types: Mapping[str, ResourceType], files: Files, trees: Trees, limits: Limits) -> None:
        self._types = types
        self._files = files
        self._trees = trees
        self._limits = limits
        self._known: dict[int, tuple[Prepared | None, list[Problem]]] = {}
        self._mark = "statectl" + secrets.token_hex(16)  # too long for a name of anything

    def prepare(self, rendered: Rendered) -> tuple[Prepared | None, list[Problem]]:
        """The resource, or None and what is wrong with it. Its content may have slots for templates."""
        if not rendered.kept:
            return self._prepare(rendered)
        known = self._known.get(id(rendered))
        if known is None:
            known = self._known[id(rendered)] = self._prepare(rendered)
        return known

    def _prepare(self, rendered: Rendered) -> tuple[Prepared | None, list[Problem]]:
        declaration = rendered.declaration
        kind = self._types[declaration.type]
        if not isinstance(rendered.key, str):
            what = "a secret cannot be" if isinstance(rendered.key, SecretParts) else "text is needed as"
            return None, [Problem("E211", f"{what} the name of {kind.article}", rendered.span)]
        fields = dict(rendered.fields)
        for name, value in rendered.defaults.items():
            if name in kind.names and fields.get("state") != "absent":
                fields.setdefault(name, value)
        return self.check(kind, rendered.key, fields, declaration)

    def check(
        self, kind: ResourceType, key: str, fields: Mapping[str, Any], declaration: Declaration
    ) -> tuple[Prepared | None, list[Problem]]:
        """Validate with the type's model; secrets stand as marks while it looks."""
        denied = [name for name, value in fields.items() if name in ARGUMENTS and self._has_secret(value)]
        if denied:
            place = declaration.places.value((*declaration.path, denied[0]))
            hint = "arguments are visible to every user of the host; put the secret into a file or `env`"
            return None, [Problem("E214", f"a secret cannot stand in `{denied[0]}`", place, hint=hint)]
        data = {"name": key, **{name: self._marked(value) for name, value in fields.items()}}
        model, problems = self._model(kind, data, fields, declaration)
        if model is None:
            return None, problems
        values, lost = self._values(kind, model, fields)
        if lost:
            place = declaration.places.value((*declaration.path, lost))
            return None, [Problem("E214", f"a secret cannot stand in `{lost}` of {kind.article}", place)]
        try:
            content = self._content(kind, fields, model, declaration)
        except TemplateRefused as refused:
            place = declaration.places.value((*declaration.path, "source"))
            return None, [Problem(refused.code, refused.message, place, hint=refused.hint)]
        paths_of = getattr(sys.modules[type(model).__module__], "paths", None)
        prepared = Prepared(
            kind=kind,
            address=f"{kind.name}:{values['name']}",
            given=dict(fields),
            content=content,
            values=values,
            edges=tuple(kind.edges(model)),
            paths=tuple(paths_of(model)) if paths_of is not None else (),
            declaration=declaration,
            span=declaration.span,
        )
        outside = self._outside(prepared)
        return (None, outside) if outside else (prepared, [])

    def _model(
        self, kind: ResourceType, data: Mapping[str, Any], fields: Mapping[str, Any], declaration: Declaration
    ) -> tuple[Resource | None, list[Problem]]:
        try:
            return kind.model.model_validate(data), []
        except ValidationError as error:
            faulty = {one["loc"][0] for one in error.errors(include_url=False, include_input=False) if one["loc"]}
            whole = {name for name in faulty if isinstance(name, str) and isinstance(fields.get(name), SecretParts)}
            if whole:
                # types that know secrets take them as the host will see them
                again = {
                    name: {"$parts": list(fields[name].parts)} if name in whole else value
                    for name, value in data.items()
                }
                try:
                    return kind.model.model_validate(again), []
                except ValidationError:
                    name = min(whole)
                    place = declaration.places.value((*declaration.path, name))
                    return None, [Problem("E214", f"a secret cannot stand in `{name}` of {kind.article}", place)]
            findings = _RenderedFindings(declaration.places, declaration)
            short = not any((*declaration.path, name) in declaration.places.keys for name in fields)
            report(findings, kind, error, data, declaration.path, short=short)
            return None, findings.problems

    def _values(self, kind: ResourceType, model: Resource, fields: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """(values for `want`, name of a field that lost a secret)."""
        away = {*getattr(kind.model, "compiled_away", ()), "content"}
        values: dict[str, Any] = {}
        for name, value in model:
            if value is None or name in away:
                continue
            secret = self._has_secret(fields.get(name))
            values[name] = self._unmarked(value) if secret else _plain(value)
            if secret and self._numbers(values[name]) != self._numbers(fields.get(name)):
                return {}, name
        return values, ""

    def _content(
        self, kind: ResourceType, fields: Mapping[str, Any], model: Resource, declaration: Declaration
    ) -> Wanted | Manifest | None:
        file = declaration.places.file
        if "manifest" in kind.names:
            return self._trees.manifest(file, str(fields["source"]), fields.get("templates") or (), self._files)
        if "content" not in kind.names:
            return None
        if fields.get("content") is not None:
            # as the model made it; with a secret in it, as it was rendered
            secret = self._has_secret(fields["content"])
            return Wanted(text_piece(fields["content"] if secret else dict(model)["content"]))
        if fields.get("template") is not None:
            return Wanted(Slot(("template",)))
        if fields.get("source") is not None:
            return Wanted(self._files.piece(file, str(fields["source"])))
        if fields.get("fragments") is not None:
            written = declaration.fields.get("fragments")
            keys = list(written) if isinstance(written, Mapping) else []
            parts: dict[str, Piece] = {}
            for index, (name, fragment) in enumerate(fields["fragments"].items()):
                if fragment.get("template") is not None:
                    key = keys[index]
                    word = key.source if isinstance(key, Expression) else str(key)
                    parts[name] = Slot(("fragments", word, "template"))
                elif fragment.get("source") is not None:
                    parts[name] = self._files.piece(file, str(fragment["source"]))
                else:
                    parts[name] = text_piece(fragment["content"])
            return Wanted(fragments=parts)
        return None

    def _outside(self, prepared: Prepared) -> list[Problem]:
        """limits.paths and limits.deny, as the host will enforce them again."""
        allowed, denied = self._limits.paths, self._limits.deny
        notes = (Note("limits stand in statectl.yml"),)
        if allowed:
            where = ", ".join(allowed)
            if not prepared.paths:
                return [
                    Problem(
                        "E125",
                        f"limits.paths allows only what is below {where}; {prepared.address} is no path",
                        prepared.span,
                        notes=notes,
                    )
                ]
            wrong = [path for path in prepared.paths if not any(below(path, limit) for limit in allowed)]
            if wrong:
                return [Problem("E125", f"{wrong[0]} is outside limits.paths ({where})", prepared.span, notes=notes)]
        for path in prepared.paths:
            for limit in denied:
                if below(path, limit):
                    return [Problem("E125", f"{path} is denied by limits.deny ({limit})", prepared.span, notes=notes)]
        return []

    # Secrets while a model looks

    def _has_secret(self, value: Any) -> bool:
        if isinstance(value, SecretParts):
            return True
        if isinstance(value, Mapping):
            return any(self._has_secret(item) for item in value.values())
        return isinstance(value, list) and any(self._has_secret(item) for item in value)

    def _numbers(self, value: Any) -> list[int]:
        if isinstance(value, SecretParts):
            return [part for part in value.parts if isinstance(part, int)]
        if isinstance(value, Mapping):
            if set(value) == {"$parts"}:
                return [part for part in value["$parts"] if isinstance(part, int)]
            return sorted(number for item in value.values() for number in self._numbers(item))
        return sorted(number for item in value for number in self._numbers(item)) if isinstance(value, list) else []

    def _marked(self, value: Any) -> Any:
        if isinstance(value, SecretParts):
            return "".join(part if isinstance(part, str) else f"{self._mark}n{part}e" for part in value.parts)
        if isinstance(value, Mapping):
            return {key: self._marked(item) for key, item in value.items()}
        return [self._marked(item) for item in value] if isinstance(value, list) else value

    def _unmarked(self, value: Any) -> Any:
        if isinstance(value, str):
            pieces = value.split(self._mark)
            if len(pieces) == 1:
                return str(value)
            parts: list[str | int] = [pieces[0]]
            for piece in pieces[1:]:
                number, _, text = piece.removeprefix("n").partition("e")
                parts += [int(number), text]
            return SecretParts(tuple(part for part in parts if part != ""))
        if isinstance(value, Mapping):
            if set(value) == {"$parts"}:
                return SecretParts(tuple(value["$parts"]))
            return {key: self._unmarked(item) for key, item in value.items()}
        return [self._unmarked(item) for item in value] if isinstance(value, list) else _plain(value)


def below(path: str, limit: str) -> bool:
    """Is a normalised path the limit or below it?"""
    return path == limit or path.startswith(limit.rstrip("/") + "/")


def _plain(value: Any) -> Any:
    """A field's value for JSON: models as maps, text without its subclass."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
