"""Packages and services: locks, interrupted and failing transactions, broken repositories, services that do not stay."""

import functools
import http.server
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.row import FAILED, UNREACHABLE, Row, row
from tests.faults.rows.disk import failed
from tests.faults.scene import Scene
from tests.lab import network
from tests.lab.places import run
from tests.lab.repositories import EPOCH, Deb, build_deb, flat_index

HOLDER = "import fcntl, time; lock = open('{path}', 'w'); fcntl.lockf(lock, fcntl.LOCK_EX); print('held', flush=True); time.sleep({seconds})"


def held(path: str, seconds: int) -> Callable[[Scene], None]:
    """Another process of the victim holds a lock of the package manager."""

    def inject(scene: Scene) -> None:
        script = HOLDER.format(path=path, seconds=seconds)
        scene.victim.write("/run/holder.py", script)
        scene.victim.sh("setsid python3 /run/holder.py >/run/holder.out 2>&1 </dev/null & ")
        scene.wait_for(lambda: scene.victim.sh("cat /run/holder.out") == "held", "the lock is held")

    return inject


def _release(scene: Scene) -> None:
    scene.victim.sh("kill $(pgrep -f /run/holder[.]py); sleep 0.2", check=False)


for name, path in (("frontend", "/var/lib/dpkg/lock-frontend"), ("dpkg", "/var/lib/dpkg/lock")):
    row(
        Row(
            f"P01.{name}-20s",
            f"{path} is held for 20 s",
            inject=held(path, 20),
            mend=_release,
            bound_s=60,
            slower_s=20,
        )
    )


def _names_the_holder(scene: Scene) -> None:
    failed(scene, "package:lab-tool-01", "lock", "held for 120 s by process", "python3")


row(
    Row(
        "P01.for-ever",
        "the lock of dpkg is held for ever",
        inject=held("/var/lib/dpkg/lock-frontend", 3600),
        mend=_release,
        says=_names_the_holder,
        codes=(FAILED,),
        bound_s=180,
    )
)

# -- transactions ------------------------------------------------------------------------------------------------------

SLOW = "associations:\n  slow:\n    targets: all\n    packages: [lab-slow]\n"


def _half_configured(scene: Scene) -> None:
    """dpkg, apt-get and a postinst are killed in the middle."""
    host = scene.victim
    host.sh("echo 60 > /etc/lab-slow.seconds")
    host.sh("setsid apt-get install -y -q lab-slow >/run/apt.out 2>&1 </dev/null & ")
    scene.wait_for(lambda: host.sh("pgrep -f lab-slow[.]postinst", check=False), "the postinst runs")
    host.sh("pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f 'lab-slow[.]postinst'; pkill -9 -f '[s]leep 60'; true")
    host.sh("echo 0 > /etc/lab-slow.seconds")
    assert host.sh("dpkg-query -W -f '${Status}' lab-slow").endswith("half-configured")


def _repaired_first(scene: Scene) -> None:
    assert scene.said is not None
    plan = scene.said.json["plan"]["hosts"][scene.victim.name]["verdicts"]
    (slow,) = (verdict for verdict in plan if verdict["address"] == "package:lab-slow")
    assert "dpkg --configure -a comes first" in str(slow["changes"]), slow
    assert scene.results(scene.victim)["package:lab-slow"]["outcome"] == "changed"


row(
    Row(
        "P02",
        "dpkg was killed in a postinst: the plan says that it is repaired, and it is",
        inject=_half_configured,
        says=_repaired_first,
        states=SLOW,
        slower_s=4,
    )
)


def packages(*debs: Deb) -> Callable[[Scene], None]:
    """A repository of these packages on both hosts, known to their apt."""

    def inject(scene: Scene) -> None:
        with tempfile.TemporaryDirectory() as place:
            for deb in debs:
                build_deb(deb, Path(place) / "repo")
            flat_index(Path(place) / "repo")
            for host in (scene.victim, scene.witness):
                root = host._within("/srv/row")
                shutil.copytree(Path(place) / "repo", root)
                host.write("/etc/apt/sources.list.d/row.list", "deb [trusted=yes] file:/srv/row ./\n")
                host.exec(["apt-get", "update", "-q"])

    return inject


