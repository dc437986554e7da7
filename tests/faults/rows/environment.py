"""Host environment: interpreters, shells, sudo, homes, caches and clocks that are not as one would wish."""

import hashlib
import json
import marshal
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from statectl.cli.opening import open_settings, open_store
from tests.faults.row import FAILED, NOT_RUN, REFUSED, UNREACHABLE, Row, row
from tests.faults.rows.network import sshd_says, unreachable
from tests.faults.scene import Scene
from tests.lab.bases import OPERATOR_PASSWORD
from tests.lab.machine import LabHost

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
CACHE = "/var/cache/statectl"


def script(scene: Scene, path: str, text: str) -> None:
    scene.victim.write(path, text, 0o755)


def hide_python(scene: Scene) -> None:
    scene.victim.sh("mkdir -p /root/away; mv /usr/bin/python3* /root/away/")


def show_python(scene: Scene) -> None:
    scene.victim.sh("mv /root/away/* /usr/bin/; rmdir /root/away")


def bring_python(scene: Scene, minor: str, to: str) -> None:
    """A Python of this machine's pyenv, without what is only needed to build or test with it."""
    (source,) = sorted(PYENV.glob(f"{minor}.*"))[-1:]
    target = scene.victim.root / to.lstrip("/")
    left_out = shutil.ignore_patterns(
        "test", "tests", "__pycache__", "site-packages", "config-*", "idlelib", "tkinter", "ensurepip", "lib2to3"
    )
    shutil.copytree(
        source / "lib" / f"python{minor}", target / "lib" / f"python{minor}", symlinks=True, ignore=left_out
    )
    (target / "bin").mkdir()
    shutil.copy(source / "bin" / f"python{minor}", target / "bin")
    for library in (source / "lib").glob("libpython*.so.*"):
        shutil.copy(library, scene.victim.root / "usr" / "local" / "lib")
    scene.victim.exec(["ldconfig"])


# -- Python

row(
    Row(
        "E01",
        "no Python",
        inject=hide_python,
        mend=show_python,
        says=unreachable("no python3 >= 3.6 found", within_s=15),
        doctor="no python3 >= 3.6 found",
        codes=(UNREACHABLE,),
        bound_s=20,
    )
)


def _python36_only(scene: Scene) -> None:
    hide_python(scene)
    bring_python(scene, "3.6", "/opt/python36")
    scene.victim.sh("ln -s /opt/python36/bin/python3.6 /usr/local/bin/python3")


def _used(version: str, path: str) -> Callable[[Scene], None]:
    def says(scene: Scene) -> None:
        said = scene.run("doctor", scene.victim.name)
        assert f"{version}" in said.out, said
        assert path in said.out, said

    return says


if list(PYENV.glob("3.6.*")):
    row(
        Row(
            "E02",
            "Python 3.6 only",
            inject=_python36_only,
            mend=lambda scene: (
                scene.victim.sh("rm /usr/local/bin/python3; mv /root/away/* /usr/bin/; rmdir /root/away") and None
            ),
            says=_used("3.6.", "/usr/local/bin/python3"),
            doctor="python    3.6.",
        )
    )
else:
    NOT_RUN["E02"] = "no Python 3.6 below ~/.pyenv of this machine to bring into a host"


def _python2(scene: Scene) -> None:
    hide_python(scene)
    bring_python(scene, "2.7", "/opt/python27")
    scene.victim.sh("ln -s /opt/python27/bin/python2.7 /usr/bin/python")


if list(PYENV.glob("2.7.*")):
    row(
        Row(
            "E03.two",
            "Python 2 as `python`, and nothing else",
            inject=_python2,
            mend=lambda scene: (scene.victim.sh("rm /usr/bin/python"), show_python(scene))[1],
            says=unreachable("/usr/bin/python is 2.7.", within_s=15),
            doctor="/usr/bin/python is 2.7.",
            codes=(UNREACHABLE,),
            bound_s=20,
        )
    )
else:
    NOT_RUN["E03.two"] = "no Python 2.7 below ~/.pyenv of this machine to bring into a host"
