"""What a person may get wrong in the `collect` block and in targets that ask for collected inventory: each told at its place."""

import pytest

from tests.bad_input.loading import HEAD, lines, load_files

BLOCK = "collect:\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  fils: []\n", "statectl.yml:4:3: error[E101]: unknown key `fils` in `collect`; did you mean `files`?"),
        ("  files: {path: /etc}\n", "statectl.yml:4:10: error[E108]: `files`: expected a list of maps"),
        ("  files:\n    - {path: /etc}\n", "statectl.yml:5:7: error[E109]: an entry of `files` needs `pattern`"),
        ('  files:\n    - {path: etc, pattern: ["*"]}\n', "statectl.yml:5:14: error[E108]: `path`: expected an absolute path"),
        ('  files:\n    - {path: /a/../b, pattern: ["*"]}\n', "statectl.yml:5:14: error[E108]: `path`: expected an absolute path"),
        ('  files:\n    - {path: /a, pattern: ["a/b"]}\n', "statectl.yml:5:28: error[E108]: entry 1: expected the name of a file"),
        ('  files:\n    - {path: /a, pattern: "*"}\n', "statectl.yml:5:27: error[E108]: `pattern`: expected a list of names"),
        ("  files:\n    - {path: /a, pattern: [x], depth: 99}\n", "statectl.yml:5:39: error[E108]: `depth`: expected a whole number from 1 to 20"),
        ("  files:\n    - {path: /a, pattern: [x], hash: yes}\n", "statectl.yml:5:38: error[E108]: `hash`: expected true or false"),
        ("  certificates: /etc/x.pem\n", "statectl.yml:4:17: error[E108]: `certificates`: expected a list of paths"),
        ("  certificates: [x.pem]\n", "statectl.yml:4:18: error[E108]: entry 1: expected an absolute path"),
        ("  custom: {rack: {run: [id]}}\n", "statectl.yml:4:12: error[E108]: `rack`: expected letters and digits after a capital"),
        ("  custom: {Rack: {}}\n", "statectl.yml:4:12: error[E109]: a type of `custom` needs `run`"),
        ("  custom: {Rack: {run: []}}\n", "statectl.yml:4:24: error[E108]: `run`: expected a list of arguments"),
        ("  custom: {Rack: {run: \"a 'b\"}}\n", "statectl.yml:4:24: error[E108]: `run`: cannot be split into arguments"),
        ("  custom: {Rack: {run: [id], timeout: 1h}}\n", "statectl.yml:4:39: error[E108]: `timeout`: expected a duration such as 5s"),
        ("  custom: {Rack: {run: [id], tmeout: 1s}}\n", "statectl.yml:4:30: error[E101]: unknown key `tmeout`"),
        ("  keep_days: 0\n", "statectl.yml:4:14: error[E108]: `keep_days`: expected a whole number from 1 to 3650"),
        ("  custom: [Rack]\n", "statectl.yml:4:11: error[E108]: `custom`: expected a map of types"),
    ],
)  # fmt: skip
def test_a_mistake_in_collect(tmp_path, text, line):
    """One line each, with its place and what is right."""
    project = load_files(tmp_path, {"statectl.yml": HEAD + BLOCK + text})
    found = lines(project)
    assert any(one.startswith(line) for one in found), found


def test_a_right_block_is_taken(tmp_path):
    """Every key, as the order of a refresh has it."""
    text = (
        '  files: [{path: /etc, pattern: ["*.conf"], depth: 2, scan: 10, hash: true}]\n'
        "  certificates: [/etc/nginx/*.pem]\n"
        "  custom: {Rack: {run: [/usr/local/bin/rack, --json], timeout: 2s}, Bios: {run: dmidecode -t bios}}\n"
        "  keep_days: 30\n"
    )
    project = load_files(tmp_path, {"statectl.yml": HEAD + BLOCK + text})
    assert lines(project) == []
    found = project.settings.collect
    assert found.files == ({"path": "/etc", "pattern": ["*.conf"], "depth": 2, "scan": 10, "hash": True},)
    assert found.certificates == ("/etc/nginx/*.pem",)
    assert dict(found.custom) == {
        "Rack": {"argv": ["/usr/local/bin/rack", "--json"], "timeout_s": 2.0},
        "Bios": {"argv": ["dmidecode", "-t", "bios"], "timeout_s": 10.0},
    }
    assert found.keep_days == 30


def test_a_users_own_configuration_does_not_say_what_runs_on_hosts(tmp_path):
    """`collect` names commands: it belongs to the project, which is reviewed."""
    from statectl.sections import load
    from tests.bad_input.loading import write

    own = tmp_path / "config" / "statectl" / "config.yml"
    own.parent.mkdir(parents=True)
    own.write_text("collect: {custom: {Rack: {run: [id]}}}\n")
    project = load(write(tmp_path / "p", {}), env={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert any("E101" in line and "`collect`" in line for line in lines(project)), lines(project)


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ("package.openssl < ", "states/a.yml:3:15: error[E151]: expected a value after <"),
        ("all and certificate.not_after < soon", "states/a.yml:3:47: error[E151]: `soon` is not a time"),
        ("kernel.rebot=true", "states/a.yml:3:15: error[E151]: kernel has no attribute `rebot`"),
        ("env>3", "states/a.yml:3:15: error[E151]: a tag has no order"),
    ],
)
def test_a_mistake_in_targets(tmp_path, targets, line):
    """The caret stands at the part of the expression that is wrong."""
    project = load_files(tmp_path, {"states/a.yml": f'associations:\n  web:\n    targets: "{targets}"\n'})
    found = lines(project)
    assert any(one.startswith(line) for one in found), found