def declares(*names: str) -> str:
    return f"associations:\n  row:\n    targets: all\n    packages: [{', '.join(names)}]\n"


# -- holds, versions and architectures ----------------------------------------------------------------------------------


def _held_back(scene: Scene) -> None:
    packages(Deb("row-held", "1.0"), Deb("row-held", "2.0"))(scene)
    scene.victim.sh("apt-get install -y -q row-held=1.0 && apt-mark hold row-held")


def _hold_is_kept(scene: Scene) -> None:
    failed(scene, "package:row-held", "on hold at 1.0", "hold: false")
    assert _version(scene, "row-held") == "1.0"


def _version(scene: Scene, name: str) -> str:
    return scene.victim.sh(f"dpkg-query -W -f '${{Version}}' {name}")


def _has_version(name: str, version: str) -> Callable[[Scene], None]:
    def judge(scene: Scene) -> None:
        assert _version(scene, name) == version

    return judge


row(
    Row(
        "P06.held",
        "somebody holds the package at another version",
        inject=_held_back,
        mend=lambda scene: scene.victim.sh("apt-mark unhold row-held"),
        says=_hold_is_kept,
        healed=_has_version("row-held", "2.0"),
        codes=(FAILED,),
        states="associations: {row: {targets: all, packages: {row-held: '2.*'}}}\n",
        witness=False,  # a plan that is refused for one host writes to none
        slower_s=4,
    )
)
# as dpkg orders them: an epoch beats every number, and a tilde stands before nothing at all
ORDERED = ("2.0~rc1-1", "2.0~rc1+b1-1", "2.0-1", "10.0-1", "1:1.0~~-1", "1:1.0-1")
for place, older in enumerate(ORDERED[:-1]):
    row(
        Row(
            f"P06.order-{place + 1}",
            f"{older} is installed, and there are {', '.join(one for one in ORDERED if one != older)}",
            inject=lambda scene, older=older: (  # type: ignore[misc]
                packages(*(Deb("row-order", one) for one in ORDERED))(scene),
                scene.victim.sh(f"apt-get install -y -q row-order={older}"),
            ),
            says=_has_version("row-order", ORDERED[-1]),
            states="associations: {row: {targets: all, packages: {row-order: latest}}}\n",
            slower_s=4,
        )
    )


def _second_architecture(scene: Scene) -> None:
    foreign = {"Architecture": "i386", "Multi-Arch": "same"}
    for host in (scene.victim, scene.witness):
        host.exec(["dpkg", "--add-architecture", "i386"])
    packages(Deb("row-arch", fields={"Multi-Arch": "same", "Architecture": "amd64"}), Deb("row-arch", "1.0", foreign))(
        scene
    )


def _both_architectures(scene: Scene) -> None:
    told = scene.victim.sh("dpkg-query -W -f '${Architecture} ${Status}\\n' row-arch")
    assert sorted(told.split("\n")) == ["amd64 install ok installed", "i386 install ok installed"], told


row(
    Row(
        "P06.foreign",
        "a package of another architecture beside the own one",
        inject=_second_architecture,
        says=_both_architectures,
        states="associations: {row: {targets: all, packages: [row-arch, 'row-arch:i386']}}\n",
        slower_s=4,
    )
)

