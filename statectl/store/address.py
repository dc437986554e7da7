"""The address of a store: `sqlite:PATH` or `postgresql://…`; is it one, and how it may be shown. No database here.

A password may stand in it, so what is shown, in an error or a listing, goes through `shown`: it rather hides too much.
"""

import re
from urllib.parse import unquote

HIDDEN = "***"
EXPECTED = "expected sqlite:PATH or postgresql://USER@HOST:PORT/DATABASE"
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")
# Options whose values are shown; a password may stand behind any other, one of its own or a misspelt one
_HARMLESS = frozenset(
    [
        "host",
        "hostaddr",
        "port",
        "user",
        "dbname",
        "service",
        "options",
        "application_name",
        "fallback_application_name",
        "connect_timeout",
        "passfile",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslcrl",
        "sslcrldir",
        "sslnegotiation",
        "channel_binding",
        "require_auth",
        "krbsrvname",
        "gssencmode",
        "target_session_attrs",
        "load_balance_hosts",
        "client_encoding",
    ]
)


def is_postgresql(url: str) -> bool:
    return _POSTGRESQL.match(url) is not None


def address_problem(url: str) -> str:
    """What is wrong with it, without a word of it; '' when nothing is."""
    if is_postgresql(url):
        return "" if all(port.isdigit() or not port for port in _ports(url)) else "expected a number as the port"
    return "" if re.match(r"sqlite:.", url) else EXPECTED


def shown(url: str) -> str:
    """The address without passwords."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        kind, colon, _ = url.partition(":")
        return url if kind == "sqlite" else f"{kind}:{HIDDEN}" if colon else HIDDEN
    before, at, after = rest.rpartition("@")  # the last one: whoever forgot to write %40 is not punished
    if at:
        user, colon, _ = before.partition(":")
        rest = f"{user}:{HIDDEN}@{after}" if colon else rest
    place, question, query = rest.partition("?")
    if any(not port.isdigit() for port in _ports(f"{scheme}://{place}") if port):
        place = re.sub(r":[^@/,:\]]*(?=[/,]|$)", f":{HIDDEN}", place)
    return f"{scheme}://{place}{question}{'&'.join(_option(one) for one in query.split('&'))}"


def _option(text: str) -> str:
    name, equals, _ = text.partition("=")
    return text if not equals or unquote(name) in _HARMLESS else f"{name}={HIDDEN}"


def _ports(url: str) -> list[str]:
    """What stands after the colon of each host."""
    place = re.split(r"[/?]", url.partition("://")[2].rpartition("@")[2], maxsplit=1)[0]
    return [host.rpartition("]")[2].partition(":")[2] for host in place.split(",")]
