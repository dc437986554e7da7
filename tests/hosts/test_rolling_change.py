"""A web tier behind a load balancer, on real hosts: it changes without a failed request, and a bad version ends at the first host."""

import http.client
import threading
import time
from collections.abc import Iterator

import pytest

from tests.lab.project import LabProject

PORT = 8080
# One address for all: a connection goes to a backend of the file, which is read for each.
BALANCER = """\
import itertools, socket, threading
turn = itertools.count()
def pump(one, other):
    try:
        while True:
            data = one.recv(65536)
            if not data:
                break
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(client):
    backends = open("/etc/backends").read().split()
    try:
        host, port = backends[next(turn) % len(backends)].split(":")
        server = socket.create_connection((host, int(port)), 5)
    except (OSError, ZeroDivisionError):
        client.close()
        return
    both = [threading.Thread(target=pump, args=pair) for pair in ((client, server), (server, client))]
    for one in both:
        one.start()
    for one in both:
        one.join()
    client.close()
    server.close()
listening = socket.create_server(("", 8080), backlog=128)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""
# backend drain|enable HOST:PORT; a drained one gets no new connection, and those that it has come to their end
SWITCH = """\
#!/usr/bin/python3
import os, sys, time
what, backend = sys.argv[1:]
if what == "break":
    sys.exit("the balancer does not listen")
backends = set(open("/etc/backends").read().split())
backends = backends - {backend} if what == "drain" else backends | {backend}
open("/etc/backends.new", "w").write("\\n".join(sorted(backends)))
os.rename("/etc/backends.new", "/etc/backends")
with open("/run/backend.log", "a") as log:
    log.write("%s %s\\n" % (what, backend))
if what == "drain":
    time.sleep(0.5)
"""
WEB = """\
import http.server
version = open("/srv/web/version").read().strip()
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = version.encode()
        self.send_response(500 if version.startswith("bad") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
"""
UNIT = "[Service]\nExecStart=/usr/bin/python3 %s\nRestart=always\n[Install]\nWantedBy=multi-user.target\n"
STATES = """\
associations:
  web:
    targets: "WEB1 or WEB2"
    rollout:
      batch: [1]
      health: {http: "http://127.0.0.1:8080/", expect: 200, within: 5s}
      bake: 1s
      before:
        - {run: [/usr/local/bin/backend, WHAT, "{{ host.address }}:8080"], on: BALANCER}
      after:
        - {run: [/usr/local/bin/backend, enable, "{{ host.address }}:8080"], on: BALANCER}
    directories: {/srv/web: {mode: 0755}}
    files:
      /srv/web/version: {content: "VERSION", notify: "service:web"}
    services:
      web: {state: running}
"""


class Client:
    """Asks the balancer again and again. `answers`: (status, body) of each request, (0, what went wrong) where there was none."""

    def __init__(self, address: str) -> None:
        self.answers: list[tuple[int, str]] = []
        self._address = address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection(self._address, PORT, timeout=5)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                self.answers.append((answer.status, answer.read().decode()))
            except (OSError, http.client.HTTPException) as error:
                self.answers.append((0, repr(error)))
            finally:
                connection.close()
            time.sleep(0.005)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def tier(lab_hosts, project_for) -> Iterator[LabProject]:
    """Two web hosts with version one behind the balancer on the third."""
    one, two, balancer = hosts = lab_hosts(3)
    for host in (one, two):
        host.write("/srv/web.py", WEB)
        host.sh("mkdir -p /srv/web && echo -n one > /srv/web/version")
        host.write("/etc/systemd/system/web.service", UNIT % "/srv/web.py")
    balancer.write("/etc/backends", f"{one.address}:{PORT}\n{two.address}:{PORT}\n")
    balancer.write("/srv/balancer.py", BALANCER)
    balancer.write("/usr/local/bin/backend", SWITCH)
    balancer.write("/etc/systemd/system/balancer.service", UNIT % "/srv/balancer.py")
    balancer.sh("chmod 755 /usr/local/bin/backend")
    for host, name in ((one, "web"), (two, "web"), (balancer, "balancer")):
        host.sh(f"systemctl daemon-reload && systemctl start {name}")
        host.sh("for i in $(seq 100); do ss -ltn | grep -q :8080 && exit 0; sleep 0.1; done; exit 1")
    return project_for(hosts)


def declare(project: LabProject, version: str, before: str = "drain") -> None:
    text = STATES
    names = [host.name for host in project.hosts]
    for word, value in zip(("WEB1", "WEB2", "BALANCER", "VERSION", "WHAT"), (*names, version, before), strict=True):
        text = text.replace(word, value)
    project.write("states/web.yml", text)


def asked(balancer) -> list[str]:
    """What the balancer was told to do."""
    return balancer.sh("cat /run/backend.log 2>/dev/null || true").splitlines()


def test_no_request_fails_while_it_changes_and_a_bad_version_ends_at_the_first(tier):
    """Drained, changed, well, enabled, one after the other: clients notice nothing. What is not well stays drained, and the rest serves."""
    one, two, balancer = tier.hosts
    declare(tier, "two")
    with Client(balancer.address) as client:
        said = tier.statectl("apply", "--yes", expect=0)
        time.sleep(0.2)
    assert {status for status, _ in client.answers} == {200}, (client.answers, str(said))
    bodies = [body for _, body in client.answers]
    assert bodies[0] == "one"
    assert bodies[-1] == "two"
    first, second = (f"{host.address}:{PORT}" for host in (one, two))
    order = [f"drain {first}", f"enable {first}", f"drain {second}", f"enable {second}"]
    assert asked(balancer) == order, str(said)
    with Client(balancer.address) as client:
        again = tier.statectl("apply", "--yes", expect=0)
    assert asked(balancer) == order, f"nothing changed, and still it was drained\n{again}"

    declare(tier, "bad")
    with Client(balancer.address) as client:
        said = tier.statectl("apply", "--yes", "--json", expect=1)
        time.sleep(0.2)
    assert set(client.answers) == {(200, "two")}, (client.answers, str(said))
    assert asked(balancer)[4:] == [f"drain {first}"], str(said)
    told = said.json
    assert told["hosts"][one.name]["outcome"] == "failed", str(said)
    assert "answers 500, expected 200" in told["hosts"][one.name]["reason"], str(said)
    (check,) = [entry for entry in told["hosts"][one.name]["notified"] if entry["verb"] == "check"]
    assert (check["address"], check["outcome"]) == ("health:web", "failed")
    assert told["hosts"][two.name]["outcome"] == "terminated"
    assert "rollout of association web stops" in told["hosts"][two.name]["reason"]
    assert two.read("/srv/web/version") == "two"
    recorded = tier.statectl("runs", "list", "--json", expect=0).json
    commands = [run for run in recorded["runs"] if run["verb"] == "run"]
    assert len(commands) == 5, recorded
    assert all(run["scope"]["rollout"]["association"] == "web" for run in commands), recorded

    declare(tier, "three", before="break")
    said = tier.statectl("apply", "--yes", "--json", expect=1)
    reason = said.json["hosts"][one.name]["reason"]
    assert "nothing was written" in reason, str(said)
    assert "the balancer does not listen" in reason, str(said)
    assert one.read("/srv/web/version") == "bad"
