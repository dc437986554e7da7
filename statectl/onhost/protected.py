"""Directories the system lives in: never removed, emptied or handed to another owner as a whole, whoever asks.

The controller refuses such a declaration before anything is contacted; the host refuses again, with links resolved.
"""

import os

# fmt: off
_TOP = (
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc",
    "root", "run", "sbin", "snap", "srv", "sys", "tmp", "usr", "var", "lost+found",
)
_BELOW = (
    "/etc/pam.d", "/etc/ssh", "/etc/systemd", "/etc/systemd/system", "/usr/bin", "/usr/etc", "/usr/include",
    "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/libx32", "/usr/lib/modules",
    "/usr/lib/systemd", "/usr/lib/systemd/system", "/usr/local", "/usr/local/bin", "/usr/local/lib",
    "/usr/local/sbin", "/usr/local/share", "/usr/sbin", "/usr/share", "/usr/src", "/var/cache", "/var/lib",
    "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/systemd", "/var/lock", "/var/log", "/var/mail", "/var/run",
    "/var/spool", "/var/tmp",  # noqa: S108  a name, never opened
)
# fmt: on
PROTECTED = frozenset(("/",) + tuple("/" + name for name in _TOP) + _BELOW)  # noqa: RUF005  one idea, three sums


def is_protected(path: str) -> bool:
    """Is this normalised absolute path one of them? On the host, ask `resolved` too."""
    return path in PROTECTED


def resolved(path: str, root: str = "") -> str:
    """`path` with the links in it followed, as seen inside `root`."""
    real = os.path.realpath(root + path)
    base = os.path.realpath(root) if root else ""
    return (real[len(base) :] or "/") if real.startswith(base) else real
