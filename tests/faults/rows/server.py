"""The store on a PostgreSQL server that is restarted, goes away for a while or for good, fails over, or loses the connection in a commit."""

import random
import time
from collections.abc import Callable

from statectl.store.store import Store
from tests.faults.row import DONE, FAILED, NOT_RUN, REFUSED, Row, row
from tests.faults.rows.controller import SLOW
from tests.faults.scene import Scene
from tests.postgresql.relay import Relay
from tests.postgresql.server import Server, missing

RANDOM = random.Random()


def _on_a_server(scene: Scene) -> None:
    """The project's store is a server of its own, behind a relay: `scene.prepared` is both."""
    server = Server()
    server.__enter__()
    scene.closers.append(server.__exit__)
    relay = Relay(server.port)
    scene.closers.append(relay.close)
    scene.prepared = (server, relay)
    path = scene.project.root / "statectl.yml"
    scene.project.write("statectl.yml", path.read_text() + f"store: {server.url(port=relay.port)}\n")
    scene.project.commit("store")


def _restarted(how: str, away_s: float = 0) -> Callable[[Scene], None]:
    def during(scene: Scene) -> None:
        server, _ = scene.prepared
        scene.exists_soon("/srv/pausing")
        server.restart(how, away_s=away_s)

    return during


def _loses_commits(scene: Scene) -> None:
    """At random instants of the run the connection is lost around a commit, or half way to it."""
    _, relay = scene.prepared
    assert scene.process is not None
    while scene.process.poll() is None:
        relay.lose(RANDOM.choice(("before", "sent", "answered", "half way")))
        time.sleep(RANDOM.uniform(0.05, 0.3))


def _with_a_standby(scene: Scene) -> None:
    """It takes in all that is committed before that is told."""
    _on_a_server(scene)
    server, relay = scene.prepared
    standby = Server(of=server)
    standby.__enter__()
    scene.closers.append(standby.__exit__)
    server.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    server.psql("SELECT pg_reload_conf()")
    scene.prepared = (server, relay, standby)


def _fails_over(scene: Scene) -> None:
    """The standby is promoted a moment after the server was killed; meanwhile it can only be read."""
    server, relay, standby = scene.prepared
    scene.exists_soon("/srv/pausing")
    server.stop("immediate")
    relay.lead_to(standby.port)
    time.sleep(1)
    standby.psql("SELECT pg_promote()")
    scene.prepared = (standby, relay)


def _stays_away(scene: Scene) -> None:
    server, _ = scene.prepared
    scene.exists_soon("/srv/pausing")
    server.stop("immediate")


def _comes_back(scene: Scene) -> None:
    server, _ = scene.prepared
    server.start()


def _once(scene: Scene) -> None:
    """0 rows twice, 0 lost: the chain of the audit holds, and each run in it begins once and ends once."""
    server, relay = scene.prepared
    store = Store.open(server.url(port=relay.port), scene.project.root)
    try:
        assert store.verify_audit() is None, store.verify_audit()
        with store._database.reading() as connection:
            rows = connection.execute("SELECT action, detail FROM audit ORDER BY sequence").fetchall()
            runs = {row["id"] for row in connection.execute("SELECT id FROM runs")}
            hosts = connection.execute("SELECT count(*) FROM host_runs").fetchone()[0]
    finally:
        store.close()
    begun = [row["detail"] for row in rows if row["action"].endswith(".begin")]
    ended = [row["detail"] for row in rows if row["action"] == "run.end"]
    assert len(begun) == len(runs) and len(ended) == len(runs), (runs, rows)
    assert all(sum(run in text for text in begun) == sum(run in text for text in ended) == 1 for run in runs), rows
    assert hosts == 2 * len(runs), (hosts, runs)


def _no_secret_there(scene: Scene) -> None:
    server, _ = scene.prepared
    _once(scene)
    server.psql("CHECKPOINT")
    held = [path for path in server.data.rglob("*") if path.is_file() and scene.canary.encode() in path.read_bytes()]
    assert not held, f"the secret stands in {held[0]}"


def _said_and_kept(scene: Scene) -> None:
    """The results could not be recorded: that is said, and the hosts keep them for the next contact."""
    assert scene.said is not None
    assert "the connection to store postgresql://" in scene.said.err and "did not come back within" in scene.said.err, (
        scene.said
    )
    assert scene.victim.sh("ls /var/lib/statectl/undelivered"), "the host has forgotten a result that nobody recorded"


if missing():
    NOT_RUN["C14"] = missing()
else:
    for variant, title, during in (
        ("restart", "the PostgreSQL server is restarted in the middle of an apply", _restarted("fast")),
        (
            "killed",
            "the PostgreSQL server is killed and started again in the middle of an apply",
            _restarted("immediate"),
        ),
        ("away", "the PostgreSQL server is away for 5 s in the middle of an apply", _restarted("fast", 5)),
        ("commit", "connections to PostgreSQL are lost before, in and after commits, all the time", _loses_commits),
        ("failover", "the PostgreSQL server is killed, and its standby takes over", _fails_over),
    ):
        row(
            Row(
                f"C14.{variant}",
                title,
                prepare=_with_a_standby if variant == "failover" else _on_a_server,
                during=during,
                says=_once,
                healed=_no_secret_there,
                codes=(DONE,),
                states=SLOW,
                slower_s=20,
                bound_s=90,
            )
        )
    row(
        Row(
            "C14.gone",
            "the PostgreSQL server is killed in the middle of an apply and stays away",
            prepare=_on_a_server,
            during=_stays_away,
            mend=_comes_back,
            says=_said_and_kept,
            codes=(FAILED, REFUSED),
            states=SLOW,
            bound_s=150,
            lost=True,
            witness=False,
        )
    )