FAILING = Deb("row-failing", scripts={"postinst": "#!/bin/sh\necho 'the cause of it all' >&2\ntest -e /etc/row-may\n"})
row(
    Row(
        "P03.postinst",
        "a postinst fails",
        inject=lambda scene: (packages(FAILING)(scene), scene.witness.sh("touch /etc/row-may")),
        mend=lambda scene: scene.victim.sh("touch /etc/row-may"),
        says=lambda scene: failed(scene, "package:row-failing", "row-failing", "post-installation script"),
        codes=(FAILED,),
        states=declares("row-failing"),
    )
)
ASKING = Deb("row-asking", scripts={"postinst": "#!/bin/sh\nread answer\nread word </dev/tty\nexit 0\n"})
row(
    Row(
        "P03.question",
        "a postinst asks, on its standard input and on the terminal: nobody waits for an answer",
        inject=packages(ASKING),
        bound_s=40,
        states=declares("row-asking"),
    )
)
CONF = 'associations:\n  row:\n    targets: all\n    packages: {lab-conf: {version: "1.1*"}}\n'


def _changed_conffile(scene: Scene) -> None:
    for host in (scene.victim, scene.witness):
        host.exec(["apt-get", "install", "-y", "-q", "lab-conf=1.0"])
    scene.victim.write("/etc/lab-conf.conf", "changed by hand\n")


def _conffile_is_kept(scene: Scene) -> None:
    assert scene.victim.read("/etc/lab-conf.conf") == "changed by hand\n"
    assert scene.victim.sh("dpkg-query -W -f '${Version}' lab-conf") == "1.1"


row(
    Row(
        "P03.conffile",
        "a new version brings a configuration file that was changed by hand",
        inject=_changed_conffile,
        says=_conffile_is_kept,
        states=CONF,
    )
)

