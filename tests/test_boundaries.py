"""The rules of the layout, read from the source itself."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "statectl"

# Import downwards only, sideways never. What a part needs from above or beside is passed in.
LEVELS = {
    "problems": -1,
    "errors": 0,
    "addresses": 0,
    "secrets": 0,
    "onhost": 0,
    "__init__": 0,
    "baselines": 1,
    "targets": 1,
    "resources": 1,
    "schedules": 1,
    "store": 1,
    "collected": 2,
    "project": 2,
    "parameters": 2,
    "patches": 2,
    "transport": 2,
    "catalogue": 3,
    "plans": 4,
    "rollout": 4,
    "compliance": 5,
    "reconcile": 6,
    "server": 6,
    "sections": 6,
    "cli": 7,
    "__main__": 8,
}
# `project.scalars` holds no idea of the project: what a scalar is, for models and loader alike
SHARED = {"statectl.project.scalars"}
# Only these may turn a secret into text: the sink of the channel, the login, the prompt of sudo; on its way into the parameter store
# the check of a value and the cipher, on its way out of it the terminal of whoever asked with --decrypt
MAY_REVEAL = {
    "reconcile/host_run.py",
    "transport/ssh.py",
    "transport/session.py",
    "transport/sudo.py",
    "parameters/values.py",
    "parameters/crypto.py",
    "cli/formats/parameter_documents.py",
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def imported(path):
    """Every statectl module a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "statectl")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "statectl":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                file = PACKAGE.parent / (full.replace(".", "/") + ".py")
                yield full if file.is_file() else node.module


def part(module):
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def test_every_part_has_a_level():
    """A new package must be given its place before it can be imported."""
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert parts <= set(LEVELS), parts - set(LEVELS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    """A part imports only what stands below it, never what stands beside or above."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported(path):
        other = part(module)
        if other == own or other == "__init__" or module in SHARED:
            continue
        assert LEVELS[other] < LEVELS[own], f"{path.relative_to(PACKAGE)} imports {module}"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "onhost").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_the_travelling_part_imports_only_itself_and_the_standard_library(path):
    """What is not in the standard library is not on the host."""
    import sys

    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only: the importer on the host knows no others"
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            if top == "statectl":
                assert name == "statectl" or name.startswith("statectl.onhost"), name
            else:
                assert top in sys.stdlib_module_names or top in ("__builtin__",), name


def test_no_resource_goes_round_the_host_object():
    """Resource types have one way to the machine: no processes, no files opened for writing, no printing of their own."""
    for path in sorted((PACKAGE / "onhost" / "resources").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"subprocess", "shutil"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "eval", "exec"), path
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            ):
                called = f"{node.func.value.id}.{node.func.attr}"
                assert called not in (
                    "os.system",
                    "os.popen",
                    "os.rename",
                    "os.unlink",
                    "os.remove",
                    "os.chmod",
                    "os.chown",
                ), path


def test_only_the_entry_points_leave_the_process():
    """Nothing but `cli/`, `__main__` and the bootstrap on the host ends the process."""
    for path in modules():
        relative = path.relative_to(PACKAGE)
        if relative.parts[0] in ("cli", "__main__.py") or relative.name in ("__main__.py", "stub.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            ):
                assert f"{node.func.value.id}.{node.func.attr}" != "sys.exit", relative


def test_secrets_are_revealed_at_the_sinks_only():
    """`reveal()` has a closed list of callers."""
    callers = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reveal"
    }
    assert callers <= MAY_REVEAL, callers - MAY_REVEAL


def test_no_shell_strings():
    """Processes start from argument lists: `shell=True` and os.system stand nowhere."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    assert not (keyword.arg == "shell" and getattr(keyword.value, "value", None) is True), path
