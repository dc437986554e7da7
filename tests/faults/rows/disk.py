"""Disk and files: full, read-only, barred, odd, and huge. Power cuts and kills at every call are sweeps of their own (tests/sweeps)."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.row import DONE, FAILED, REFUSED, Row, row
from tests.faults.scene import Scene

SMALL = """\
associations:
  small:
    targets: all
    directories: {/small: {}}
    files:
      /small/first.conf: {content: "{{ 'x' * 3000000 }}"}
      /small/other.conf: {content: "short\\n"}
"""
OLD_SMALL = "what was there before\n"


def failed(scene: Scene, address: str, *words: str) -> None:
    """A resource of the victim failed, or could not even be planned, and the words are in what is told of it."""
    result = scene.results(scene.victim).get(address)
    if result is not None:
        assert result["outcome"] == "failed", result
        told = str(result["error"] or result["reason"])
    else:
        assert scene.said is not None
        verdicts = scene.said.json["plan"]["hosts"][scene.victim.name]["verdicts"]
        (verdict,) = (one for one in verdicts if one["address"] == address)
        assert verdict["verdict"] == "refused", verdict
        told = str(verdict["reason"])
    for word in words:
        assert word in told, f"{word!r} is not told of {address}: {told}"


def small(*options: str) -> Callable[[Scene], None]:
    """A tmpfs on /small of the victim, with the old file in it."""

    def inject(scene: Scene) -> None:
        scene.victim.exec(["mkdir", "-p", "/small"])
        scene.victim.exec(["mount", "-t", "tmpfs", *options, "small", "/small"])
        scene.victim.write("/small/first.conf", OLD_SMALL)

    return inject


def _unmount_small(scene: Scene) -> None:
    scene.victim.exec(["umount", "/small"])


def old_is_there(scene: Scene) -> None:
    assert scene.victim.read("/small/first.conf") == OLD_SMALL
    left = [name for name in scene.victim.sh("ls -A /small").split() if name not in ("first.conf", "other.conf")]
    assert not left, f"left behind on the full disk: {left}"


def _full(scene: Scene) -> None:
    failed(scene, "file:/small/first.conf", "no space left on device", "needs 2.9 MB", "free on /small")
    old_is_there(scene)


row(
    Row(
        "D01",
        "the target's file system is full",
        inject=small("-o", "size=1m"),
        mend=_unmount_small,
        says=_full,
        codes=(FAILED,),
        states=SMALL,
    )
)


def _no_inodes(scene: Scene) -> None:
    failed(scene, "file:/small/first.conf", "no inodes left on /small")
    old_is_there(scene)


row(
    Row(
        "D03",
        "no inodes are left",
        inject=small("-o", "size=10m,nr_inodes=2"),
        mend=_unmount_small,
        says=_no_inodes,
        codes=(FAILED,),
        states=SMALL,
    )
)


def _read_only_small(scene: Scene) -> None:
    small("-o", "size=10m")(scene)
    scene.victim.exec(["mount", "-o", "remount,ro", "/small"])


def _told_read_only(scene: Scene) -> None:
    failed(scene, "file:/small/first.conf", "read-only file system", "/small")
    old_is_there(scene)


row(
    Row(
        "D04.target",
        "the target's file system is read-only",
        inject=_read_only_small,
        mend=_unmount_small,
        says=_told_read_only,
        codes=(FAILED,),
        states=SMALL,
    )
)


WRITTEN = "/etc /usr /var/lib /var/cache /srv /home /root"


def _all_read_only(scene: Scene) -> None:
    """Every place that matters on a read-only mount of its own: the root's own mount is busy with the system's logs."""
    scene.victim.sh(
        f"set -e; for place in {WRITTEN}; do mount --bind $place $place; mount -o remount,bind,ro $place; done"
    )


def _told_of_root(scene: Scene) -> None:
    told = str(scene.host_told())
    assert "read-only file system" in told.lower(), told


row(
    Row(
        "D04.root",
        "the root file system is read-only",
        inject=_all_read_only,
        mend=lambda scene: scene.victim.sh(f"for place in {WRITTEN}; do umount -l $place; done"),
        says=_told_of_root,
        codes=(FAILED, REFUSED),
        witness=False,  # all hosts are planned before any is written to, and this one cannot be
    )
)


def fill(*places: str) -> Callable[[Scene], None]:
    """Directories of the victim on file systems of their own, with what they held and no room for more."""

    def inject(scene: Scene) -> None:
        for place in places:
            scene.victim.sh(
                f"set -e; mkdir -p {place}; cp -a {place} /run/kept; mount -t tmpfs -o size=40m,mode=0755 full {place}; "
                f"cp -a /run/kept/. {place}/; rm -rf /run/kept; "
                f"dd if=/dev/zero of={place}/filler bs=1k 2>/dev/null || true"
            )

    return inject


def emptied(*places: str) -> Callable[[Scene], None]:
    """The directories are what they were, with what was written meanwhile, and there is room."""

    def mend(scene: Scene) -> None:
        for place in places:
            scene.victim.sh(
                f"set -e; rm -f {place}/filler; cp -a {place} /run/kept; umount {place}; "
                f"rm -rf {place}/*; cp -a /run/kept/. {place}/; rm -rf /run/kept"
            )

    return mend


def _told_no_space(scene: Scene) -> None:
    told = str(scene.host_told())
    assert "no space" in told.lower(), told


row(
    Row(
        "D02.cache",
        "the executor's cache is full",
        inject=lambda scene: (scene.victim.sh("rm -rf /var/cache/statectl"), fill("/var/cache/statectl")(scene)),
        mend=emptied("/var/cache/statectl"),
        codes=(DONE, FAILED),
        witness=False,
    )
)
row(
    Row(
        "D02.memory",
        "what the host remembers is on a full disk: nothing is done that cannot be recorded",
        inject=fill("/var/lib/statectl"),
        mend=emptied("/var/lib/statectl"),
        says=lambda scene: (_told_no_space(scene), _nothing_new(scene))[0],
        codes=(FAILED, REFUSED),
        witness=False,
    )
)


def _nothing_new(scene: Scene) -> None:
    assert not scene.victim.exists("/etc/work/large.conf"), "written though it could not be recorded"


row(
    Row(
        "D02.dpkg",
        "dpkg's database is on a full disk",
        inject=fill("/var/lib/dpkg"),
        mend=emptied("/var/lib/dpkg"),
        says=lambda scene: failed(scene, "package:lab-tool-01", "space"),
        codes=(FAILED,),
    )
)


row(Row("D06", "power cuts around every step of a file replace", sweep=("tests.sweeps.power_cut", "--runs", "700")))
row(Row("D07", "kill -9 at every system call that writes", sweep=("tests.sweeps.crash_points", "--fault", "KILL")))
row(
    Row(
        "D08",
        "EIO and ENOSPC from every system call that writes, fsync among them",
        sweep=("tests.sweeps.crash_points", "--fault", "EIO", "--fault", "ENOSPC"),
    )
)


def _chattr(flag: str) -> Callable[[Scene], None]:
    return lambda scene: scene.victim.exec(["chattr", flag, "/etc/work/adopted.conf"]) and None


for flag, name in (("i", "immutable"), ("a", "append-only")):
    row(
        Row(
            f"D05.{name}",
            f"the file has the {name} attribute",
            inject=_chattr(f"+{flag}"),
            mend=_chattr(f"-{flag}"),
            says=lambda scene, name=name, flag=flag: failed(  # type: ignore[misc]
                scene, "file:/etc/work/adopted.conf", f"the {name} attribute (chattr +{flag}); it was not removed"
            ),
            codes=(FAILED,),
        )
    )

KEPT = """\
associations:
  kept:
    targets: all
    files: {/srv/kept.conf: {content: "new\\n"}}
