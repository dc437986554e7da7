"""One resource as written: short form or long form, common fields, and the type's own model over what is literal."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from statectl.addresses import parse_address
from statectl.problems import did_you_mean, nearest
from statectl.project.files import ProjectFiles
from statectl.project.findings import Findings, is_null, kind_of, one_of
from statectl.project.model import Common, Declaration
from statectl.project.model_errors import report
from statectl.project.scalars import Expression, Plain
from statectl.project.types import COMMON_FIELDS, ResourceType
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

ON_REMOVAL = ("delete", "restore", "leave")
_FILE_FIELDS = ("template", "source")


class DeclarationReader:
    """Reads the resources of one file. `types`: section -> type."""

    def __init__(self, findings: Findings, types: Mapping[str, ResourceType], files: ProjectFiles) -> None:
        self.findings = findings
        self.types = types
        self.files = files
        self.conditions: list[Expression] = []  # bare expressions met; their syntax is checked with the others
        self._by_name = {one.name: one for one in types.values()}
        self._position = 0

    def section(self, kind: ResourceType, value: Any, path: Path) -> list[Declaration]:
        """All entries of one section: a map; a list of keys, or an expression for one, where the type has a form without a value."""
        if value is BROKEN:
            return []
        if isinstance(value, list):
            return self._listed(kind, value, path)
        listed = kind.short("x", None) is not None
        if listed and isinstance(value, Expression):
            key = Expression("{{ item }}", value.span)
            return [
                self._checked(kind, key, dict(kind.short("", None) or {}), Common(for_each=value), path, short=True)
            ]
        if not isinstance(value, dict):
            forms = "a list, or a map of keys and fields" if listed else "a map of keys and fields"
            self.findings.wrong(path, f"expected {forms}, got {kind_of(value)}")
            return []
        found = []
        for key, below in value.items():
            one = self.declaration(kind, key, below, (*path, key.source if isinstance(key, Expression) else key))
            if one is not None:
                found.append(one)
        return found

    def _listed(self, kind: ResourceType, items: list[Any], path: Path) -> list[Declaration]:
        if kind.short("x", None) is None:
            self.findings.wrong(
                path, f"expected a map of keys and fields, got a list; {kind.article} needs more than its key"
            )
            return []
        found = []
        for index, item in enumerate(items):
            below = (*path, index)
            if item is BROKEN:
                continue
            key = item if isinstance(item, Expression) else self.findings.text(item, below)
            if key is not None:
                fields = kind.short("" if isinstance(key, Expression) else key, None) or {}
                found.append(self._checked(kind, key, dict(fields), Common(), below, short=True))
        return found

    def declaration(self, kind: ResourceType, key: str | Expression, value: Any, path: Path) -> Declaration | None:
        if value is BROKEN:
            return None
        if isinstance(value, dict):
            return self._long(kind, key, value, path)
        if is_null(value):
            hint = f"write {{}} for {kind.article} without fields" + self._short_forms(kind, ", or ")
            self.findings.add("E108", path, f"nothing stands behind this key of `{kind.section}`", key=True, hint=hint)
            return None
        fields = kind.short("" if isinstance(key, Expression) else key, value)
        if fields is None:
            self._no_short_form(kind, value, path)
            return None
        if self._misspelt_word(kind, value, fields, path):
            return None
        return self._checked(kind, key, fields, Common(), path, short=True)

    def _misspelt_word(self, kind: ResourceType, value: Any, fields: dict[str, Any], path: Path) -> bool:
        """`nginx: presnt` would be a version of that name; a word like that is a state written wrong."""
        if not isinstance(value, Plain) or "state" in fields or not value.isalpha():
            return False
        near = get_close_matches(value, kind.words, n=1, cutoff=0.75)
        if near:
            label, hint = f"did you mean `{near[0]}`?", "quote it if it is meant as it stands"
            self.findings.add(
                "E108",
                path,
                f"`{path[-1]}`: not a state of {kind.article}",
                label=label,
                hint=hint,
                replacement=near[0],
            )
        return bool(near)

    def _no_short_form(self, kind: ResourceType, value: Any, path: Path) -> None:
        words = kind.words
        forms = f"expected a map of fields{self._short_forms(kind, ' or ')}, got {kind_of(value)}"
        match = nearest(value, words) if isinstance(value, str) else ""
        label = f"did you mean `{match}`?" if match else ""
        name = path[-1]
        self.findings.add("E108", path, f"`{name}`: {forms}", label=label, replacement=match or None)

    def _short_forms(self, kind: ResourceType, before: str) -> str:
        words = [f"`{word}`" for word in kind.words]
        return before + one_of(words) if words else ""

    def _long(self, kind: ResourceType, key: str | Expression, value: dict[Any, Any], path: Path) -> Declaration:
        fields: dict[str, Any] = {}
        common: dict[str, Any] = {}
        own = kind.fields
        for name, below in value.items():
            if isinstance(name, Expression):
                self.findings.add("E108", (*path, name.source), "the name of a field cannot be a template", key=True)
            elif name == "name":
                hint = f"the key above is the name of {kind.article}"
                self.findings.add("E101", (*path, name), f"unknown key `name` in {kind.article}", key=True, hint=hint)
            elif name in COMMON_FIELDS:
                common[name] = below
            elif name in own:
                fields[name] = below
            else:
                self._unknown_field(kind, name, below, path)
        shared = self.common(common, path, key)
        if isinstance(key, str):
            self._after_itself(f"{kind.name}:{key}", shared, path)
        return self._checked(kind, key, fields, shared, path, short=False)

    def _after_itself(self, address: str, common: Common, path: Path) -> None:
        for name, targets in (("after", common.after), ("before", common.before), ("notify", common.notify)):
            if address in targets:
                verb = "notifies" if name == "notify" else f"comes {name}"
                self.findings.add("E130", (*path, name), f"{address} {verb} itself", hint="remove it")

    def _unknown_field(self, kind: ResourceType, name: str, value: Any, path: Path) -> None:
        allowed = [*kind.fields, *COMMON_FIELDS]
        hint = "" if nearest(name, allowed) else f"statectl explain {kind.name} lists the keys"
        self.findings.unknown(path, name, allowed, kind.article, value, "" if is_null(value) else hint)

    def _checked(
        self,
        kind: ResourceType,
        key: str | Expression,
        fields: dict[str, Any],
        common: Common,
        path: Path,
        *,
        short: bool,
    ) -> Declaration:
        """Validate what is literal, and keep the declaration as it was loaded."""
        loaded = {name: value for name, value in fields.items() if value is not BROKEN}
        if not short:
            for name, value in list(loaded.items()):
                if is_null(value):
                    hint = (
                        'leave the key out, or write "" for empty text'
                        if not value
                        else 'leave the key out, or quote it if "null" is meant'
                    )
                    self.findings.add("E108", (*path, name), f"`{name}`: nothing stands behind this key", hint=hint)
                    del loaded[name]
        # A refused value stays in the input as an expression does, so that its absence is not reported as well.
        for_model = {name: BROKEN if name not in loaded else value for name, value in fields.items()}
        try:
            kind.model.model_validate({"name": key, **for_model})
        except ValidationError as error:
            report(self.findings, kind, error, {"name": key, **for_model}, path, short=short)
        if not short:
            self._named_files(kind, loaded, path)
        self._position += 1
        return Declaration(kind.name, key, loaded, common, self.findings.places, path, self._position)

    def _named_files(self, kind: ResourceType, fields: Mapping[str, Any], path: Path) -> None:
        for name in _FILE_FIELDS:
            value = fields.get(name)
            if isinstance(value, str) and name in kind.names:
                what = "template" if name == "template" else "directory" if kind.name == "tree" else "source"
                fault = self.files.check(value, self.findings.places.file, what)
                if fault is not None:
                    self.findings.add(fault[0], (*path, name), f"`{name}`: {fault[1]}", hint=fault[2])
        fragments = fields.get("fragments")
        if isinstance(fragments, dict):
            for part, below in fragments.items():
                if isinstance(below, dict):
                    word = part.source if isinstance(part, Expression) else part
                    self._named_files(kind, below, (*path, "fragments", word))

    def common(self, values: Mapping[str, Any], path: Path, key: str | Expression | None = None) -> Common:
        """The fields that every long form has. `key`: that of the resource, which `for_each` must vary."""
        findings = self.findings
        loop = values.get("for_each")
        if "for_each" in values:
            loop = self.loop(loop, (*path, "for_each"))
            source = key.source if isinstance(key, Expression) else ""
            if key is not None and not re.search(r"\bitem\b", source):
                hint = 'such as "/etc/{{ item.name }}.conf"'
                findings.add("E110", path, "the key of a resource with `for_each` must use `item`", key=True, hint=hint)
        on_removal = values.get("on_removal")
        return Common(
            when=self.condition(values["when"], (*path, "when")) if "when" in values else None,
            for_each=loop,
            after=self.addresses(values.get("after"), (*path, "after")),
            before=self.addresses(values.get("before"), (*path, "before")),
            notify=self.addresses(values.get("notify"), (*path, "notify"), notify=True),
            sensitive=bool("sensitive" in values and findings.flag(values["sensitive"], (*path, "sensitive"))),
            on_removal=findings.choice(on_removal, (*path, "on_removal"), ON_REMOVAL)
            if on_removal is not None
            else None,
            protect=bool("protect" in values and findings.flag(values["protect"], (*path, "protect"))),
        )

    def loop(self, value: Any, path: Path) -> Any:
        """`for_each`: an expression, a list or a map; scalars inside are untyped."""
        if value is BROKEN or isinstance(value, Expression):
            return value
        if isinstance(value, list | dict):
            return self.findings.untyped(value, path)
        self.findings.wrong(
            path, f'expected a list, a map, or an expression such as "{{{{ sites }}}}", got {kind_of(value)}'
        )
        return None

    def condition(self, value: Any, path: Path) -> Expression | None:
        """`when`: the whole text is one expression, without braces."""
        if value is BROKEN:
            return None
        if isinstance(value, Expression):
            inner = re.fullmatch(r"\s*\{\{(.*)\}\}\s*", value.source, re.DOTALL)
            fix = inner[1].strip() if inner is not None and "{{" not in inner[1] else ""
            self.findings.wrong(
                path, "expected a bare expression, without braces", label=f"write it as: {fix}" if fix else ""
            )
            return None
        if not isinstance(value, str) or is_null(value) or not value.strip():
            self.findings.wrong(
                path, f"expected a bare expression such as facts.os.family == 'debian', got {kind_of(value)}"
            )
            return None
        condition = Expression(str.__str__(value), self.findings.places.value(path), bare=True)
        self.conditions.append(condition)
        return condition

    def addresses(self, value: Any, path: Path, *, notify: bool = False) -> tuple[Any, ...]:
        """One address or a list of them, as text or Expression."""
        if value is None or value is BROKEN:
            return ()
        items = value if isinstance(value, list) else [value]
        found: list[Any] = []
        for index, item in enumerate(items):
            below = (*path, index) if isinstance(value, list) else path
            if item is BROKEN:
                continue
            if isinstance(item, Expression):
                found.append(item)
            elif isinstance(item, str) and not is_null(item):
                self.address(str.__str__(item), below, notify=notify)
                found.append(str.__str__(item))
            else:
                self.findings.wrong(below, f"expected an address such as service:nginx, got {kind_of(item)}")
        return tuple(found)

    def address(self, text: str, path: Path, *, notify: bool = False, key: bool = False) -> None:
        """The syntax of an address, its type included; whether such a resource exists is known per host only."""
        address = parse_address(text)
        if address is None:
            hint = (
                f"service:{text}" if re.fullmatch(r"[a-z][a-z0-9@._-]*", text) else "type:key, such as file:/etc/motd"
            )
            self.findings.add("E118", path, "not an address", key=key, hint=f"addresses look like {hint}")
            return
        if address.host:
            hint = "leave the host out; order between hosts is not part of this version"
            self.findings.add("E118", path, "an address here names a resource of the same host", key=key, hint=hint)
            return
        kind = self._by_name.get(address.type)
        if kind is None:
            section = self.types.get(address.type)
            meant = section.name if section is not None else nearest(address.type, self._by_name)
            label = f"did you mean `{meant}`?" if meant else did_you_mean(address.type, self._by_name)
            fix = f"{meant}:{address.name}" if meant else None
            self.findings.add("E118", path, f"there is no type `{address.type}`", key=key, label=label, replacement=fix)
        elif notify and not kind.restartable:
            able = one_of(one.name for one in self.types.values() if one.restartable)
            hint = "`after` and `before` order other resources"
            self.findings.add("E118", path, f"{kind.article} cannot be notified, only {with_articles(able)}", hint=hint)


def with_articles(names: str) -> str:
    return f"a {names}" if names else "nothing yet"
