"""Writes what the reference says twice: fields from the models, options from the commands. `--check` only compares.

`reference/resources.md` is made whole. In the other pages a region between `<!-- generated: WHAT -->` and `<!-- end -->` is;
WHAT is `fields THING`, `options COMMAND`, `shared NAME` or `document MODEL`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel

from statectl.cli.main import COMMANDS, root
from statectl.cli.options import host_options, output_options, plan_options
from statectl.compliance.judge import Compliance
from statectl.patches.report import PatchReport
from statectl.plans.plan import Plan
from statectl.project.explain import THINGS, short_forms, takes
from statectl.project.types import COMMON_FIELDS, ResourceType, resource_types
from statectl.resources.model import PHASES
from statectl.targets.collected import TYPES, names_of

DOCS = Path(__file__).resolve().parent
RESOURCES = DOCS / "reference" / "resources.md"
EXAMPLES = DOCS / "reference" / "examples"  # TYPE.yml: a file of states with one association
PAGES = tuple(
    DOCS / "reference" / name
    for name in (
        "language.md",
        "inventory.md",
        "cli.md",
        "json.md",
        "collected.md",
        "patches-baselines.md",
        "patches-feeds.md",
    )
)
REGION = re.compile(r"(<!-- generated: (?P<what>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; cells are escaped."""
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# Resource types


def resources_page() -> str:
    types = list(resource_types().values())
    rows = [(f"[`{one.section}`](#{one.section})", f"`{one.name}:`", key(one), one.phase) for one in types]
    common = table(("field", "meaning"), ((f"`{name}`", text) for name, text in COMMON_FIELDS.items()))
    return (
        "# Resource types\n\n"
        "<!-- made by docs/generate.py from the models and docs/reference/examples; not edited by hand -->\n\n"
        "The section says the type, the key says which one. The same text stands in `statectl explain TYPE` and in the JSON\n"
        "Schema for editors. How sections are put together is in [language](language.md).\n\n"
        f"{table(('section', 'address', 'key', 'phase'), rows)}\n"
        f"Phases, in this order: {', '.join(PHASES)}.\n\n"
        "## In every long form\n\n"
        f"{common}\n"
        "A field that is not given is not managed, unless its meaning says otherwise.\n"
        + "".join(resource_section(one) for one in types)
    )


def key(kind: ResourceType) -> str:
    return str(kind.model.model_fields["name"].description)


def resource_section(kind: ResourceType) -> str:
    fields = kind.model.model_fields
    rows = [
        (f"`{name}`", takes(kind, name), default(fields[name]), str(fields[name].description)) for name in kind.fields
    ]
    forms = short_forms(kind)
    notes = [f"Address `{kind.name}:KEY`; the key is: {key(kind)}."]
    if forms:
        notes.append(f"Short form: {forms}.")
    notes.append(f"Phase: {kind.phase}.")
    if kind.restartable:
        notes.append("May be named by `notify`.")
    return (
        f"\n## {kind.section}\n\n{kind.description}\n\n{' '.join(notes)}\n\n```yaml\n{example(kind)}```\n\n"
        f"{table(('field', 'takes', 'default', 'meaning'), rows)}"
    )


def default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def example(kind: ResourceType) -> str:
    """What the association of docs/reference/examples/TYPE.yml declares, with its indentation removed."""
    path = EXAMPLES / f"{kind.name}.yml"
    if not path.is_file():
        raise SystemExit(
            f"docs/reference/examples/{kind.name}.yml is missing: an example of each type, as a file of states"
        )
    _, _, body = path.read_text(encoding="utf-8").partition("    targets: all\n")
    return re.sub(r"^    ", "", body, flags=re.MULTILINE)


# Fields of the language


def fields(thing: str) -> str:
    return table(("key", "meaning"), ((f"`{name}`", text) for name, text in THINGS[thing][1].items()))


# Commands


def command_of(path: str) -> click.Command:
    found: click.Command = root
    for name in path.split():
        assert isinstance(found, click.Group)
        one = found.get_command(click.Context(found), name)
        assert one is not None, f"no command {path}"
        found = one
    return found


def command_paths() -> list[str]:
    """Every command and subcommand."""
    return [path for name in COMMANDS for path in paths_below(name)]


def paths_below(path: str) -> list[str]:
    """The command itself; of a group all that is in it."""
    one = command_of(path)
    if not isinstance(one, click.Group):
        return [path]
    return [below for name in one.list_commands(click.Context(one)) for below in paths_below(f"{path} {name}")]


def options_of(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]