"""
ACL = bytes.fromhex("0200000001000600ffffffff020004000500000004000400ffffffff10000600ffffffff20000400ffffffff")
XATTRS = {
    "system.posix_acl_access": ACL,
    "user.comment": b"kept",
    "security.capability": bytes.fromhex("0100000200040000000000000000000000000000"),
    "security.selinux": b"system_u:object_r:etc_t:s0\0",
}


def _dressed(scene: Scene) -> Any:
    for host in (scene.victim, scene.witness):
        host.write("/srv/kept.conf", "old\n")
        path = host._within("/srv/kept.conf")
        os.chown(path, 1, 5)
        path.chmod(0o4754)
        for attribute, value in XATTRS.items():
            os.setxattr(path, attribute, value)
        path.with_name("linked.conf").hardlink_to(path)
    return _worn(scene.victim._within("/srv/kept.conf"))


def _worn(path: Path) -> Any:
    found = path.lstat()
    return (
        found.st_uid,
        found.st_gid,
        stat.S_IMODE(found.st_mode),
        {name: os.getxattr(path, name) for name in sorted(os.listxattr(path)) if name in XATTRS},
    )


def _still_dressed(scene: Scene) -> None:
    path = scene.victim._within("/srv/kept.conf")
    assert path.read_text() == "new\n"
    assert _worn(path) == scene.injected, f"{_worn(path)} was {scene.injected}"
    assert scene.victim.read("/srv/linked.conf") == "old\n"  # the documented choice: a hard link is broken


row(
    Row(
        "D09",
        "owner, mode, setuid, ACL and attributes of a file whose content changes",
        inject=_dressed,
        says=_still_dressed,
        states=KEPT,
    )
)

READER = """
import os, sys, time
os.setgid(65534); os.setuid(65534)
end = time.monotonic() + 30
seen = b""
while time.monotonic() < end and not os.path.exists("/run/enough"):
    for name in os.listdir("/srv/open"):
        try:
            with open("/srv/open/" + name, "rb") as stream:
                seen += stream.read()
        except OSError:
            continue
