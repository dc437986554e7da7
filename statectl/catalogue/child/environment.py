"""The sandbox: jinja's immutable one, strict, with our names, our limits and secrets that can only be put out."""

import posixpath
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup

from statectl.catalogue.child import filters, wire
from statectl.catalogue.child.failures import Answer, Limit, Missing, NotBoolean, describe, locate
from statectl.catalogue.child.names import free_names
from statectl.catalogue.child.scope import Ref, Scope
from statectl.catalogue.child.values import Broken, Guarded, LazyDict, NotYetKnown, SecretText, SecretUsed

MAX_TEXT = 16 * 1024 * 1024  # characters of one rendered text
MAX_POWER_BITS = 4096
SPANNED = (
    "center",
    "ljust",
    "rjust",
    "zfill",
    "expandtabs",
)  # methods of text whose result is as long as a number says
MAX_COMPILED = 20_000  # expressions kept
CONDITION, TEMPLATE = "condition", "template"  # other sources are values
EXPRESSION = "<expression>"


class Source(NamedTuple):
    kind: str
    text: str  # of the expression; of a template, its path
    name: str  # for jinja: includes are relative to it


class StrictName(StrictUndefined):
    """An undefined name or field whose failure can say what there is instead."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:
        failure: Any = self._missing if exc in (None, jinja2.UndefinedError) else exc
        super().__init__(hint, obj, name, failure)

    def _missing(self, message: str) -> Missing:
        return Missing(self, message)


class ScopedContext(Context):
    """Names that no template sets come from the scope being rendered."""

    environment: "Sandbox"

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        if key in self.parent:
            return self.parent[key]
        return self.environment.scope.lookup(key) if self.environment.scope is not None else missing


class FreshModule(jinja2.Template):
    """jinja keeps the module of `{% import %}` for ever; here it holds what one host sees, so it is made for each use."""

    def _get_default_module(self, ctx: Context | None = None) -> Any:  # noqa: ARG002
        return self.make_module()


class ParentLoader(jinja2.BaseLoader):
    """Sources come from the parent, which keeps them inside the project."""

    def __init__(self, ask: Callable[[str, Any], Any]) -> None:
        self._ask = ask
        self.sources: dict[str, str] = {}

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002
        if template not in self.sources:
            try:
                self.sources[template] = self._ask("template", template)
            except Answer as answer:
                if answer.code == "E204":  # what `ignore missing` waits for
                    raise jinja2.TemplateNotFound(template) from None
                raise
        return self.sources[template], template, lambda: True


class Sandbox(ImmutableSandboxedEnvironment):
    context_class = ScopedContext
    template_class = FreshModule
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, ask: Callable[[str, Any], Any]) -> None:
        """`ask(what, argument)` puts a question to the parent: template, hosts, param, secret."""
        loader = ParentLoader(ask)
        super().__init__(
            loader=loader,
            undefined=StrictName,
            finalize=self._put_out,
            trim_blocks=True,
            keep_trailing_newline=True,
            optimized=False,
            cache_size=4000,
            auto_reload=False,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        )
        self.filters.update(filters.FILTERS)
        self.tests.update(filters.TESTS)
        for name in filters.REMOVED_FILTERS:
            del self.filters[name]
        for name in filters.REMOVED_GLOBALS:
            del self.globals[name]
        self.globals.update(hosts=self._hosts, param=self._param, secret=self._secret)
        self.scope: Scope | None = None
        self._texts = loader.sources
        self._ask = ask
        self._nonce = secrets.token_hex(16)
        self._mark = re.compile(f"\u2063{self._nonce}:([0-9]+)\u2063")
        self._put = 0  # secrets put out by the job at hand; fewer found in its text means that a filter ate one
        self._sources: dict[int, Source] = {}
        self._compiled: dict[Source, tuple[bool, jinja2.Template]] = {}
        self._variables: dict[int, Any] = {}
        self._labels: dict[int, str] = {}
        self._answers: dict[tuple[str, str], Any] = {}
        self.asked: list[list[str]] = []  # what the job at hand asked the parent: [function, argument]

    # What the parent defines

    def define(self, eid: int, kind: str, text: str, base: str) -> None:
        """`base`: the directory in the project that an expression's own includes are relative to."""
        self._sources[eid] = Source(kind, text, f"{base}/{EXPRESSION}" if base else EXPRESSION)

    def define_variable(self, number: int, value: Any) -> None:
        self._variables[number] = value

    def define_secret(self, number: int, label: str) -> None:
        self._labels[number] = label

    def variable(self, number: int) -> Any:
        return self._variables[number]

    def tag(self, name: str, content: Any) -> Any:
        """Decodes what wire.py leaves to each side."""
        if name == "$x":
            return Ref(content)
        if name == "$s":
            return self._secret_text([content])
        if name == "$parts":
            return self._secret_text(content)
        if name == "$opaque":
            why = "is encrypted with ansible-vault" if content == "vaulted" else "cannot be read"
            return Broken(
                Answer(
                    "E215", f"the value of this variable {why}", "give the variable a value_from: env:NAME or file:PATH"
                )
            )
        raise wire.WireError("unknown tag")

    def _secret_text(self, parts: list[str | int]) -> SecretText:
        mark = "".join(part if isinstance(part, str) else f"\u2063{self._nonce}:{part}\u2063" for part in parts)
        label = next((self._labels.get(part, "") for part in parts if isinstance(part, int)), "")
        return SecretText(parts, mark, label)

    # What templates may do

    def _put_out(self, value: Any) -> Any:
        if isinstance(value, SecretText):
            self._put += sum(isinstance(part, int) for part in value.parts)
            return value.mark
        return value

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):  # a field of data before a method of maps: `item.items` is what the files say it is
            if attribute in obj:
                return obj[attribute]
        elif isinstance(obj, Guarded):
            obj._refuse()  # noqa: SLF001
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Guarded):
            obj._refuse()  # noqa: SLF001
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for one, times in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple) and isinstance(times, int) and len(one) * times > MAX_TEXT:
                    raise Limit("render used more than 16 MiB")
            if (
                isinstance(left, int)
                and isinstance(right, int)
                and left.bit_length() + right.bit_length() > 2 * MAX_POWER_BITS
            ):
                raise Limit("a number grows over 8,192 bits")
        elif (
            operator == "**"
            and isinstance(left, int)
            and isinstance(right, int)
            and left.bit_length() * right > MAX_POWER_BITS
        ):
            raise Limit("a power of more than 4,096 bits")
        elif (
            operator == "%" and isinstance(left, str) and any(int(n) > MAX_TEXT for n in re.findall(r"[0-9]{7,}", left))
        ):
            raise Limit("render used more than 16 MiB")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__name__", "") in SPANNED and any(
            isinstance(n, int) and n > MAX_TEXT for n in [*args, *kwargs.values()]
        ):
            raise Limit("render used more than 16 MiB")
        return super().call(context, obj, *args, **kwargs)

    def join_path(self, template: str, parent: str) -> str:
        """Templates name others relative to themselves, as YAML files name templates. The parent refuses what leaves the project."""
        if template.startswith("/"):
            return template
        return posixpath.normpath(posixpath.join(posixpath.dirname(parent), template))

    def _hosts(self, targets: str) -> Any:
        return self._answer("hosts", targets)

    def _param(self, name: str) -> Any:
        return self._answer("param", name)

    def _secret(self, name: str) -> Any:
        return self._answer("secret", name)

    def _answer(self, function: str, argument: str) -> Any:
        """The parent's answer, the same for whoever asks. A host that asks needs it: the job at hand says so."""
        if not isinstance(argument, str):
            raise Answer("E209", f"{function}() takes text")
        key = function, argument
        self.note([[function, argument]])
        if key not in self._answers:
            self._answers[key] = self._ask(function, argument)
        return self._answers[key]

    def note(self, asked: Iterable[list[str]]) -> None:
        """The job at hand needs the answers to these questions."""
        self.asked += [question for question in asked if question not in self.asked]

    def known_names(self) -> Iterable[str]:
        return [*(self.scope.names() if self.scope else ()), *self.globals]

    # Rendering

    def evaluate(self, eid: int, scope: Scope, names: dict[str, Any]) -> Any:
        """The value of one expression or template in a scope. Raises Located or NotYetKnown, nothing else."""
        outer, self.scope = self.scope, scope
        try:
            return self._evaluate(eid, names)
        except NotYetKnown:
            raise
        except Exception as error:  # noqa: BLE001 whatever a template raises is a mistake in it, and gets its place
            raise locate(error, self, eid) from None
        finally:
            self.scope = outer

    def _evaluate(self, eid: int, names: dict[str, Any]) -> Any:
        kind = self._sources[eid].kind
        typed, template = self._template(eid)
        context = template.new_context(names)
        before, self._put = self._put, 0
        try:
            length, chunks = 0, []
            for chunk in template.root_render_func(context):
                length += len(chunk)
                if length > MAX_TEXT:
                    raise Limit("render used more than 16 MiB")
                chunks.append(chunk)
            if typed:
                value = context.vars["result"]
                if isinstance(value, Undefined):
                    str(value)  # raises with the place
                return bool_only(value) if kind == CONDITION else value
            return self._text("".join(chunks))
        finally:
            self._put = before

    def _text(self, text: str) -> Any:
        if not self._put:
            return text
        pieces: list[Any] = self._mark.split(text)
        found = pieces[1::2]
        if len(found) < self._put or self._nonce in "".join(pieces[0::2]).lower():
            raise SecretUsed("")  # a filter worked on text that `set` or a block had caught
        parts = [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)]
        return self._secret_text([part for part in parts if part != ""])

    def _template(self, eid: int) -> tuple[bool, jinja2.Template]:
        """(has a typed value, compiled template); equal sources are compiled once."""
        source = self._sources[eid]
        if source.kind == TEMPLATE:
            return False, self.get_template(source.text)
        if source not in self._compiled:
            if len(self._compiled) > MAX_COMPILED:
                self._compiled.clear()
            inner = source.text if source.kind == CONDITION else single_expression(self, source.text)
            if inner is None:
                self._compiled[source] = (False, self._named(source.text, source.name))
            else:
                target = nodes.Assign(nodes.Name("result", "store"), self._expression_tree(inner), lineno=1)
                self._compiled[source] = (True, self._named(nodes.Template([target], lineno=1), source.name))
        return self._compiled[source]

    def _named(self, source: Any, name: str) -> jinja2.Template:
        code = self.compile(source, name=name, filename=name)
        return self.template_class.from_code(self, code, self.make_globals(None))

    def _expression_tree(self, source: str) -> nodes.Expr:
        parser = jinja2.parser.Parser(self, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            raise jinja2.TemplateSyntaxError(f"expected the end of the expression, got '{token.value}'", token.lineno)
        tree.set_environment(self)
        return tree

    # Looking at sources

    def tree_of(self, eid: int, template: str) -> nodes.Template | None:
        """The syntax tree of what failed, to find out how a name was written."""
        try:
            if template:
                return self.parse(self._texts[template])
            source = self._sources[eid]
            if source.kind == TEMPLATE:
                return self.parse(self._texts[source.text])
            return self.parse("{{ " + source.text + " }}" if source.kind == CONDITION else source.text)
        except (KeyError, jinja2.TemplateSyntaxError):
            return None

    def free_names(self, eid: int) -> dict[str, Any]:
        """What names.py finds out about one source. Raises Located for wrong syntax and includes that are refused."""
        try:
            self._template(eid)
            tree = self.tree_of(eid, "")
            assert tree is not None, "what compiles has a tree"
            source = self._sources[eid]
            name = source.text if source.kind == TEMPLATE else source.name
            return free_names(tree, name, eid, self._parsed, self.join_path).message()
        except Exception as error:  # noqa: BLE001 as above
            raise locate(error, self, eid) from None

    def _parsed(self, name: str) -> nodes.Template:
        assert self.loader is not None
        return self.parse(self.loader.get_source(self, name)[0], name, name)


def bool_only(value: Any) -> bool:
    if value is True or value is False:
        return value
    if isinstance(value, Guarded):
        value._refuse()  # noqa: SLF001
    raise NotBoolean(describe(value))


def single_expression(env: jinja2.Environment, source: str) -> str | None:
    """The inside of text that is exactly one `{{ expression }}`, or None. Raises on wrong syntax."""
    if not (source.startswith("{{") and source.endswith("}}")):
        return None
    begins = 0
    inner: list[str] = []
    tokens = list(env.lex(source))
    for index, (_, kind, text) in enumerate(tokens):
        if kind == "variable_begin":
            begins += 1
        elif kind == "variable_end":
            if index != len(tokens) - 1:
                return None
        elif begins:
            inner.append(text)
    return "".join(inner) if begins == 1 else None


def encode_result(value: Any) -> Any:
    """A rendered value to JSON with tags. Raises ValueError for what is not data."""

    def other(item: Any) -> Any:
        if isinstance(item, SecretText):
            return {"$parts": item.parts}
        if isinstance(item, Guarded):
            item._refuse()  # noqa: SLF001
        if isinstance(item, Undefined):
            str(item)  # raises with the place
        if isinstance(item, Markup | str):
            return str.__str__(item)
        if isinstance(item, dict | LazyDict):
            return wire.encode(dict(item.items()), other)
        if isinstance(item, bool | int | float):
            return item
        if callable(item) or not isinstance(item, Iterable):
            raise TypeError("the expression gives a thing that is not data: call it, or name a field of it")
        return wire.encode(list(item), other)

    return wire.encode(value, other)