for variant, title, text in (
    ("text", "prints text and exits 0", "#!/bin/sh\necho Python is on holiday\nexit 0\n"),
    ("crash", "is ended by a signal", "#!/bin/sh\nkill -SEGV $$\n"),
    ("stdin", "asks stdin", "#!/bin/sh\necho 'Install python3? [y/n]'\nwhile read answer; do :; done\n"),
    ("silent", "never ends", "#!/bin/sh\nexec sleep 3600\n"),
):
    row(
        Row(
            f"E03.{variant}",
            f"the first python3 {title}",
            inject=lambda scene, text=text: script(scene, "/usr/local/bin/python3", text),  # type: ignore[misc]
            mend=lambda scene: scene.victim.exec(["rm", "/usr/local/bin/python3"]) and None,
            says=_used("3.11.", "/usr/bin/python3"),
            doctor="the first python3 there does not work",
            bound_s=60,
        )
    )

SHADOW = "open('/run/imported-%s' % __name__, 'w').close()\n"


def _shadows(scene: Scene) -> None:
    for path in (
        *(
            "/root/json.py",
            "/json.py",
            "/srv/shadow/json.py",
            "/srv/shadow/os.py",
            "/root/hashlib.py",
            "/root/statectl.py",
        ),
        *(
            "/usr/lib/python3/dist-packages/sitecustomize.py",
            "/usr/local/lib/python3.11/dist-packages/sitecustomize.py",
        ),
        "/root/.local/lib/python3.11/site-packages/usercustomize.py",
    ):
        scene.victim.write(path, SHADOW)
    scene.victim.write(
        "/root/.ssh/environment", "PYTHONPATH=/srv/shadow\nPYTHONSTARTUP=/root/json.py\nPYTHONINSPECT=1\n"
    )
    sshd_says(scene, "PermitUserEnvironment yes")


def _not_imported(scene: Scene) -> None:
    assert not scene.victim.sh("ls /run/imported-* 2>/dev/null", check=False)


row(
    Row(
        "E04",
        "the standard library is shadowed",
        inject=_shadows,
        mend=lambda scene: (scene.victim.exec(["rm", "/root/.ssh/environment"]), sshd_says(scene))[1],
        says=_not_imported,
        doctor="sets PYTHON variables (ignored)",
    )
)

# -- sudo


def through_sudo(user: str, *sudoers: str) -> Callable[[Scene], None]:
    """The victim is managed by this user through sudo; lines go into a sudoers file of their own."""

    def inject(scene: Scene) -> None:
        if sudoers:
            scene.victim.write("/etc/sudoers.d/zz-row", "".join(f"{line}\n" for line in sudoers), 0o440)
        scene.reach(user=user, become=True)

    return inject


def as_root(scene: Scene) -> None:
    scene.victim.exec(["rm", "-f", "/etc/sudoers.d/zz-row"])
    scene.reach()


def sudo_row(variant: str, title: str, cause: str, inject: Callable[[Scene], Any], **fields: Any) -> None:
    """A refusal of sudo: one line, one cause; or, without a cause, it works."""
    row(
        Row(
            f"E05.{variant}",
            f"sudo {title}",
            inject=inject,
            **{
                "mend": as_root,
                "says": unreachable(cause) if cause else None,
                "doctor": cause or "✔ sudo",
                "codes": (UNREACHABLE,) if cause else (0,),
                "bound_s": 25,
                **fields,
            },
        )
    )


WITH_PASSWORD = ("apply", "--yes", "--json", "--become-password-fd", "0")

sudo_row("password", "needs a password", "sudo needs a password here", through_sudo("operator"))
sudo_row("denied", "denies it", "sudo", through_sudo("plain"))
sudo_row(
    "denied-command",
    "allows another command only",
    "sudo",
    through_sudo("plain", "plain ALL=(root) NOPASSWD: /usr/bin/uptime"),
)
sudo_row(
    "denied-password",
    "denies it after the password",
    "sudo does not let this user become root",
    lambda scene: (scene.victim.sh("echo plain:lab-plain-password | chpasswd"), through_sudo("plain")(scene))[1],
    command=WITH_PASSWORD,
    stdin="lab-plain-password\n",
)


def _without_sudo(scene: Scene) -> None:
    scene.victim.sh("mv /usr/bin/sudo /usr/bin/sudo.away")
    scene.reach(user="admin", become=True)


def _with_sudo(scene: Scene) -> None:
    scene.victim.sh("mv /usr/bin/sudo.away /usr/bin/sudo")
    as_root(scene)