# -- repositories ------------------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """The lab's signed repository over HTTP, with one thing broken."""

    daemon_threads = True

    def __init__(self, scene: Scene, broken: str) -> None:
        self.broken = broken
        self.place = Path(tempfile.mkdtemp(prefix="row-repository-"))
        self.repository = self.place / "extra"
        shutil.copytree(scene.victim.repositories / "apt" / "extra", self.repository)
        self.released = threading.Event()
        handler = functools.partial(Handler, directory=str(self.repository))
        super().__init__((network.ipv4(scene.victim.slot, 0), 0), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def mend(self) -> None:
        self.broken = ""
        self.released.set()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its name in the base class
        """Nobody reads it."""

    def do_GET(self) -> None:
        """What a broken server does, or the file."""
        path = self.path.lstrip("/")
        broken = self.server.broken
        if broken == "black-hole":
            self.server.released.wait(300)
        elif broken == "404" and "Release" in path:
            self.send_error(404)
        elif broken in ("hash", "truncated") and "Packages" in path:
            data = (self.server.repository / path).read_bytes()
            self._send(data[: len(data) // 2] if broken == "truncated" else bytes(len(data)), len(data))
        elif broken == "signature" and path.endswith("InRelease"):
            text = (self.server.repository / path).read_text()
            data = text.replace("Label: Lab extra", "Label: Another").encode()
            self._send(data, len(data))
        elif broken == "signature" and path.endswith("Release.gpg"):
            self.send_error(404)
        elif broken == "expired" and "Release" in path:
            data = (self.server.place / "expired" / Path(path).name).read_bytes()
            self._send(data, len(data))
        else:
            super().do_GET()

    def _send(self, data: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


def _expire(scene: Scene, server: Server) -> None:
    """The same Release with an end that has passed, signed by the same key."""
    place = server.place / "expired"
    place.mkdir()
    text = (server.repository / "dists/lab/Release").read_text()
    (place / "Release").write_text(text.replace("Suite: lab", "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\nSuite: lab"))
    home = server.place / "gnupg"
    shutil.copytree(scene.victim.repositories / "gnupg", home, ignore=shutil.ignore_patterns("S.*"))
    home.chmod(0o700)
    sign = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--local-user", "extra@lab.invalid"]
    run([*sign, "--output", place / "InRelease", "--clearsign", place / "Release"], env={"SOURCE_DATE_EPOCH": EPOCH})
    run([*sign, "--armor", "--output", place / "Release.gpg", "--detach-sign", place / "Release"])
    run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"])


def repository(broken: str) -> Callable[[Scene], Server]:
    def inject(scene: Scene) -> Server:
        server = Server(scene, broken)
        if broken == "expired":
            _expire(scene, server)
        if broken == "refused":
            server.shutdown()
            server.socket.close()
        scene.project.write(
            "states/repository.yml",
            "associations:\n  repository:\n    targets: "
            + scene.victim.name
            + "\n    package_repositories:\n      extra:\n"
            f'        uris: ["{server.url}"]\n        suites: [lab]\n        components: [main]\n'
            "        signed_by: /srv/lab/apt/keys/extra.asc\n    packages: [lab-extra-01]\n",
        )
        scene.project.commit("a repository")
        return server

    return inject


def _put_in_order(scene: Scene) -> None:
    old: Server = scene.injected
    if old.broken != "refused":
        old.mend()
        return
    server = Server(scene, "")
    scene.injected = server
    path = scene.project.root / "states" / "repository.yml"
    path.write_text(path.read_text().replace(old.url, server.url))
    scene.project.commit("a repository that answers")


def _tells(*words: str) -> Callable[[Scene], None]:
    """The cause, in its own words, and no package that is called installed."""

    def says(scene: Scene) -> None:
        assert scene.said is not None
        told = scene.said.out + scene.said.err
        assert any(re.search(word, told) for word in words), f"none of {words} is told\n{scene.said}"
        package = scene.results(scene.victim).get("package:lab-extra-01", {"outcome": "not planned"})
        assert package["outcome"] not in ("ok", "changed"), package

    return says


for variant, title, words in (
    ("refused", "nobody listens", ("Could not connect", "Connection refused")),
    ("black-hole", "it accepts and never answers", ("repository does not answer",)),
    ("404", "it has no such suite", ("does not have a Release file", "404")),
    ("hash", "an index does not match its hash", ("Hash Sum mismatch", "hash", "unexpected size")),
    (
        "truncated",
        "an index is cut short",
        ("index was not fetched whole", "index does not match its hash"),
    ),
    ("expired", "its Release file has expired", ("expired",)),
    ("signature", "its signature does not fit", ("signature", "BADSIG", "not signed")),
):
    row(
        Row(
            f"P04.{variant}",
            f"a repository: {title}",
            inject=repository(variant),
            mend=_put_in_order,
            says=_tells(*words),
            codes=(FAILED, UNREACHABLE),
            bound_s=240 if variant == "black-hole" else 90,
            witness=False,
        )
    )


def _nothing_was_removed(scene: Scene) -> None:
    failed(scene, "package:lab-conflict", "remove lab-tool-01")
    there = scene.victim.sh("dpkg-query -W -f '${Package}\\n'").split()
    assert "lab-tool-01" in there
    assert "lab-conflict" not in there


row(
    Row(
        "P05",
        "a package would take another one away",
        inject=lambda scene: [
            host.exec(["apt-get", "install", "-y", "-q", "lab-tool-01"]) for host in (scene.victim, scene.witness)
        ],
        says=_nothing_was_removed,
        mend=lambda scene: scene.project.remove("states/row.yml"),
        codes=(FAILED,),
        states=declares("lab-conflict"),
        witness=False,
    )
)


# -- services ----------------------------------------------------------------------------------------------------------

UNIT = """\
associations:
  row:
    targets: all
    services: {{row-service: {{state: running}}}}
"""


def unit(text: str) -> Callable[[Scene], None]:
    """A unit as given on the victim, a good one on the witness."""

    def inject(scene: Scene) -> None:
        good = "[Service]\nExecStart=/bin/sleep infinity\n"
        for host, said in ((scene.victim, text), (scene.witness, good)):
            host.write("/etc/systemd/system/row-service.service", said)
            host.exec(["systemctl", "daemon-reload"])

    return inject


def _good_unit(scene: Scene) -> None:
    scene.victim.sh("systemctl unmask row-service; systemctl reset-failed row-service; true", check=False)
    unit("[Service]\nExecStart=/bin/sleep infinity\n")(scene)


for variant, title, text, words in (
    (
        "dies",
        "dies at once, with a cause in its journal",
        "[Service]\nExecStart=/bin/sh -c 'echo my-last-words; exit 3'\n",
        "my-last-words",
    ),
    (
        "dies-later",
        "dies two seconds after its start",
        "[Service]\nExecStart=/bin/sh -c 'sleep 2; echo my-last-words; exit 3'\n",
        "my-last-words",
    ),
    ("missing-program", "has a program that is not there", "[Service]\nExecStart=/nowhere\n", "row-service"),
    (
        "limit",
        "is started again and again until its limit",
        "[Unit]\nStartLimitBurst=2\n[Service]\nRestart=always\nRestartSec=0\nExecStart=/bin/sh -c 'echo my-last-words; exit 3'\n",
        "my-last-words",
    ),
):
    row(
        Row(
            f"P09.{variant}",
            f"a service {title}",
            inject=unit(text),
            mend=_good_unit,
            says=lambda scene, words=words: failed(scene, "service:row-service", words),  # type: ignore[misc]
            codes=(FAILED,),
            states=UNIT.format(),
            slower_s=4,
        )
    )


def _hangs_in_stop(scene: Scene) -> None:
    """It runs, ignores TERM for 5 s, and is to be restarted."""
    text = "[Service]\nTimeoutStopSec=5\nExecStart=/bin/sh -c \"trap '' TERM; while :; do sleep 1; done\"\n"
    for host in (scene.victim, scene.witness):
        host.write("/etc/systemd/system/row-service.service", text)
        host.sh("systemctl daemon-reload; systemctl start row-service")


row(
    Row(
        "P09.hangs-in-stop",
        "a service ignores the signal to stop while it is restarted",
        inject=_hangs_in_stop,
        states=UNIT.format().replace(
            "    services:",
            '    files: {/etc/row-service.conf: {content: x, notify: "service:row-service"}}\n    services:',
        ),
        bound_s=60,
        slower_s=10,
    )
)


def _masked(scene: Scene) -> None:
    unit("[Service]\nExecStart=/bin/sleep infinity\n")(scene)
    scene.victim.sh("rm /etc/systemd/system/row-service.service; systemctl mask row-service")


row(
    Row(
        "P09.masked",
        "a service is masked",
        inject=_masked,
        mend=_good_unit,
        says=lambda scene: failed(scene, "service:row-service", "masked"),
        codes=(FAILED,),
        states=UNIT.format(),
        witness=False,
    )
)
row(
    Row(
        "P09.missing",
        "a service has no unit",
        inject=lambda scene: (
            _good_unit(scene),
            scene.victim.sh("rm /etc/systemd/system/row-service.service; systemctl daemon-reload"),
        )[0],
        mend=_good_unit,
        says=lambda scene: failed(scene, "service:row-service", "row-service"),
        codes=(FAILED,),
        states=UNIT.format(),
        witness=False,
    )
)

# -- the controller goes away ------------------------------------------------------------------------------------------


def _cut_while_apt_runs(scene: Scene) -> None:
    scene.wait_for(
        lambda: scene.victim.sh("pgrep -f lab-slow[.]postinst", check=False), "the postinst runs", limit_s=60
    )
    scene.victim.cut()


def _apt_has_finished(scene: Scene) -> None:
    scene.wait_for(
        lambda: scene.victim.sh("dpkg-query -W -f '${db:Status-Abbrev}' lab-slow", check=False).strip() == "ii",
        "apt finishes on its own",
        60,
    )
    time.sleep(1)
    scene.victim.heal()


row(
    Row(
        "P07",
        "the link is cut while apt runs: apt finishes, and the result is fetched later",
        inject=lambda scene: scene.victim.sh("echo 5 > /etc/lab-slow.seconds") and None,
        during=_cut_while_apt_runs,
        mend=_apt_has_finished,
        codes=(UNREACHABLE,),
        bound_s=90,
        lost=True,
        states=SLOW,
        slower_s=6,
    )
)