sys.stdout.buffer.write(seen[:100])
"""
SECRETS = """\
associations:
  secrets:
    targets: all
    directories: {{/srv/open: {{mode: "0755"}}}}
    files:
{files}
"""


def _reader(scene: Scene) -> None:
    """Another user reads everything in the directory while secrets are written there."""
    scene.victim.sh("mkdir -p -m 0755 /srv/open")
    seen = scene.victim.exec(["python3", "-c", READER], timeout=60).out
    assert seen == "", f"read while it was written: {seen}"


def _enough(scene: Scene) -> None:
    assert scene.process is not None
    import threading

    reader = threading.Thread(target=scene.process.wait)
    reader.start()
    stopper = threading.Thread(target=lambda: (reader.join(), scene.victim.sh("touch /run/enough")))
    stopper.start()
    _reader(scene)
    stopper.join()


row(
    Row(
        "D10",
        "another user tries to read secrets while they are written",
        during=_enough,
        states=SECRETS.format(
            files="\n".join(f'      /srv/open/{n}: {{content: "secret {n}\\n", sensitive: true}}' for n in range(60))
        ),
    )
)

LONG = "n" * 256
PLACES = f"""\
associations:
  places:
    targets: all
    files:
      /srv/{LONG}: {{content: x}}
"""


def _name_too_long(scene: Scene) -> None:
    assert scene.said is not None
    assert "too long" in scene.said.out + scene.said.err, scene.said


row(
    Row(
        "D12.name",
        "a name that the file system cannot hold",
        says=_name_too_long,
        codes=(FAILED, 4),
        states=PLACES,
        mend=lambda scene: scene.project.remove("states/row.yml"),
        witness=False,
    )
)
MISSING = """\
associations:
  places:
    targets: all
    files: {/srv/nowhere/at/all.conf: {content: x}}