sudo_row("missing", "is not installed", "sudo is not installed", _without_sudo, mend=_with_sudo)
sudo_row("requiretty", "wants a terminal", "sudo wants a terminal", through_sudo("admin", "Defaults requiretty"))
sudo_row(
    "lecture",
    "lectures before it asks",
    "",
    through_sudo("operator", "Defaults lecture=always"),
    command=WITH_PASSWORD,
    stdin=OPERATOR_PASSWORD + "\n",
)
sudo_row(
    "insults",
    "insults who mistypes",
    "sudo did not accept the password",
    through_sudo("operator", "Defaults insults", "Defaults passprompt_override", "Defaults badpass_message=Nonsense"),
    command=WITH_PASSWORD,
    stdin="not-the-password\n",
)


def _slow(seconds: int) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        script(scene, "/usr/local/sbin/directory-server", f"#!/bin/sh\nexec sleep {seconds}\n")
        scene.victim.sh(
            "cp -p /etc/pam.d/sudo /root/pam-sudo;"
            " sed -i '2i account required pam_exec.so quiet /usr/local/sbin/directory-server' /etc/pam.d/sudo"
        )
        scene.reach(user="admin", become=True)

    return inject


def _quick(scene: Scene) -> None:
    scene.victim.sh("mv /root/pam-sudo /etc/pam.d/sudo; rm /usr/local/sbin/directory-server")
    as_root(scene)


sudo_row(
    "slow", "takes 30 s (a directory server)", "nothing came through sudo in 20 s", _slow(30), mend=_quick, bound_s=40
)
sudo_row(
    "slower", "takes 8 s", "", _slow(8), mend=_quick, doctor="something in sudo, login or facts waits there", bound_s=60
)

# -- noise

BASHRC = "/root/.bashrc"
NOISES = {
    "motd": ("motd", {"/etc/motd": "welcome\n" * 2000}, ()),
    "banner": ("a banner of 200 KB", {"/etc/ssh/banner": "do not enter\n" * 15000}, ("Banner /etc/ssh/banner",)),
    "echo": ("a .bashrc that echoes", {BASHRC: "echo hello from bashrc; echo to stderr >&2\n"}, ()),
    "much": ("a .bashrc that prints 1 MiB", {BASHRC: "head -c 1048576 /dev/zero | tr '\\0' n; echo\n"}, ()),
    "ansi": ("escapes and a title", {BASHRC: "printf '\\033]0;owned\\007\\033[2J\\033[31mred'\n"}, ()),
    "binary": (
        "bytes that are no text",
        {BASHRC: "printf '\\000\\377\\376J\\000\\000'; head -c 5000 /dev/urandom\n"},
        (),
    ),
    "frames": (
        "what looks like our own first word",
        {BASHRC: "echo statectl:0000000000000000:have; printf 'J\\0\\0\\0\\2{}'\n"},
        (),
    ),
    "script": ("a forced `script`", {}, ('ForceCommand script -qc "$SSH_ORIGINAL_COMMAND" /dev/null',)),
}


def _noise(files: dict[str, str], lines: tuple[str, ...]) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        for path, text in files.items():
            scene.victim.write(path, text)
        if lines:
            sshd_says(scene, *lines)

    return inject


def _clean_screen(scene: Scene) -> None:
    assert scene.said is not None
    for text in (scene.said.out, scene.said.err):
        assert "hello from bashrc" not in text, scene.said
        assert "\x1b" not in text, scene.said


def _quiet(scene: Scene) -> None:
    scene.victim.exec(["rm", "-f", BASHRC, "/etc/motd", "/etc/ssh/banner"])
    sshd_says(scene)


for variant, (title, files, lines) in NOISES.items():
    row(
        Row(
            f"E06.{variant}",
            f"noise: {title}",
            inject=_noise(files, lines),
            mend=_quiet,
            says=_clean_screen,
            doctor={
                "script": "puts a terminal around commands",
                "motd": "✔ shell",
                "banner": "✔ shell",
            }.get(variant, "of its own (ignored)"),
        )
    )


def _nobody_gets_in(scene: Scene) -> None:
    unreachable("connection lost during login")(scene)
    assert scene.victim.ssh(["true"], check=False).code != 0  # it is sshd that breaks off, whoever comes


row(
    Row(
        "E06.huge-banner",
        "noise: a banner of 1 MiB, more than sshd itself can send",
        inject=_noise({"/etc/ssh/banner": "x" * 1048575 + "\n"}, ("Banner /etc/ssh/banner",)),
        mend=_quiet,
        says=_nobody_gets_in,
        doctor="connection lost during login",
        codes=(UNREACHABLE,),
        bound_s=30,
    )
)

# -- places that cannot be used


def mounted(path: str, *options: str) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        scene.victim.sh(f"mkdir -p {path}; mount {' '.join(options)} {path}")

    return inject


