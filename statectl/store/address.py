"""The address of a store: `sqlite:PATH` or `postgresql://…`; is it one, and how it may be shown. No database here.

A password may stand in it, so what is shown, in an error or a listing, goes through `shown`: it rather hides too much.
"""

import re
from urllib.parse import unquote

HIDDEN = "***"
EXPECTED = "expected sqlite:PATH or postgresql://USER@HOST:PORT/DATABASE"
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")
_SECRET = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})


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
        return url if url.startswith("sqlite:") else f"{url.partition(':')[0]}:{HIDDEN}"
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
    return f"{name}{equals}{HIDDEN}" if unquote(name).lower() in _SECRET else text


def _ports(url: str) -> list[str]:
    """What stands after the colon of each host."""
    place = re.split(r"[/?]", url.partition("://")[2].rpartition("@")[2], maxsplit=1)[0]
    return [host.rpartition("]")[2].partition(":")[2] for host in place.split(",")]