def shared(name: str) -> list[click.Option]:
    decorate: Callable[[Any], Any] = {
        "plan": plan_options,
        "hosts": host_options,
        "output": output_options(("FORMAT",)),
    }[name]

    @click.command()
    @decorate
    def nothing(**_: Any) -> None:
        pass

    return options_of(nothing)


SHARED = {
    "plan": "[options of plan and apply](#options-of-plan-and-apply)",
    "hosts": "[options for hosts](#options-for-hosts)",
    "output": "[output options](#output-options)",
}


def option_rows(options: Iterable[click.Option]) -> str:
    rows = []
    for one in options:
        names = ", ".join(f"`{name}`" for name in one.opts)
        metavar = "" if one.is_flag or one.count else f" `{one.make_metavar(click.Context(click.Command('x')))}`"
        rows.append((names + metavar, (one.help or "") + option_default(one)))
    return table(("option", "meaning"), rows)


def option_default(option: click.Option) -> str:
    if not option.show_default or option.default in (None, "") or option.is_flag:
        return ""
    return f" Default: `{option.default}`."


def options(path: str) -> str:
    own = options_of(command_of(path))
    used: list[str] = []
    for name, link in SHARED.items():
        names = {tuple(one.opts) for one in shared(name)}
        if names <= {tuple(one.opts) for one in own}:
            own = [one for one in own if tuple(one.opts) not in names]
            used.append(link)
    formats = next((one.help for one in options_of(command_of(path)) if one.name == "out"), None)
    text = option_rows(own) if own else ""
    if used:
        text += ("\n" if text else "") + f"{'Also the' if own else 'The'} {joined(used)}."
        text += f" Formats: {str(formats).removeprefix('Output as ').partition(';')[0]}.\n" if formats else "\n"
    return text or "No options.\n"


def joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# Documents


def document(name: str) -> str:
    """The models of one JSON document, the outermost first."""
    models: dict[str, type[BaseModel]] = {}
    documents: dict[str, type[BaseModel]] = {"plan": Plan, "compliance": Compliance, "patch-report": PatchReport}
    _collect(documents[name], models)
    parts = []
    for title, model in models.items():
        rows = [(f"`{field}`", str(info.description)) for field, info in model.model_fields.items()]
        parts.append(f"{title}:\n\n{table(('key', 'meaning'), rows)}")
    return "\n".join(parts)


def _collect(model: type[BaseModel], found: dict[str, type[BaseModel]]) -> None:
    found[model.__name__] = model
    for info in model.model_fields.values():
        for inner in _inside(info.annotation):
            if inner.__name__ not in found:
                _collect(inner, found)


def _inside(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _inside(one)]


# Types of the collected inventory


def collected(_: str) -> str:
    parts = []
    for kind in TYPES.values():
        main = next(name for name, one in names_of(kind) if one.name == kind.main)
        key = (
            f"An entry is named by {joined([f'`{name}`' for name in kind.key])}; `{kind.words[0]}.NAME` is its `{main}`."
            if kind.key
            else "One entry."
        )
        latest = "" if kind.lasting else " Latest only."
        rows = [(f"`{one.name}`", f"`{kind.words[0]}.{name}`", one.kind, one.meaning) for name, one in names_of(kind)]
        head = table(("attribute", "in expressions", "kind", "meaning"), rows)
        parts.append(f"### {kind.name}\n\n{kind.meaning}. {key}{latest}\n\n{head}")
    return "\n" + "\n".join(parts) + "\n"


MAKERS: Mapping[str, Callable[[str], str]] = {
    "fields": fields,
    "options": options,
    "shared": lambda name: option_rows(shared(name)),
    "document": document,
    "collected": collected,
}


def filled(text: str) -> str:
    """A page with its regions made anew."""

    def one(match: re.Match[str]) -> str:
        kind, _, what = match["what"].partition(" ")
        return f"{match[1]}{MAKERS[kind](what)}{match[3]}"

    return REGION.sub(one, text)


def made() -> dict[Path, str]:
    """What every page should be."""
    return {RESOURCES: resources_page(), **{path: filled(path.read_text(encoding="utf-8")) for path in PAGES}}


def main() -> int:
    stale = []
    for path, text in made().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if "--check" not in sys.argv[1:]:
                path.write_text(text, encoding="utf-8")
    for path in stale:
        verb = "out of date" if "--check" in sys.argv[1:] else "written"
        sys.stdout.write(f"{verb}: {path.relative_to(DOCS.parent)}\n")
    if stale and "--check" in sys.argv[1:]:
        sys.stdout.write("run: .venv/bin/python docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
