"""What the documentation says is held to what the program does: codes, options, examples, sessions, links."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

import click
import pytest

from statectl.cli.offline import offline_problems
from statectl.project.types import resource_types
from statectl.sections import load
from tests.test_boundaries import LEVELS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "changelog.d" / "README.md"])
GUIDES = [path for path in PAGES if path.parent.name != "errors"]
CODE = re.compile(r"\b[EW][1-6][0-9]{2}\b")
BLOCK = re.compile(
    r"(?P<mark><!-- test: (?P<how>\w+)(?: (?P<file>\S+))? -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@cache
def generate():
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(path):
    return str(path.relative_to(ROOT))


# Codes


@cache
def used_codes():
    """Codes in texts of the program; comments, such as those for linters, do not count."""
    found = {}
    for path in (ROOT / "statectl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(CODE, node.value):
                found.setdefault(node.value, shown(path))
    return found


def test_every_code_has_a_page():
    """`statectl explain CODE` has something to say about whatever a message shows."""
    pages = {path.stem for path in (DOCS / "errors").glob("*.md")}
    missing = {code: file for code, file in used_codes().items() if code not in pages}
    assert not missing, "write docs/errors/CODE.md: its cause, an example, the fix"


def test_every_page_is_about_a_code_in_use():
    """A page about nothing is a mistake that was mended, or a code that was renamed."""
    pages = {path.stem for path in (DOCS / "errors").glob("*.md")}
    assert not pages - set(used_codes())


@pytest.mark.parametrize("path", sorted((DOCS / "errors").glob("*.md")), ids=lambda path: path.stem)
def test_an_error_page_has_its_form(path):
    """A title with the code, 5 to 30 lines, and only codes that exist."""
    text = path.read_text()
    assert text.startswith(f"# {path.stem}: ")
    assert 5 <= len(text.splitlines()) <= 30
    assert set(CODE.findall(text)) <= set(used_codes())


@pytest.mark.parametrize("path", GUIDES, ids=shown)
def test_guides_name_codes_that_exist(path):
    """A reader who looks a code up finds it."""
    assert set(CODE.findall(path.read_text())) <= set(used_codes())


# Reference


def test_the_generated_reference_is_up_to_date():
    """Fields and options are described once, in the program."""
    stale = [shown(path) for path, text in generate().made().items() if path.read_text() != text]
    assert not stale, "run .venv/bin/python docs/generate.py"


def test_every_command_and_option_is_documented():
    """What --help shows is in docs/reference/cli.md, in the section of its command or in one that this section names."""
    module = generate()
    text = (DOCS / "reference" / "cli.md").read_text()
    regions = {match["what"]: match[0] for match in module.REGION.finditer(text)}
    links = {link: regions[f"shared {name}"] for name, link in module.SHARED.items()}
    for path in module.command_paths():
        section = regions[f"options {path}"]
        section += "".join(shared for link, shared in links.items() if link in section)
        with click.Context(module.command_of(path)) as context:
            help_text = context.get_help()
        for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", help_text)) - {"--help"}:
            assert f"`{option}`" in section, f"{path} {option}"


def test_the_commands_of_the_readme_are_those_there_are():
    """The table names every command and no other."""
    table = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = set()
    for row in rows:
        words = re.findall(r"`([^`]+)`", row)
        group = words[0].split()[0] if " " in words[0] else ""
        named |= {word if " " in word or not group else f"{group} {word}" for word in words}
    assert named == set(generate().command_paths())


def test_the_levels_of_the_architecture_are_those_of_the_rules():
    """The page shows the table that test_boundaries.py holds."""
    text = (DOCS / "architecture.md").read_text().partition("## Who may import whom")[2].partition("\n## ")[0]
    found = {}
    for level, packages in re.findall(r"^\| (-?\d) \| (.*?)(?::.*)? \|$", text, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", packages), int(level))
    assert found == {name: level for name, level in LEVELS.items() if name != "__init__"}


def test_the_rows_of_bad_input_are_those_that_are_tested():
    """The table of docs/reliability.md is what `answered n/N` counts."""
    text = (DOCS / "reliability.md").read_text()
    listed = re.findall(r"^\| (B\d{3}) \|", text, re.MULTILINE)
    tested = {
        row
        for path in (ROOT / "tests" / "bad_input").glob("test_*.py")
        for row in re.findall(r'"(B\d{3}) ', path.read_text())
    }
    assert set(listed) == tested
    assert f"answered {len(listed)}/{len(listed)}" in text


# Examples


def blocks(kinds):
    """(page, line, how it is marked, text) of code blocks."""
    for path in GUIDES:
        text = path.read_text()
        for match in BLOCK.finditer(text):
            if match["kind"] in kinds:
                yield path, text[: match.start("text")].count("\n") + 1, match["how"], match["text"]


STATES = [
    pytest.param({"example": text}, id=f"{shown(path)}:{line}")
    for path, line, how, text in blocks({"yaml"})
    if how not in ("skip", "write") and re.search(r"^(associations|profiles):", text, re.MULTILINE)
]
# the examples of the types refer to each other: they are one project
TYPES = {path.stem: path.read_text() for path in sorted((DOCS / "reference" / "examples").glob("*.yml"))}

INVENTORY = """\
hosts:
  "web[01-03]": {groups: [web], tags: {env: prod}}
  web04: {address: 192.0.2.4, groups: [web], tags: {env: stage}}
  web05: {address: 192.0.2.5, groups: [web], tags: {env: dev}}
  db1: {address: 192.0.2.6, groups: [db]}
  pg1: {address: 192.0.2.9, groups: [pg], tags: {role: primary}}
  "pg[2-3]": {groups: [pg]}
  lb01: {address: 192.0.2.8, groups: [lb]}
  router1: {address: 192.0.2.7, groups: [routers]}
