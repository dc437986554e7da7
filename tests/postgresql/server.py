"""A PostgreSQL server of our own: on a free port of loopback, its data in a temporary directory, gone when this process is.

Root may not run one: then it runs as `postgres`, or as `nobody`. Nothing is synced to the disk; what it has committed outlives the end of
its processes all the same.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LASTING = ThreadPoolExecutor(1)  # what it starts ends when this thread does: with the process, and not before
USER = "statectl"  # may do all, without a password
GUARDED = "guarded"  # has one
PASSWORD = "s3cr-et:p@ss/word"
HBA = f"""host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
local all all trust
"""


def programs() -> Path | None:
    """The directory with initdb and postgres, of the newest version that is here."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere and shutil.which("initdb") else None


def missing() -> str:
    """Why no server can be had here; '' when one can."""
    if programs() is None:
        return "no PostgreSQL server is installed (Debian: apt-get install postgresql)"
    return "" if shutil.which("setpriv") else "setpriv is missing (Debian: util-linux)"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """`with Server() as server:` it answers on `server.port`. `of`: a standby of that one, which takes in all that it commits."""

    def __init__(self, of: "Server | None" = None) -> None:
        found = programs()
        assert found is not None, missing()
        self._bin = found
        self._as = self._account()
        self.directory = Path(tempfile.mkdtemp(prefix="statectl-postgresql-"))
        self.data = self.directory / "data"
        self._of = of
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        try:
            if self._as:
                account = pwd.getpwnam(self._as)
                os.chown(self.directory, account.pw_uid, account.pw_gid)
            if self._of is not None:
                place = ("-h", "127.0.0.1", "-p", str(self._of.port), "-U", USER, "-D", str(self.data))
                self._run("pg_basebackup", *place, "--no-sync", "-c", "fast", "-R")
                self.start()
            else:
                self._run("initdb", "--no-sync", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "-D", str(self.data))
                (self.data / "pg_hba.conf").write_text(HBA)
                self.start()
                self.psql(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str = "postgres", *, schema: str = "", user: str = USER, port: int = 0) -> str:
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}" + (
            f"?options=-csearch_path%3D{schema}" if schema else ""
        )

    def start(self, *more: str) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 60,
            "shared_buffers": "32MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = _LASTING.submit(
                subprocess.Popen,
                [*self._asked(), str(self._bin / "postgres"), "-D", str(self.data), *options, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
            ).result()
        end = time.monotonic() + 60
        while True:
            ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            assert self._process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.05)

    def stop(self, how: str = "fast") -> None:
        """fast: connections are ended and what is committed is written out; immediate: as if it was killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT if how == "fast" else signal.SIGQUIT)
        self._process.wait(60)
        self._process = None

    def restart(self, how: str = "fast", *, away_s: float = 0.0) -> None:
        self.stop(how)
        time.sleep(away_s)
        self.start()

    def psql(self, sql: str, database: str = "postgres") -> str:
        """The answer, one row a line."""
        told = [str(self._bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        done = subprocess.run(
            [*told, "-U", USER, "-d", database, "-c", sql], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def processes(self) -> list[int]:
        """The server and all that serve a connection."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self._asked(), str(self._bin / program), *words],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
        )
        assert done.returncode == 0, done.stderr

    def _asked(self) -> list[str]:
        """The server ends with whoever started it, however that ends."""
        dropped = (
            ["--reuid", self._as, "--regid", str(pwd.getpwnam(self._as).pw_gid), "--clear-groups"] if self._as else []
        )
        return ["setpriv", *dropped, "--pdeathsig", "QUIT", "--"]

    @staticmethod
    def _account() -> str:
        if os.geteuid() != 0:
            return ""
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            return "nobody"
