"""What the edge lets in: names of hosts, groups, users and variables, addresses and ports.

Each check returns the summary of a Problem, or '' when the text is fine. A name that passes is safe as an argument
after `--`, as a file name's part and in a log line; nothing behind the edge checks again.
"""

import ipaddress
import re

HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_USER = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_.@-]|\\(?=[A-Za-z_])){0,126}\$?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_DNS = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
MAX_NAME = 253  # a DNS name; also fits one path component

HOST_WORDS = frozenset(
    {
        "address", "become", "connection", "groups", "host_key", "identity_files", "jump", "port", "python", "tags",
        "undo_after", "user", "vars",
    }
)  # fmt: skip
"""The keys of a host entry. A variable of that name is nearly always a key at the wrong depth."""

NAMESPACES = frozenset({"facts", "host", "hosts", "inputs", "item", "param", "secret"})
"""Names that expressions use for something else; a variable could never be seen behind them."""

_EXPRESSION_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none"})


def host_name_problem(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"host name too long (max {MAX_NAME} characters)"
    if HOST.fullmatch(name) is None:
        return "host name not valid: it may hold letters, digits, . _ - : and must start with a letter or digit"
    if name.count(":") >= 2 and not is_ip_address(name):
        return "host name not valid: it looks like an IPv6 address and is none; a port needs brackets: [ADDRESS]:PORT"
    if ":" in name and not is_ip_address(name):
        return "host name not valid: a port is written with the key `port`"
    if _looks_like_ipv4(name) and not is_ip_address(name):
        return "host name not valid: it looks like an IPv4 address and is none"
    return ""


def group_name_problem(name: str) -> str:
    if len(name) > MAX_NAME or _GROUP.fullmatch(name) is None:
        return "group name not valid: it may hold letters, digits, . _ - and must not start with . or -"
    return ""


def user_name_problem(name: str) -> str:
    if not name:
        return "user name not valid: it is empty"
    if _USER.fullmatch(name) is None:
        return "user name not valid: it may hold letters, digits, . _ - @ and must start with a letter or _"
    return ""


def variable_name_problem(name: str) -> str:
    if _VARIABLE.fullmatch(name) is None:
        fix = f"; write {name.replace('-', '_')}" if _VARIABLE.fullmatch(name.replace("-", "_")) else ""
        return f"variable name not valid: letters, digits and _, not starting with a digit{fix}"
    if name in HOST_WORDS:
        return f'"{name}" is reserved: it is a key of a host, not a variable; choose another name'
    if name in NAMESPACES:
        return f'"{name}" is reserved: expressions use it for something else; choose another name'
    if name.lower() in _EXPRESSION_WORDS:
        return f'"{name}" is reserved: it is a word of expressions; choose another name'
    return ""


def tag_name_problem(name: str) -> str:
    if len(name) > MAX_NAME or _TAG.fullmatch(name) is None:
        return "tag name not valid: it may hold letters, digits, . _ - and must start with a letter or _"
    if name.startswith("facts."):
        return "tag name not valid: facts. is where a machine's own facts are"
    return ""


def unbracketed(address: str) -> str:
    """[2001:db8::1] is 2001:db8::1; everything else as it is."""
    inside = address[1:-1]
    return inside if address[:1] == "[" and address[-1:] == "]" and ":" in inside else address


def address_problem(address: str) -> str:
    """An address is an IP address or a name for the resolver, never with a port and never a network. IPv6 may stand in brackets."""
    address = unbracketed(address)
    bare = address.split("%", 1)[0]  # fe80::1%eth0
    if is_ip_address(bare):
        return "" if re.fullmatch(r"(?:%[A-Za-z0-9._-]{1,32})?", address[len(bare) :]) else "address not valid"
    if "/" in address:
        return "address not valid: a network is not a host; give one address"
    if address.startswith("["):
        return "address not valid: only an IPv6 address stands in brackets; give the port with the key `port`"
    if address.count(":") == 1:
        return "address not valid: give the port with the key `port`"
    if ":" in address:
        return "address not valid: it looks like IPv6 and is none; give a port with the key `port`"
    if _looks_like_ipv4(address):
        return "address not valid: it looks like IPv4 and is none"
    if len(address) > MAX_NAME or _DNS.fullmatch(address) is None:
        return "address not valid: give an IP address or a host name"
    return ""


def port_problem(port: int) -> str:
    return "" if 1 <= port <= 65535 else "port not valid: 1 to 65535"


def is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _looks_like_ipv4(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(?:\.[0-9]+){3}", text) is not None
