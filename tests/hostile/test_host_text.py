"""Host text on its way to a terminal, a CI log, a template, a condition, a name: it is shown or compared, and does nothing."""

import hashlib
from typing import Any

import pytest

from tests.cli.on_terminal import in_a_terminal
from tests.hostile.fleets import run, write_fleet
from tests.hostile.payloads import EVERYTHING, HARMFUL, TEMPLATES
from tests.hostile.servers import READY, Channel, Servers

ADDRESS = "file:/nonexistent/x"
TEXT = EVERYTHING
FACTS = {"os": {"name": TEXT, "version": TEXT, "id": TEXT}, "python": {"version": TEXT, "executable": TEXT}, TEXT: TEXT}
CHANGES = [
    {"field": TEXT[:900], "found": TEXT, "wanted": {TEXT: [TEXT]}},
    {"field": "content", "diff": ["@@ -1 +1 @@", "-" + TEXT, "+" + TEXT]},
]
EARLIER = {
    "run": "EARLIER1",
    "outcome": TEXT[:900],
    "reason": TEXT,
    "controller": TEXT[:900],
    "commit": TEXT[:900],
    "plan_id": TEXT[:900],
    "results": [
        {"type": "result", "address": "file:" + TEXT, "outcome": "failed", "reason": TEXT, "error": {"message": TEXT}}
    ],
    "notified": [],
}
VERDICT = {
    "type": "verdict", "address": ADDRESS, "verdict": "change", "action": "change", "changes": CHANGES, "reason": TEXT,
    "notify": [TEXT], "association": "a", "found_hash": TEXT,
}  # fmt: skip
ORPHAN = {
    "type": "verdict",
    "address": "file:" + TEXT,
    "verdict": "orphan",
    "action": "orphan",
    "reason": TEXT,
    "association": "a",
}
ERROR = {"message": TEXT, "cause": TEXT, "output": TEXT + "\n" + TEXT}


async def converse(channel: Channel) -> None:
    """An executor that puts payloads everywhere."""
    order = await channel.start()
    ready = {**READY, "facts": FACTS, "executor": TEXT[:900], "python": TEXT[:900]}
    memory: dict[str, Any] = {"lock": {"run": TEXT, "controller": TEXT}, "host_id": TEXT[:900]}
    memory["debts"] = [{"address": "service:" + TEXT, "verb": TEXT[:900]}]
    if EARLIER["run"] not in channel.heard.decode(errors="replace"):
        memory["undelivered"] = [EARLIER]
    await channel.say({"type": "log", "level": "warning", "text": TEXT}, {**ready, "memory": memory})
    if order["kind"] == "run":
        import base64

        data = base64.b64encode(TEXT.encode("utf-8", "surrogatepass") + b"\n\xff\x9b31m").decode()
        await channel.say(
            {"type": "output", "stream": "out", "data": data}, {"type": "output", "stream": "err", "data": data}
        )
        await channel.end("done", counts={"code": 0}, reason=TEXT)
        return
    if order["kind"] in ("facts", "ping"):
        await channel.end("done", reason=TEXT)
        return
    if order["kind"] != "drift":
        await channel.message("catalogue")
    await channel.say(VERDICT, ORPHAN)
    if order["kind"] != "apply":
        await channel.end()
        return
    await channel.say({"type": "planned", "counts": {"change": 1}})
    await channel.message("go")
    await channel.say(
        {"type": "waiting", "reason": TEXT},
        {
            "type": "result",
            "address": ADDRESS,
            "outcome": "failed",
            "action": "change",
            "reason": TEXT,
            "error": ERROR,
            "changes": CHANGES,
        },
        {
            "type": "notified",
            "address": "service:" + TEXT,
            "verb": TEXT[:900],
            "outcome": "failed",
            "error": ERROR,
            "because": [TEXT],
        },
    )
    await channel.end("failed", reason=TEXT, code=TEXT[:900])


def shown_on_a_terminal(project, *argv: str) -> tuple[int, str]:
    """Exit code and text, without our own live line and the terminal's line ends."""
    code, seen = in_a_terminal(project, *argv)
    return code, seen.decode().replace("\r\n", "\n").replace("\r\x1b[K", "")