def unmounted(path: str) -> Callable[[Scene], None]:
    return lambda scene: scene.victim.exec(["umount", path]) and None


row(
    Row(
        "E08.tmp",
        "/tmp is noexec",
        inject=mounted("/tmp", "-t tmpfs -o noexec,nosuid,size=1m tmpfs"),
        mend=unmounted("/tmp"),
        doctor="executor",
    )
)
row(
    Row(
        "E08.cache-full",
        "the cache is on a full disk",
        inject=mounted(CACHE, "-t tmpfs -o size=4k,mode=0700 tmpfs"),
        mend=unmounted(CACHE),
        doctor="the executor is not kept there",
    )
)
row(
    Row(
        "E08.cache-read-only",
        "the cache is read-only",
        inject=mounted(CACHE, "-t tmpfs -o ro tmpfs"),
        mend=unmounted(CACHE),
        doctor="the executor is not kept there",
    )
)


def _cache_of_another(scene: Scene) -> None:
    scene.victim.sh(f"rm -rf {CACHE}; mkdir -m 0755 {CACHE}; chown plain:plain {CACHE}")


def _nothing_of_ours(scene: Scene) -> None:
    assert scene.victim.sh(f"ls -A {CACHE}/") == ""


row(
    Row(
        "E08.cache-owner",
        "the cache directory belongs to somebody else",
        inject=_cache_of_another,
        mend=lambda scene: scene.victim.exec(["rm", "-rf", CACHE]) and None,
        says=_nothing_of_ours,
        doctor="the executor is not kept there",
    )
)


def _cache_is_a_link(scene: Scene) -> None:
    scene.victim.sh(
        f"rm -rf {CACHE}; mkdir /home/plain/trap; chown plain:plain /home/plain/trap; ln -s /home/plain/trap {CACHE}"
    )


row(
    Row(
        "E08.cache-link",
        "the cache directory is a link into somebody's home",
        inject=_cache_is_a_link,
        mend=lambda scene: scene.victim.exec(["rm", CACHE]) and None,
        says=_nothing_of_ours,
        doctor="the executor is not kept there",
    )
)


def _keys_elsewhere(scene: Scene, user: str) -> None:
    """Logins go on without a home."""
    scene.victim.write("/etc/ssh/keys", scene.victim.key.with_suffix(".pub").read_text())
    sshd_says(scene, "AuthorizedKeysFile /etc/ssh/keys")
    scene.reach(user=user, become=True)


def _home_missing(scene: Scene) -> None:
    _keys_elsewhere(scene, "admin")
    scene.victim.sh("mv /home/admin /home/away")


def _home_back(scene: Scene) -> None:
    scene.victim.sh("mv /home/away /home/admin")
    sshd_says(scene)
    scene.reach()


row(
    Row(
        "E08.home-missing",
        "the login user's home is not there",
        inject=_home_missing,
        mend=_home_back,
        doctor="home /home/admin is not there",
    )
)


def _roots_home(*options: str) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        _keys_elsewhere(scene, "root")
        scene.reach()
        mounted("/root", *options)(scene)

    return inject


def _root_again(scene: Scene) -> None:
    unmounted("/root")(scene)
    sshd_says(scene)


for variant, title, options in (
    ("read-only", "read-only", "-t tmpfs -o ro,mode=0700 tmpfs"),
    ("full", "on a full disk", "-t tmpfs -o size=4k,nr_inodes=1,mode=0700 tmpfs"),
):
    row(
        Row(
            f"E08.home-{variant}",
            f"root's home is {title}",
            inject=_roots_home(options),
            mend=_root_again,
            doctor="executor",
        )
    )


def _state_unusable(scene: Scene) -> None:
    told = scene.host_told()
    assert told["outcome"] == "refused", told
    assert "/var/lib/statectl" in told["reason"], told


row(
    Row(
        "E08.state",
        "there is no room for what statectl remembers",
        inject=mounted("/var/lib/statectl", "-t tmpfs -o ro tmpfs"),
        mend=unmounted("/var/lib/statectl"),
        says=_state_unusable,
        doctor="cannot use the state directory /var/lib/statectl: read-only file system",
        codes=(FAILED, REFUSED),
        bound_s=30,
    )
)

# -- the cached executor


