"""What is fuzzed: each target takes bytes and may raise its own kind of error, nothing else.

FZ1 decoder     the stream of a host, frame by frame and message by message
FZ2 loader      YAML with limits
FZ3 states      a file of states to a checked model
FZ4 template    an expression in the rendering child
FZ5 schedule    cron, rate and at, and when they fire
FZ6 inventory   an inventory of the project's format, and target expressions
"""

import atexit
import contextlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from statectl.onhost import protocol
from statectl.transport import messages

MOMENT = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # where this zone lives an hour a second time
MAX_INPUT = 64 * 1024  # bytes; larger ones only take longer


def attempt(target: str, data: bytes) -> None:
    """Run one input. Errors that users see are what they should see; all others pass out of here."""
    from statectl.errors import StatectlError

    with contextlib.suppress(StatectlError):
        TARGETS[target](data[:MAX_INPUT])


def decoder(data: bytes) -> None:
    frames = protocol.Decoder()
    with contextlib.suppress(protocol.ProtocolError):
        for kind, payload in frames.feed(data):
            if kind == protocol.JSON_FRAME:
                messages.parse(payload)
    with contextlib.suppress(protocol.ProtocolError):
        messages.parse(data)  # and as one payload, so that the frame need not be guessed


def loader(data: bytes) -> None:
    from statectl.project.yaml_tree import read_yaml

    read_yaml(data.decode("utf-8", "surrogateescape"), "fuzz.yml")


@cache
def _project() -> Path:
    directory = tempfile.TemporaryDirectory(prefix="statectl-fuzz-")
    atexit.register(directory.cleanup)
    root = Path(directory.name)
    (root / "states").mkdir()
    (root / "statectl.yml").write_text("project: fuzz\ninventory: inventory\n")
    (root / "inventory").mkdir()
    (root / "inventory" / "hosts.yml").write_text("hosts: {web01: {}}\n")
    return root


def states(data: bytes) -> None:
    from statectl.cli.opening import open_project

    root = _project()
    (root / "states" / "fuzz.yml").write_bytes(data)
    open_project({"directory": str(root)})


@cache
def _renderer():
    from statectl.catalogue.render import Renderer

    renderer = Renderer(_project(), job_s=1.0)
    atexit.register(renderer.close)
    return renderer


def template(data: bytes) -> None:
    from statectl.catalogue.rendered import Job
    from statectl.project.scalars import Expression

    renderer = _renderer()
    register = renderer.register
    scope = register.scope(register.host({"name": "web1", "groups": ["web"]}, {"os": {"id": "debian"}}), {"n": 3}, {})
    source = register.source("value", Expression(data.decode("utf-8", "replace"), bare=False))
    renderer.run([Job(scope, (source,), None, "")])


def schedule(data: bytes) -> None:
    from statectl.schedules import ScheduleError, Timing, fires_before, next_fire, parse_schedule

    with contextlib.suppress(ScheduleError):
        timing = Timing(parse_schedule(data.decode("utf-8", "replace")), ZoneInfo("Europe/Oslo"))
        coming = next_fire(timing, MOMENT)
        if coming is not None and coming <= MOMENT:
            raise AssertionError("the next fire is over")
        before = list(islice(fires_before(timing, MOMENT), 3))
        if before != sorted(set(before), reverse=True) or (before and before[0] > MOMENT):
            raise AssertionError("fires before a moment are in no order")


def inventory(data: bytes) -> None:
    from statectl.cli.offline import yaml_tools
    from statectl.targets.inventory import load_inventory
    from statectl.targets.selector import parse_selector

    root = _project()
    (root / "inventory" / "hosts.yml").write_bytes(data)
    load_inventory(root / "inventory", root=root, yaml=yaml_tools(), allow_executables=False)
    parse_selector(data.decode("utf-8", "replace"))


SEEDS: dict[str, list[bytes]] = {
    "decoder": [
        b'{"type":"ready","facts":{"a":[1,1.5,null,true]},"probes":{"p":{"ok":true,"value":1}},"memory":{"debts":[]}}',
        b'{"type":"verdict","address":"file:/x","verdict":"change","action":"add","changes":[{"field":"content","diff":["+x"]}]}',
        b'J\0\0\0\x17{"type":"need","blobs":[]}',
        b'{"type":"end","outcome":"planned","digest":"' + b"0" * 64 + b'","counts":{"ok":1}}',
    ],
    "loader": [
        b"a: [1, 2, {b: c}]\n",
        b"a: &x {b: 1}\nc: *x\n",
        b"? [a]\n: |\n  text\n",
        b"a: 0644\nb: 1e9\nc: !!int x\n",
    ],
    "states": [
        b"associations: {a: {targets: all, files: {/etc/x: {content: x, mode: 0644}}, packages: [nginx]}}\n",
        b"associations:\n  a:\n    targets: group:web and os=debian\n    given: '{{ facts.os.id }}'\n    services: {nginx: {state: running}}\n",
        b"profiles: {p: {inputs: {n: {type: integer}}, files: {/x: {content: '{{ inputs.n }}'}}}}\n",
    ],
    "template": [
        b"{{ n * 2 }}",
        b"{% for i in range(n) %}{{ i }}{% endfor %}",
        b"{{ facts.os.id | upper }}",
        b"{{ host.name ~ 'x' }}",
    ],
    "schedule": [b"rate(5 minutes)", b"cron(0 3 ? * MON-FRI *)", b"*/5 * * * *", b"at(2026-01-01T00:00:00)"],
    "inventory": [
        b"hosts: {'web[01-03]': {address: 192.0.2.1, port: 22, tags: {env: prod}, vars: {a: 1}}}\ngroups: {web: {hosts: [web01]}}\n",
        b"group:web and not tag:env=prod, web[01-20]",
    ],
}
TARGETS: dict[str, Callable[[bytes], None]] = {
    "decoder": decoder,
    "loader": loader,
    "states": states,
    "template": template,
    "schedule": schedule,
    "inventory": inventory,
}
