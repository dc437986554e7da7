"""What is on a host, read by the host's own tools and none of statectl's code: before and after an apply."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.lab import LabHost

# runs on the host: stdin of a Python that may be 3.9. Reads {address: [[kind, argument], ...]}, prints {address: {key: text}}
SCRIPT = r"""
import grp, hashlib, json, os, pwd, shutil, subprocess

def said(*argv):
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return done.stdout.decode(errors="replace").strip()

def path(name):
    try:
        info = os.lstat(name)
    except OSError:
        return ""
    parts = ["%o" % info.st_mode, info.st_uid, info.st_gid]
    if os.path.islink(name):
        return "link " + os.readlink(name)
    if os.path.isfile(name):
        with open(name, "rb") as stream:
            parts.append(hashlib.sha256(stream.read()).hexdigest())
    return " ".join(map(str, parts))

def tree(name):
    found = [path(name)]
    for top, directories, files in sorted(os.walk(name)):
        found += ["%s %s" % (os.path.join(top, entry), path(os.path.join(top, entry))) for entry in sorted(directories + files)]
    return "\n".join(found) if found[0] else ""

def listing(name):
    return "\n".join(sorted(os.listdir(name))) if os.path.isdir(name) else ""

def user(name):
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return ""
    shadow = [line for line in open("/etc/shadow") if line.startswith(name + ":")]
    return "%s %s %s" % (tuple(entry), sorted(os.getgrouplist(name, entry.pw_gid)), shadow)

def group(name):
    try:
        return str(grp.getgrnam(name).gr_gid)
    except KeyError:
        return ""

def package(name):
    words = said("dpkg-query", "-W", "-f", "${db:Status-Want} ${db:Status-Status} ${Version}", name).split()
    return " ".join(words) if words[1:] and words[1] != "not-installed" else ""

def rpm(name):
    told = said("rpm", "-q", "--queryformat", "%{VERSION}-%{RELEASE}", name)
    return told.splitlines()[0] if told and "not installed" not in told else ""

def service(name):
    shown = said("systemctl", "show", name, "-p", "ActiveState", "-p", "UnitFileState", "-p", "LoadState", "--value")
    return " ".join(shown.split())

def keys(name):
    try:
        home = pwd.getpwnam(name).pw_dir
    except KeyError:
        return ""
    return path(home + "/.ssh/authorized_keys")

def proc(name):
    try:
        with open("/proc/sys/" + name.replace(".", "/")) as stream:
            return stream.read().strip()
    except OSError:
        return ""

def mounted(name):
    with open("/proc/self/mountinfo") as stream:
        lines = [line for line in stream if line.split()[4] == name.replace(" ", "\\040")]
    with open("/etc/fstab") as stream:
        lines += [line for line in stream if line.split()[1:2] == [name.replace(" ", "\\040")]]
    return "".join(" ".join(line.split()[5:]) + "\n" for line in lines)

print(json.dumps({a: {"%s %s" % (k, n): globals()[k](n) for k, n in p} for a, p in WANTED.items()}))
"""

Seen = Mapping[str, Mapping[str, str]]
# of each type: what to look at, as [kind, argument]; {} is the name
_LOOK: Mapping[str, tuple[tuple[str, str], ...]] = {
    "package_repository": (
        ("path", "/etc/apt/sources.list.d/{}.sources"),
        ("path", "/etc/apt/keyrings/{}.asc"),
        ("path", "/etc/yum.repos.d/{}.repo"),
        ("path", "/etc/zypp/repos.d/{}.repo"),
    ),
    "package": (("package", "{}"), ("rpm", "{}")),
    "unix_group": (("group", "{}"),),
    "user": (("user", "{}"),),
    "authorized_key": (("keys", "{}"),),
    "directory": (("path", "{}"),),
    "tree": (("tree", "{}"),),
    "file": (("path", "{}"),),
    "link": (("path", "{}"),),
    "unit": (("path", "/etc/systemd/system/{}"), ("tree", "/etc/systemd/system/{}.d")),
    "service": (("service", "{}"),),
    "cron_job": (("path", "/etc/cron.d/statectl-{}"),),
    "sysctl": (("proc", "{}"), ("path", "/etc/sysctl.d/60-statectl.conf")),
    "mount": (("mounted", "{}"),),
}


def places(address: str, declared: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What to look at for one resource; [] where that cannot be told from its address and its body."""
    kind, _, name = address.partition(":")
    body = declared if isinstance(declared, Mapping) else {}
    found = [(how, argument.format(name)) for how, argument in _LOOK.get(kind, ())]
    if kind == "directory" and body.get("exclusive"):
        found.append(("listing", name))
    if kind == "directory" and body.get("recurse"):
        found.append(("tree", name))
    if kind in ("line", "text_block") and "{" not in str(body.get("path", "{")):
        found.append(("path", body["path"]))
    if kind in ("authorized_key", "cron_job", "sysctl") and body.get("file"):
        found = [("path", body["file"]), *(entry for entry in found if entry[0] == "proc")]
    if kind == "command" and "mark" in (body.get("env") or {}):
        found.append(("path", body["env"]["mark"]))
    return found


def observe(host: LabHost, wanted: Mapping[str, Iterable[tuple[str, str]]]) -> Seen:
    """{address: {what was looked at: what is there, '' for nothing}}"""
    lists = {address: [list(entry) for entry in entries] for address, entries in wanted.items()}
    ran = host.exec(["python3", "-"], stdin=f"WANTED = {lists!r}\n{SCRIPT}")
    found: Seen = json.loads(ran.out)
    return found