def _cached(scene: Scene) -> Path:
    """The executor in the victim's cache, put there by a contact."""
    said = scene.run("doctor", scene.victim.name)
    assert said.code == 0, said
    (name,) = scene.victim.sh(f"ls {CACHE}").split()
    return Path(f"/proc/{scene.victim.init}/root{CACHE}/{name}")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _replaced(path: Path) -> None:
    """Another program under the right name, with the right first line."""
    head = path.read_bytes().split(b"\n", 1)[0]
    code = marshal.dumps(compile("open('/run/evil', 'w').close()", "evil", "exec"))
    modules = marshal.dumps(
        {name: (False, name, code) for name in ("statectl", "statectl.onhost", "statectl.onhost.__main__")}
    )
    path.write_bytes(
        head + b"\n" + hashlib.sha256(modules).hexdigest().encode() + b"\n" + modules
    )  # its sum leaves the head out


def _open_to_all(path: Path) -> None:
    path.chmod(0o666)


def _damage(how: Callable[[Path], None]) -> Callable[[Scene], tuple[Path, bytes]]:
    def inject(scene: Scene) -> tuple[Path, bytes]:
        path = _cached(scene)
        good = path.read_bytes()
        how(path)
        return path, b"" if path.read_bytes() == good else path.read_bytes()

    return inject


def _sent_again(scene: Scene) -> None:
    """The damaged one was not run; a good one stands in its place."""
    path, damaged = scene.injected
    data = path.read_bytes()
    assert data != damaged
    head, told, payload = data.split(b"\n", 2)
    assert hashlib.sha256(head + b"\n" + payload).hexdigest().encode() == told
    assert path.stat().st_mode & 0o7777 == 0o600
    assert not scene.victim.exists("/run/evil")


for variant, title, how in (
    ("truncated", "cut short", _truncated),
    ("flipped", "damaged in one bit", _flipped),
    ("replaced", "replaced by another program", _replaced),
    ("mode", "writable for everybody", _open_to_all),
):
    row(
        Row(
            f"E09.{variant}",
            f"the cached executor is {title}",
            inject=_damage(how),
            mend=lambda scene: None,
            says=_sent_again,
            doctor="executor",
        )
    )

# -- locale, umask, time zone, path

SETTINGS = {
    "posix": "export LC_ALL=POSIX LANG=POSIX",
    "turkish": "export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8",
    "broken": "export LC_ALL=xx_YY.broken LANG=: LANGUAGE=::",
    "umask-000": "umask 000",
    "umask-077": "umask 077",
    "umask-777": "umask 777",
    "zone": "export TZ=Pacific/Chatham",
    "no-zone": "export TZ=:/nowhere",
    "no-path": "export PATH=",
    "odd-path": "export PATH=.:/tmp:/nowhere",
}
MOVING = {"epoch", "available_mb", "uptime_s", "free_mb"}


def facts_of(scene: Scene) -> dict[str, Any]:
    """The victim's facts as the last contact brought them into the store, without what moves by itself."""
    store = open_store(scene.project.root, open_settings({"directory": str(scene.project.root)})[1])
    try:
        facts = dict(store.facts()[scene.victim.name][0])
    finally:
        store.close()
    return {key: _still(value) for key, value in facts.items()}


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _still(one) for key, one in value.items() if key not in MOVING}
    return [_still(one) for one in value] if isinstance(value, list) else value


def _login_says(line: str) -> Callable[[Scene], str]:
    def inject(scene: Scene) -> str:
        assert scene.run("plan").code == 0
        facts = json.dumps(facts_of(scene), sort_keys=True)
        scene.victim.write(BASHRC, line + "\n")
        return facts

    return inject


def _same_facts(scene: Scene) -> None:
    assert scene.run("plan").code == 0
    assert facts_of(scene) == json.loads(scene.injected)


for variant, line in SETTINGS.items():
    row(
        Row(
            f"E10.{variant}",
            f"login scripts say: {line}",
            inject=_login_says(line),
            mend=lambda scene: scene.victim.exec(["rm", BASHRC]) and None,
            says=None if "zone" in variant else _same_facts,
            doctor="umask" if variant in ("umask-000", "umask-777") else "executor",
        )
    )

# -- a mount whose server is gone

FUSE_INIT, FUSE_INIT_OUT = 26, 64