"""
row(
    Row(
        "D12.directory",
        "the directory is missing",
        inject=lambda scene: scene.witness.sh("mkdir -p /srv/nowhere/at"),
        mend=lambda scene: scene.victim.sh("mkdir -p /srv/nowhere/at"),
        says=lambda scene: failed(scene, "file:/srv/nowhere/at/all.conf", "/srv/nowhere"),
        codes=(FAILED,),
        states=MISSING,
        witness=False,  # it cannot be planned, and all hosts are planned before any is written to
    )
)
row(
    Row(
        "D12.mount",
        "the file is itself a mount point",
        inject=lambda scene: scene.victim.sh(
            "echo old > /srv/mounted.conf; touch /run/below; mount --bind /run/below /srv/mounted.conf"
        ),
        mend=lambda scene: scene.victim.sh("umount /srv/mounted.conf"),
        says=lambda scene: failed(scene, "file:/srv/mounted.conf", "mount point"),
        codes=(FAILED,),
        states=MISSING.replace("/srv/nowhere/at/all.conf", "/srv/mounted.conf"),
    )
)

# -- what is not a file ------------------------------------------------------------------------------------------------

KINDS = ("link", "dangling", "directory", "fifo", "socket", "device")
ODD = "associations:\n  odd:\n    targets: all\n    files:\n" + "".join(
    f'      /srv/odd-{kind}: {{content: "new\\n"}}\n' for kind in KINDS
)


def _odd(scene: Scene) -> None:
    host = scene.victim
    host.sh(
        "echo precious > /srv/target; ln -s target /srv/odd-link; ln -s nowhere /srv/odd-dangling; "
        "mkdir /srv/odd-directory; mkfifo /srv/odd-fifo; mknod /srv/odd-device c 1 3"
    )
    path = host._within("/srv/odd-socket")
    here = os.open(path.parent, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/odd-socket")
    finally:
        os.close(here)


def _nothing_followed(scene: Scene) -> None:
    for kind, words in {"link": "link", "dangling": "link", "directory": "directory", "fifo": "fifo"}.items():
        failed(scene, f"file:/srv/odd-{kind}", words)
    for kind in ("socket", "device"):
        failed(scene, f"file:/srv/odd-{kind}", kind)
    assert scene.victim.read("/srv/target") == "precious\n"
    assert not scene.victim.exists("/srv/nowhere")


row(
    Row(
        "D14",
        "where the file should be is a link, directory, fifo, socket or device",
        inject=_odd,
        mend=lambda scene: scene.victim.sh("rm -r /srv/odd-*"),
        says=_nothing_followed,
        codes=(FAILED,),
        bound_s=40,
        states=ODD,
        witness=False,
    )
)

# -- volume and bytes --------------------------------------------------------------------------------------------------

HUGE = """\
associations:
  huge:
    targets: all
    files: {/srv/huge.bin: {content: "small now\\n"}}
    directories: {/srv/many: {mode: "0750"}}
"""


def _huge(scene: Scene) -> None:
    scene.victim.sh("truncate -s 5G /srv/huge.bin")
    scene.victim.exec(
        [
            "python3",
            "-c",
            "import os\nos.makedirs('/srv/many')\nfor n in range(100000): open('/srv/many/%d' % n, 'w').close()",
        ]
    )


def _small_in_memory(scene: Scene) -> None:
    assert scene.victim.read("/srv/huge.bin") == "small now\n"


row(
    Row(
        "D16",
        "a file of 5 GiB is replaced, in a directory beside 100,000 others",
        inject=_huge,
        says=_small_in_memory,
        bound_s=120,
        slower_s=60,
        states=HUGE,
    )
)

BYTES = {
    "binary": bytes(range(256)) * 10,
    "not-utf-8": b"caf\xe9\n",
    "crlf": b"one\r\ntwo\r\n",
    "bom": b"\xef\xbb\xbfone\n",
    "no-newline": b"one",
    "empty": b"",
}
ODD_NAMES = (b"with\nnewline", b"not-\xff-utf-8", "ümläut".encode(), b"with space", b"-rf")


def _odd_bytes(scene: Scene) -> None:
    place = scene.project.root / "states" / "bytes"
    (place / "tree").mkdir(parents=True)
    for name, data in BYTES.items():
        (place / name).write_bytes(data)
    for name in ODD_NAMES:
        Path(os.fsdecode(bytes(place / "tree") + b"/" + name)).write_bytes(name)
    scene.project.write(
        "states/bytes.yml",
        "associations:\n  bytes:\n    targets: all\n    files:\n"
        + "".join(f"      /srv/bytes-{name}: {{source: bytes/{name}}}\n" for name in BYTES)
        + "    trees: {/srv/bytes: {source: bytes/tree}}\n",
    )


def _byte_for_byte(scene: Scene) -> None:
    for host in (scene.victim, scene.witness):
        for name, data in BYTES.items():
            assert host._within(f"/srv/bytes-{name}").read_bytes() == data, name
        names = sorted(os.listdir(os.fsencode(host._within("/srv/bytes"))))
        assert names == sorted(ODD_NAMES), names
    assert scene.said is not None
    assert "\\u0000" not in scene.said.out


row(
    Row(
        "D17",
        "binary files, other encodings, names with line breaks and bytes that are no text",
        inject=_odd_bytes,
        says=_byte_for_byte,
    )
)
