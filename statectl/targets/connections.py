"""How a host is reached, as Ansible's `ansible_*` variables say it.

Passwords are refused: they come by prompt or file descriptor. Options for the `ssh` program mean nothing to a client
that is not that program: jump hosts are taken from them, the rest is named in a warning.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from statectl.problems import Problem
from statectl.targets.hosts import Connection, Variable
from statectl.targets.names import address_problem, host_name_problem, port_problem, unbracketed, user_name_problem
from statectl.targets.values import SecretSource, Vaulted

_PASSWORDS = (
    "ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_become_pass", "ansible_become_password",
    "ansible_sudo_pass", "ansible_ssh_private_key_passphrase",
)  # fmt: skip
_SSH_OPTIONS = (
    "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args", "ansible_ssh_executable",
)  # fmt: skip
_AUTOMATIC = ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent", "python3", "/usr/bin/env python3")
_CONTROLLER_PYTHON = "ansible_playbook_python"
_NAME_EXPRESSION = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
MAX_REFERENCES = 20


class _Said:
    """Reads the connection variables of one host, by the first of several names that is there."""

    def __init__(self, host: str, variables: Mapping[str, Variable], problems: list[Problem]) -> None:
        self.host = host
        self.variables = variables
        self.problems = problems

    def problem(self, code: str, summary: str, variable: Variable, **more: Any) -> None:
        self.problems.append(Problem(code, summary, variable.span, **more))

    def find(self, *names: str) -> tuple[Variable, Any] | None:
        """The variable and its value, expressions that only name other variables filled in; None when not said."""
        for name in names:
            variable = self.variables.get(name)
            if variable is None or variable.value is None or variable.value == "":
                continue
            value = self._filled(name, variable)
            return None if value is None else (variable, value)
        return None

    def _filled(self, name: str, variable: Variable) -> Any:
        value = variable.value
        for _ in range(MAX_REFERENCES):
            source = getattr(value, "source", None)
            if source is None:
                break
            if name == "ansible_python_interpreter" and _CONTROLLER_PYTHON in source:
                return None  # "the Python that runs Ansible": a local connection uses this one anyway
            filled = _NAME_EXPRESSION.sub(self._reference, source)
            if "{" in filled:
                self.problem(
                    "E162",
                    f"`{name}` holds an expression that is more than the name of a variable",
                    variable,
                    hint="how a host is reached must be known before anything is rendered; write the value",
                )
                return None
            value = filled
        if isinstance(value, SecretSource | Vaulted | dict | list) or hasattr(value, "source"):
            self.problem("E162", f"`{name}` must be plain text", variable)
            return None
        return value

    def _reference(self, match: re.Match[str]) -> str:
        if match[1] == "inventory_hostname":
            return self.host
        if match[1] == "inventory_hostname_short":
            return self.host.split(".")[0]
        variable = self.variables.get(match[1])
        value = getattr(variable, "value", None)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        return str(getattr(value, "source", "{"))

    def text(self, check: Any, code: str, *names: str) -> str | None:
        found = self.find(*names)
        if found is None:
            return None
        wrong = check(str(found[1]))
        if wrong:
            self.problem(code, wrong, found[0])
            return None
        return str(found[1])

    def flag(self, name: str) -> bool | None:
        found = self.find(name)
        if found is None:
            return None
        text = str(found[1]).lower()
        if text in ("true", "yes", "on", "1", "y", "t"):
            return True
        if text in ("false", "no", "off", "0", "n", "f"):
            return False
        self.problem("E108", f"`{name}` must be true or false", found[0])
        return None


def from_variables(host: str, variables: Mapping[str, Variable], problems: list[Problem]) -> Connection:
    """What `ansible_*` variables say of the connection; problems are added to the list."""
    if not any(name.startswith("ansible_") for name in variables):
        return _NOTHING
    said = _Said(host, variables, problems)
    for name in _PASSWORDS:
        if name in variables:
            said.problem(
                "E163",
                f"`{name}` is not read: no password stands in an inventory",
                variables[name],
                hint="remove it; statectl asks for passwords, or takes them from a file descriptor, where keys do not do",
            )
    connection = _kind(said)
    address = said.text(address_problem, "E156", "ansible_host", "ansible_ssh_host")
    become = said.flag("ansible_become")
    become_user = said.text(user_name_problem, "E157", "ansible_become_user")
    method = said.find("ansible_become_method")
    if method is not None and method[1] != "sudo" and become:
        said.problem("E162", "become works through sudo only", method[0])
    key = said.find("ansible_ssh_private_key_file", "ansible_private_key_file")
    return Connection(
        connection=connection,
        address=unbracketed(address) if address is not None else None,
        port=_port(said),
        user=said.text(user_name_problem, "E157", "ansible_user", "ansible_ssh_user"),
        become=(become_user or True) if become else become,
        jump=_jump(said),
        python=_python(said),
        identity_files=(str(key[1]),) if key is not None else None,
    )


_NOTHING = Connection()


def _kind(said: _Said) -> str | None:
    found = said.find("ansible_connection")
    if found is None:
        return None
    kind = str(found[1]).rsplit(".", 1)[-1]  # ansible.builtin.ssh
    if kind in ("ssh", "smart", "paramiko", "paramiko_ssh", "libssh"):
        return "ssh"
    if kind == "local":
        return "local"
    said.problem(
        "E162", "kind of connection not supported", found[0], label="ssh or local",
        hint="a machine that answers SSH is reached over SSH, whatever runs it",
    )  # fmt: skip
    return None


def _port(said: _Said) -> int | None:
    found = said.find("ansible_port", "ansible_ssh_port")
    if found is None:
        return None
    text = str(found[1])
    wrong = port_problem(int(text)) if re.fullmatch(r"[0-9]{1,9}", text) else "port not valid: 1 to 65535"
    if wrong:
        said.problem("E156", wrong, found[0])
        return None
    return int(text)


def _python(said: _Said) -> str | None:
    found = said.find("ansible_python_interpreter")
    if found is None or found[1] in _AUTOMATIC:
        return None
    wrong = python_problem(str(found[1]))
    if wrong:
        said.problem("E108", wrong, found[0])
        return None
    return str(found[1])


def python_problem(path: str) -> str:
    return "" if re.fullmatch(r"/[A-Za-z0-9._+/-]+", path) else "expected the absolute path of a Python interpreter"


_JUMP = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<six>[^\]\s]+)\]|(?P<name>[^\[\]:\s]+|[^\[\]\s]*:[^\[\]\s]*:[^\[\]\s]*))(?::(?P<port>[0-9]{1,9}))?"
)


def jump_problem(text: str) -> str:
    """A jump host is `[user@]host[:port]`; the host may be one of the inventory."""
    match = _JUMP.fullmatch(text)
    if match is None:
        return "jump host not valid: write [user@]host[:port]"
    name = match["six"] or match["name"]
    wrong = address_problem(name) and host_name_problem(name)
    if wrong:
        return "jump host not valid: write [user@]host[:port]"
    if match["user"] is not None and user_name_problem(match["user"]):
        return user_name_problem(match["user"])
    return port_problem(int(match["port"])) if match["port"] else ""


def _jump(said: _Said) -> tuple[str, ...] | None:
    jump: tuple[str, ...] | None = None
    for name in _SSH_OPTIONS:
        found = said.find(name)
        if found is None:
            continue
        jumps, rest = _from_options(str(found[1]))
        for host in jumps:
            wrong = jump_problem(host)
            if wrong:
                said.problem("E156", wrong, found[0])
                return None
        jump = jumps or jump
        if rest:
            said.problem(
                "W155",
                f"`{name}` is not used, but for jump hosts",
                found[0],
                hint="connections are not made by the ssh program; put what is needed into ~/.ssh/config",
            )
    return jump


def _from_options(text: str) -> tuple[tuple[str, ...], bool]:
    """Jump hosts in options of ssh, and whether there was anything else."""
    try:
        words = shlex.split(text)
    except ValueError:
        return (), True
    jumps: tuple[str, ...] = ()
    rest = False
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word in ("-J", "-o") and position < len(words):
            option = words[position]
            position += 1
        elif word.startswith(("-J", "-o")) and len(word) > 2:
            word, option = word[:2], word[2:]
        else:
            rest = True
            continue
        if word == "-o":
            name, _, option = re.sub(r"\s*=\s*|\s+", "=", option, count=1).partition("=")
            if name.lower() == "proxycommand":
                option = _proxy_command(option)
            elif name.lower() != "proxyjump":
                option = ""
        if option:
            jumps = tuple(option.split(","))
        else:
            rest = True
    return jumps, rest


def _proxy_command(command: str) -> str:
    """The jump host in `ssh -W %h:%p [-q] [-p PORT] [-l USER] HOST`, or ''."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    if not words or words[0].rsplit("/", 1)[-1] != "ssh" or "%h:%p" not in words:
        return ""
    host = user = port = ""
    rest = iter(words[1:])
    for word in rest:
        if word in ("-W", "-p", "-l"):
            value = next(rest, "")
            port, user = (value, user) if word == "-p" else (port, value) if word == "-l" else (port, user)
        elif word.startswith("-"):
            if word != "-q":
                return ""
        elif host:
            return ""
        else:
            host = word
    user = f"{user}@" if user and "@" not in host else ""
    return f"{user}{host}:{port}" if host and port else f"{user}{host}" if host else ""