class DeadMount:
    """A FUSE file system in a host whose server does not answer. `reads`: it takes requests in, so that who waits cannot even be killed."""

    def __init__(self, host: LabHost, path: str, *, reads: bool) -> None:
        self._host, self._path, self._reads = host, path, reads
        self._gone = False
        host.exec(["mkdir", "-p", path])
        self._server = os.open("/dev/fuse", os.O_RDWR)
        mount = (
            "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True)\n"
            f"sys.exit(libc.mount(b'server:/dead', {path!r}.encode(), b'fuse.dead', 0,"
            f" b'fd={self._server},rootmode=40000,user_id=0,group_id=0,allow_other') and ctypes.get_errno())"
        )
        done = subprocess.run(
            ["nsenter", "-t", str(host.init), "-m", "--", "/usr/bin/python3", "-c", mount],
            pass_fds=[self._server],
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"no FUSE mount in {host.name}: {os.strerror(done.returncode)}")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        """Answer INIT, without which nothing would even be asked; then nothing any more."""
        try:
            while not self._gone:
                request = os.read(self._server, 1 << 17)
                if int.from_bytes(request[4:8], sys.byteorder) == FUSE_INIT:
                    out = (7).to_bytes(4, sys.byteorder) + (31).to_bytes(4, sys.byteorder) + b"\0" * (FUSE_INIT_OUT - 8)
                    unique = request[8:16]
                    os.write(self._server, (16 + len(out)).to_bytes(4, sys.byteorder) + b"\0" * 4 + unique + out)
                    if not self._reads:
                        return
        except OSError:
            return  # unmounted

    def remove(self) -> None:
        """What waits gets an error, and the mount goes."""
        self._gone = True
        # FORCE and DETACH: who waits gets an error
        unmount = "import ctypes, sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 1 | 2) and 1)"
        self._host.exec(["/usr/bin/python3", "-c", unmount, self._path])
        os.close(self._server)


def _dead_mount(*, reads: bool) -> Callable[[Scene], DeadMount]:
    return lambda scene: DeadMount(scene.victim, "/mnt/dead", reads=reads)


def _alive(scene: Scene) -> None:
    if scene.injected is not None:
        scene.injected.remove()


def _marked_missing(scene: Scene) -> None:
    assert scene.said is not None
    assert scene.said.seconds < 30, scene.said
    assert "/mnt/dead" in facts_of(scene)["missing"]["mounts"]


if Path("/dev/fuse").exists():
    for variant, reads, title in (
        ("stopped", False, "its server is stopped"),
        ("hung", True, "its server took the request, and who waits cannot be killed"),
    ):
        row(
            Row(
                f"E12.{variant}",
                f"a mount hangs: {title}",
                inject=_dead_mount(reads=reads),
                mend=_alive,
                says=_marked_missing,
                doctor="/mnt/dead",
                bound_s=60,
            )
        )
else:
    NOT_RUN["E12"] = "this kernel has no /dev/fuse to hang a mount with"

# -- clocks

WRONG_CLOCK = """\
#!/usr/bin/python3 -EsSB
# what is given to -c runs with a clock of its own
import sys, time
real = time.time
offset = {offset}
if sys.argv[1:] and "-c" in sys.argv:
    time.time = lambda: real() + offset
    at = sys.argv.index("-c")
    program, sys.argv[:] = sys.argv[at + 1], ["-c", *sys.argv[at + 2 :]]
    sys.path[:] = [entry for entry in sys.path if entry]
    exec(compile(program, "<string>", "exec"), {{"__name__": "__main__", "__builtins__": __builtins__}})
"""
CLOCKS = {"ahead": "86400", "behind": "-86400", "1970": "-real() + 3600", "2040": "2209000000 - real()"}


def _clock(offset: str) -> Callable[[Scene], None]:
    return lambda scene: script(scene, "/usr/local/bin/python3", WRONG_CLOCK.format(offset=offset))


def _own_times(scene: Scene) -> None:
    """Times of a run are the controller's."""
    assert scene.said is not None
    shown = scene.run("runs", "show", scene.said.json["run"], "--json").json
    year = "20" + subprocess.run(["date", "+%y"], capture_output=True, text=True, check=True).stdout.strip()
    assert shown["started"].startswith(year), shown["started"]
    assert shown["ended"].startswith(year), shown["ended"]
    assert abs(facts_of(scene)["time"]["skew_s"]) > 80000, facts_of(scene)["time"]


for variant, offset in CLOCKS.items():
    row(
        Row(
            f"E15.{variant}",
            f"the host's clock is wrong: {variant}",
            inject=_clock(offset),
            mend=lambda scene: scene.victim.exec(["rm", "/usr/local/bin/python3"]) and None,
            says=_own_times,
            doctor="nothing is decided by it",
        )
    )
