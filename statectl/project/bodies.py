"""What associations, profiles and conditional groups have in common: resources, profiles used, and further groups."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from statectl.project.declarations import DeclarationReader
from statectl.project.findings import Findings, kind_of
from statectl.project.model import Body, Declaration, Given, Use
from statectl.project.scalars import Expression
from statectl.project.types import COMMON_FIELDS
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN
from statectl.resources.fields import Account, Mode

USE_FIELDS: Mapping[str, str] = {
    "profile": "Name of the profile, when it differs from the key",
    "with": "Inputs of the profile: a map, or an expression that gives one",
    **{name: text for name, text in COMMON_FIELDS.items() if name in ("when", "for_each", "after", "before", "notify")},
}
GIVEN_FIELDS: Mapping[str, str] = {
    "when": "Condition for everything inside, a bare expression",
    "after": "Addresses that everything inside comes after",
    "notify": "Addresses that everything inside notifies",
    "defaults": "owner, group and mode of everything inside that has these fields and does not give them",
}
DEFAULTS: Mapping[str, TypeAdapter[Any]] = {
    "owner": TypeAdapter(Account),
    "group": TypeAdapter(Account),
    "mode": TypeAdapter(Mode),
}


class BodyReader:
    """Reads the bodies of one file."""

    def __init__(self, findings: Findings, declarations: DeclarationReader) -> None:
        self.findings = findings
        self.declarations = declarations

    def read(self, values: Mapping[str, Any], path: Path, own: Collection[str], where: str) -> Body:
        """`values`: the map with all keys; `own`: the keys that belong to whoever holds the body."""
        types = self.declarations.types
        resources: list[Declaration] = []
        uses: list[Use] = []
        given: list[Given] = []
        for key, value in values.items():
            below = (*path, key)
            if key in types:
                resources += self.declarations.section(types[key], value, below)
            elif key == "use":
                uses += self.uses(value, below)
            elif key == "given":
                given += self.given(value, below)
            elif key in own:
                continue
            else:
                self._unknown(path, key, [*own, *types, "use", "given"], where, value)
        return Body(tuple(resources), tuple(uses), tuple(given))

    def _unknown(self, path: Path, key: str, allowed: list[str], where: str, value: Any) -> None:
        by_name = {one.name: one.section for one in self.declarations.types.values()}
        if key in by_name:  # the type's name instead of its section
            label, section = f"did you mean `{by_name[key]}`?", by_name[key]
            self.findings.add(
                "E101", (*path, key), f"unknown key `{key}` in {where}", key=True, label=label, replacement=section
            )
            return
        self.findings.unknown(path, key, allowed, where, value)

    def uses(self, value: Any, path: Path) -> list[Use]:
        found = []
        for name, below in (self.findings.map(value, path, "expected a map of profiles to use") or {}).items():
            one = self.use(name, below, (*path, name))
            if one is not None:
                found.append(one)
        return found

    def use(self, name: str, value: Any, path: Path) -> Use | None:
        fields = self.findings.map(value, path, "expected a map ({} when the profile needs no inputs)")
        if fields is None:
            return None
        for key, below in fields.items():
            if key not in USE_FIELDS:
                hint = f"inputs stand below `with`: with: {{{key}: ...}}"
                self.findings.unknown(path, key, USE_FIELDS, "`use`", below, hint)
        profile = name
        if "profile" in fields:
            profile = self.findings.text(fields["profile"], (*path, "profile")) or ""
        inputs = fields.get("with", {})
        if isinstance(inputs, dict):
            inputs = self.findings.map(inputs, (*path, "with")) or {}  # typed when the profile is known
        elif inputs is not BROKEN and not isinstance(inputs, Expression):
            self.findings.wrong((*path, "with"), f"expected a map of inputs or an expression, got {kind_of(inputs)}")
            inputs = {}
        shared = {key: below for key, below in fields.items() if key in COMMON_FIELDS}
        common = self.declarations.common(shared, path)
        return Use(name, profile, common.for_each, inputs, common, path)

    def given(self, value: Any, path: Path) -> list[Given]:
        if value is BROKEN:
            return []
        if not isinstance(value, list):
            self.findings.wrong(path, f"expected a list of groups, each beginning with `- when:`, got {kind_of(value)}")
            return []
        found = []
        for index, item in enumerate(value):
            one = self.one_given(item, (*path, index))
            if one is not None:
                found.append(one)
        return found

    def one_given(self, value: Any, path: Path) -> Given | None:
        fields = self.findings.map(value, path, "expected a map of a condition and resources")
        if fields is None:
            return None
        read = self.declarations
        return Given(
            when=read.condition(fields["when"], (*path, "when")) if "when" in fields else None,
            after=read.addresses(fields.get("after"), (*path, "after")),
            notify=read.addresses(fields.get("notify"), (*path, "notify"), notify=True),
            defaults=self._defaults(fields.get("defaults"), (*path, "defaults")),
            body=self.read(fields, path, GIVEN_FIELDS, "`given`"),
            path=path,
        )

    def _defaults(self, value: Any, path: Path) -> dict[str, Any]:
        if value is None:
            return {}
        found = {}
        for key, below in (self.findings.map(value, path) or {}).items():
            adapter = DEFAULTS.get(key)
            if adapter is None:
                self.findings.unknown(
                    path, key, DEFAULTS, "`defaults`", below, "only owner, group and mode have defaults"
                )
            elif isinstance(below, Expression):
                found[key] = below
            else:
                try:
                    found[key] = adapter.validate_python(below)
                except ValidationError as error:
                    text = (
                        error.errors(include_url=False, include_input=False)[0]
                        .get("ctx", {})
                        .get("text", "value not valid")
                    )
                    self.findings.wrong((*path, key), str(text))
        return found