"""


@pytest.mark.parametrize("files", [*STATES, pytest.param(TYPES, id="examples of the types")])
def test_an_example_of_states_is_valid(tmp_path, files):
    """Whoever copies it gets what it shows. Files that it names are made."""
    (tmp_path / "statectl.yml").write_text("project: example\ninventory: hosts.yml\n")
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    (tmp_path / "states").mkdir()
    for stem, text in files.items():
        (tmp_path / "states" / f"{stem}.yml").write_text(text)
        for kind, name in re.findall(r"\b(template|source): ([^\s,}]+)", text):
            path = tmp_path / "states" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "source" and "trees:" in text:
                path.mkdir()
            else:
                path.touch()
    project = load(tmp_path, env={})
    assert project.problems == ()
    assert offline_problems(project, None)[0] == []


@pytest.mark.parametrize("name", sorted(kind.name for kind in resource_types().values()))
def test_every_type_has_an_example(name):
    """The reference shows each type at work."""
    assert (DOCS / "reference" / "examples" / f"{name}.yml").is_file()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=f"{shown(path)}:{line}")
        for path, line, how, text in blocks({"yaml"})
        if how != "skip" and text.startswith("project:")
    ],
)
def test_an_example_of_settings_is_valid(tmp_path, text):
    """statectl.yml as shown is read without a word."""
    (tmp_path / "statectl.yml").write_text(text)
    assert load(tmp_path, env={}).problems == ()


# Sessions

SESSIONS = {}  # page -> [(file, text)]: a file to write where its path is given, else commands
for _path in GUIDES:
    for _match in BLOCK.finditer(_path.read_text()):
        if _match["how"] == "write" or (_match["how"] == "run" and _match["kind"] == "console"):
            SESSIONS.setdefault(_path, []).append((_match["file"], _match["text"]))


@pytest.mark.parametrize("path", SESSIONS, ids=shown)
def test_a_session_runs_as_printed(tmp_path, path):
    """Commands below `<!-- test: run -->` give what stands below them; `...` stands for any lines. One home and shell per page.

    What stands below `<!-- test: write FILE -->` is written there first, as a reader would, for the commands after it.
    """
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    here = tmp_path
    for file, text in SESSIONS[path]:
        if file:
            (Path(here) / file).write_text(text.replace("/home/ana", str(home)))
            continue
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            script = f"cd {here}; {command}\nstatus=$?; pwd >{tmp_path}/pwd; exit $status"
            done = subprocess.run(
                ["bash", "-c", script],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            here = (tmp_path / "pwd").read_text().strip()
            said = plain(done.stdout.replace(str(home), "/home/ana"))
            assert re.fullmatch(pattern(expected), said), f"$ {command}\n{done.stdout}"


def plain(text):
    """What differs from one run to the next, made equal; spaces that align columns, and empty lines, do not count."""
    text = re.sub(r"\b(Plan|plan|Run|apply) [A-Z0-9]{8}\b", r"\1 ID", text)
    text = re.sub(r"\b\d+ (second|minute)s? ago", "a while ago", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a time", text)
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines if line)


def pattern(expected):
    return "".join("(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in plain(expected).splitlines())


# The tree


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_lead_somewhere(path):
    """Relative links name files that exist, and headings that are in them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if urlparse(target).scheme:
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / file).resolve() if file else path
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("path", [path for path in GUIDES if path.parent.name != "decisions"], ids=shown)
def test_files_that_are_named_exist(path):
    """Paths of this repository in backquotes stand in it; decisions tell of what was once."""
    text = path.read_text()
    for name in re.findall(
        r"`((?:statectl|tests|docs|examples|states|inventories|\.ci)/[\w/.-]+\.(?:py|md|yml|sql))`", text
    ):
        if "alternative" not in name and name.partition("/")[0] not in (
            "states",
            "inventories",
        ):  # those may be a reader's own
            assert (ROOT / name).exists(), name


def tracked():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_path_of_one_machine_stands_in_the_tree():
    """What only holds where it was written helps nobody else: no file names the directory of this checkout."""
    here = f"{ROOT}/".encode()
    assert [shown(path) for path in tracked() if path.is_file() and here in path.read_bytes()] == []


def test_the_pages_travel_with_the_package():
    """`statectl explain E101` works where only the wheel was installed: the build is told to take the pages along."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["force-include"]["docs/errors"] == "statectl/docs/errors"
