"""Facts: what a host says about itself before anything is decided about it. One module per topic.

A topic's module is named as its namespace and defines

    gather(host, known) -> JSON value     host: host.Host; known: the facts of the topics before it

It reads files; it starts no command and asks no network. What may hang on a dead server (mounts) does it in a child that can
be killed. Facts are data: bounded in size, never rendered, never evaluated.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Sequence

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Facts

# In this order: a later topic may use an earlier one.
TOPICS = (
    "os",
    "kernel",
    "host",
    "cpu",
    "memory",
    "network",
    "python",
    "package_manager",
    "service_manager",
    "virtualization",
    "mounts",
    "time",
)
MAX_TEXT = 256  # characters of one text
MAX_ENTRIES = 256  # of one list or map


def gather(host: "Host", topics: "Sequence[str]" = TOPICS) -> "Facts":
    """-> {topic: value, "missing": {topic: reason}}. A topic that cannot be read costs nobody the others."""
    facts: "Facts" = {"missing": {}}
    for topic in topics:
        module = importlib.import_module("statectl.onhost.facts." + topic)
        try:
            facts[topic] = bounded(module.gather(host, facts))
        except Exception as error:  # noqa: BLE001  whatever is odd on this host, its other facts are still true
            facts["missing"][topic] = ("%s: %s" % (type(error).__name__, error))[:MAX_TEXT]
    return facts


def bounded(value: "JSON") -> "JSON":
    """The same value, with long texts and collections cut and bytes that are no text spelled out."""
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, (list, tuple)):
        return [bounded(item) for item in value[:MAX_ENTRIES]]
    if isinstance(value, dict):
        return {bounded(key): bounded(value[key]) for key in sorted(value)[:MAX_ENTRIES]}
    return value


def text_of(host: "Host", path: str, limit: int = 65536) -> str:
    """The text of a small file, stripped; '' when it is not there."""
    data = host.read_file(path, limit)
    return "" if data is None else data.decode("utf-8", "surrogateescape").strip()