COMMANDS = [
    ("plan", "--full"), ("plan", "--by-host", "-vvv"), ("plan", "--json"), ("plan", "-o", "md"), ("plan", "-o", "junit"),
    ("apply", "--yes", "-vvv"), ("apply", "--yes", "-o", "jsonl"), ("drift", "--full"), ("drift", "--json"),
    ("run", "-t", "evil1", "--", "id"), ("run", "--", "id"), ("run", "--stream", "--", "id"), ("run", "--json", "--", "id"),
    ("runs", "list"), ("runs", "show", "EARLIER1"), ("runs", "show", "EARLIER1", "--json"), ("inventory", "show", "evil1"),
    ("inventory", "list"), ("compliance",), ("compliance", "--json"), ("doctor", "evil1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def evil_project(servers: Servers, tmp_path_factory):
    from tests.cli.local_project import LocalProject

    project = LocalProject(tmp_path_factory.mktemp("text"))
    write_fleet(project, servers, {f"evil{number}": servers.executor(converse) for number in (1, 2)})
    run(project, "plan")  # so that the store has something to show
    return project


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_terminal(evil_project, argv: tuple[str, ...]) -> None:
    """T06: thirty payloads in every field that a host fills reach a terminal without anything that steers it."""
    code, seen = shown_on_a_terminal(evil_project, *argv)
    assert "Traceback" not in seen, seen[-3000:]
    assert code in (0, 1, 2, 3, 5), seen
    found = HARMFUL.search(seen.replace("`\u200b`", "")) if "md" in argv else HARMFUL.search(seen)
    assert found is None, f"U+{ord(found[0]):04X} in {seen[max(0, found.start() - 200) : found.end() + 40]!r}"


CI_COMMANDS = [argv for argv in COMMANDS if argv[:2] != ("run", "-t")]  # one host in a pipe is bare output, on purpose


@pytest.mark.parametrize("argv", CI_COMMANDS, ids=" ".join)
def test_ci_log(evil_project, argv: tuple[str, ...]) -> None:
    """T07: in a pipe no line of ours starts with what a CI runner takes for a command, nor with any other word of a host."""
    ran = run(evil_project, *argv, env={"CI": "true", "GITHUB_ACTIONS": "true"})
    for line in (ran.out + "\n" + ran.err).split("\n"):
        assert not line.lstrip().startswith(("::", "##vso", "##[", "section_start", "Plan AAAAAAAA")), repr(line[:300])
        assert "\r" not in line


@pytest.mark.parametrize("payload", TEMPLATES)
def test_fact_in_a_template(servers: Servers, project, payload: str) -> None:
    """T01: a fact that looks like a template is rendered into a file as the text that it is."""
    text = TEMPLATES[payload]
    catalogues: list[dict[str, Any]] = []

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say({**READY, "facts": {"evil": text}})
        catalogues.append(await channel.message("catalogue"))
        await channel.end("planned")

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    project.states(
        "associations: {a: {targets: all, vars: {again: '{{ facts.evil }}'}, files:"
        " {/nonexistent/x: {content: '<{{ facts.evil }}><{{ again }}>'}}}}\n"
    )
    ran = run(project, "plan", "--json")
    assert catalogues, ran
    assert _content(catalogues[0]) == _named(f"<{text}><{text}>")


def _content(catalogue: dict[str, Any]) -> str:
    """The name of the first file's content: the hash of its bytes."""
    return str(catalogue["resources"][0]["want"]["content"]["$blob"])


def _named(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("fact", ["1 or true", "x' or '1", "true", "{{ true }}", "not false", "yes\nor true"])
def test_fact_in_a_condition(servers: Servers, project, fact: str) -> None:
    """T02: a fact that looks like a condition is a text that is compared, and `when` stays false."""
    catalogues: list[dict[str, Any]] = []

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say({**READY, "facts": {"evil": fact}})
        catalogues.append(await channel.message("catalogue"))
        await channel.end("planned")

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    project.states(
        "associations: {a: {targets: all, files: {/nonexistent/x: {content: x, when: 'facts.evil == \"expected\"'},"
        " /nonexistent/y: {content: y}}}}\n"
    )
    ran = run(project, "plan", "--json")
    assert catalogues, ran
    assert [entry["address"] for entry in catalogues[0]["resources"]] == ["file:/nonexistent/y"]


RESERVED = (
    "host", "hosts", "user", "port", "address", "become", "become_user", "become_password", "password", "python", "connection", "jump",
    "identity_files", "host_key", "known_hosts", "state_dir", "name", "groups", "tags", "vars", "facts", "item", "inputs", "secret",
    "param", "template", "ansible_host", "ansible_user", "ansible_port", "ansible_connection", "ansible_become",
    "ansible_python_interpreter", "ansible_password", "ansible_ssh_common_args", "inventory_hostname", "limits", "targets",
    "__class__", "self", "proxy_command",
)  # fmt: skip


def test_facts_with_reserved_names(servers: Servers, project) -> None:
    """T03: forty facts named as what says how a host is reached change nothing: the next contact is the inventory's, and names keep their values."""
    catalogues: list[dict[str, Any]] = []
    elsewhere: list[str] = []

    async def trap(channel: Channel) -> None:
        elsewhere.append("reached")
        await channel.start()

    other = servers.executor(trap)
    facts = {name: "127.0.0.1" if "host" in name or name == "address" else other.port for name in RESERVED}
    assert len(facts) == 40

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say({**READY, "facts": facts})
        catalogues.append(await channel.message("catalogue"))
        await channel.end("planned")

    evil = servers.executor(talk)
    write_fleet(project, servers, {"evil": evil})
    project.states(
        "associations: {a: {targets: all, files: {/nonexistent/x: {content: '{{ host.name }} {{ machine }} {{ user is defined }}'}}}}\n"
    )
    for _ in range(2):
        run(project, "plan", "--json")
    assert len(evil.channels) == 2
    assert elsewhere == []
    assert len(catalogues) == 2
    for catalogue in catalogues:
        assert catalogue["host"] == "evil"
        assert _content(catalogue) == _named("evil /nonexistent False")


@pytest.mark.parametrize("where", ["/etc/hostname", "../../../etc/hostname", "/dev/zero", "states/../../home/secret"])
def test_a_plan_that_names_files(project, where: str) -> None:
    """T10: a place that comes with a host's or another's result is shown, and no file outside of the project is opened for it."""
    from statectl.cli.formats.apply_text import _line

    (project.home / "secret").write_text("not for anybody\n")
    assert _line(project.root, where, 1) == ""
    project.write("states/real.yml", "associations: {}\n")
    assert _line(project.root, "states/real.yml", 1) == "associations: {}"


def test_links_out_of_the_project(project) -> None:
    """T10: a link in the project that leads out of it is not followed for a line to show."""
    from statectl.cli.formats.apply_text import _line

    (project.root / "states" / "out.yml").symlink_to("/etc/hostname")
    assert _line(project.root, "states/out.yml", 1) == ""


PLACES = ["../outside", "..", "a/../../outside", "{place}/outside", "outside\x00.db", "file:../outside"]


@pytest.mark.parametrize("name", PLACES)
def test_names_of_a_host_are_no_paths(servers: Servers, project, name: str) -> None:
    """T10: a host that calls runs, resources, itself and its contents like files has none written, here or above the project."""
    name = name.format(place=project.home)

    async def talk(channel: Channel) -> None:
        order = await channel.start()
        memory = {"host_id": name, "lock": {"run": name, "controller": name}}
        kept = {
            "run": "EARLIER1",
            "controller": name,
            "outcome": "done",
            "reason": name,
            "results": [],
            "notified": [],
            "plan_id": name,
            "commit": name,
        }
        await channel.say({**READY, "executor": name, "memory": {**memory, "undelivered": [kept]}})
        if order["kind"] == "run":
            await channel.end("done", counts={"code": 0})
            return
        await channel.message("catalogue")
        await channel.say({**ORPHAN, "address": "file:" + name}, {**ORPHAN, "address": "directory:" + name}, VERDICT)
        await channel.end("planned", reason=name)

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    before = {path for path in project.root.parent.rglob("*") if ".statectl" not in path.parts}
    for argv in (
        ("plan",),
        ("plan", "-o", "json=kept.json"),
        ("apply", "--yes"),
        ("run", "--", "id"),
        ("runs", "list"),
    ):
        ran = run(project, *argv)
        assert "E321" not in ran.out + ran.err, ran  # what it says is in the protocol
    after = {path for path in project.root.parent.rglob("*") if ".statectl" not in path.parts}
    assert after - before <= {project.root / "kept.json"}
    assert {path.name for path in (project.root / ".statectl").rglob("*")} <= {
        *(".gitignore", "state.db", "state.db-wal", "state.db-shm", "parameters.key"),
    }


def test_results_of_runs_of_others(project) -> None:
    """T12: a host that hands over a result of a run whose end is known does not rewrite it."""
    from statectl.store.records import HostRecord
    from statectl.store.store import Store

    store = Store.open("sqlite:.statectl/other.db", project.root)
    store.begin_run("apply", {}, run_id="KNOWNRUN")
    store.record_host("KNOWNRUN", HostRecord("evil", "ok", "", results=[]))
    store.end_run("KNOWNRUN", "done", {"ok": 1})
    store.take_over("evil", {"run": "KNOWNRUN", "outcome": "failed", "results": [], "notified": []})
    found = store.run("KNOWNRUN")
    store.close()
    assert found is not None
    assert found["outcome"] == "done"
    assert found["hosts"]["evil"]["outcome"] == "ok"
