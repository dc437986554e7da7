"""A few dozen resources of all types, few enough to collide: within a catalogue, with the one before, and with what people do."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

KEYS = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vu two",
)
UNIT = "[Unit]\nDescription={}\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
TREES = {
    "tree-one/a.txt": "a\n",
    "tree-one/deep/b.txt": "b\n",
    "tree-two/a.txt": "other\n",
    "tree-two/c.txt": "c\n",
}  # files of the project, below states/
MARKS = "/var/tmp"  # where commands say that they ran


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def fields(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Each field or not."""
    return st.fixed_dictionaries({}, optional=parts)


def command(name: str, **guard: Any) -> dict[str, Any]:
    mark = f"{MARKS}/{name}.mark"
    return {"run": 'echo ran >> "$mark"', "env": {"mark": mark}, **guard}


_MODE = one_of("0644", "0600", "0750", "0755")
_OWNER = one_of("root", "plain", "tu1")
_TOOL = one_of(
    "present", "present", "latest", "1.0", "1.1", "absent", "purged", {"version": "1.0", "hold": True}, {"hold": False}
)
_DIRECTORY = st.one_of(one_of("absent"), fields(mode=_MODE, owner=_OWNER), fields(exclusive=one_of(True)))
_FILE = st.one_of(
    one_of("absent"),
    st.fixed_dictionaries(
        {"content": one_of("one\n", "two\nthree\n", "")}, optional={"mode": _MODE, "owner": _OWNER, "group": _OWNER}
    ),
)
_APT = {"components": ["main"], "suites": ["lab"]}
_SERVICE = one_of(
    "running",
    "running",
    "stopped",
    {"state": "running", "enabled": False, "on_notify": "reload"},
    {"state": "running", "on_notify": "try-restart"},
    {"enabled": True},
    {"state": "stopped", "masked": True},
)

# section -> key -> what may be declared for it
UNIVERSE: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "package_repositories": {
        "extra": one_of(
            {"uris": ["file:/srv/lab/apt/extra"], "signed_by": "/srv/lab/apt/keys/extra.asc", **_APT}, "absent"
        ),
        "unsigned": one_of({"uris": ["file:/srv/lab/apt/unsigned"], "suites": ["./"], "allow_unsigned": True}),
    },
    "packages": {
        "lab-tool-01": _TOOL,
        "lab-tool-02": _TOOL,
        "lab-tool-03": _TOOL,
        "lab-extra-01": one_of("present", "1.*", "absent"),
        "lab-unsigned": one_of("present", "purged"),
        "lab-conf": one_of("present", "1.0", "latest", "absent", "purged"),
        "lab-conflict": one_of("present", "absent"),
        "lab-depends": one_of("present", "absent"),
        "lab-recommends": one_of("present", {"recommends": True}, {"recommends": False}, "absent"),
        "lab-service-01": one_of("present", "1.0", "latest", "absent", "purged"),
        "lab-service-02": one_of("present", "absent"),
    },
    "unix_groups": {
        "tg1": one_of("present", {"gid": 4701}, {"gid": 4702}, "absent"),
        "tg2": one_of("present", {"system": True}, "absent"),
    },
    "users": {
        "tu1": st.one_of(
            one_of("absent", {"state": "absent", "remove_home": True}),
            fields(
                group=one_of("tg1", "tg2"),
                groups=one_of(["tg2"], []),
                append=one_of(True),
                shell=one_of("/bin/sh", "/bin/bash"),
                comment=one_of("one", "two"),
                uid=one_of(4801, 4802),
            ),
        ),
        "tu2": st.one_of(one_of("absent"), fields(system=one_of(True), groups=one_of(["tg1", "tg2"]))),
    },
    "authorized_keys": {
        "tu1": one_of([KEYS[0]], {"keys": [KEYS[1]], "exclusive": True}),
        "plain": one_of([KEYS[0]], list(KEYS), {"state": "absent", "keys": [KEYS[0]]}),
    },
    "directories": {"/srv/t": fields(mode=_MODE), "/srv/t/a": _DIRECTORY, "/srv/t/b": _DIRECTORY, "/srv/t/m": fields()},
    "trees": {
        "/srv/t/tree": st.fixed_dictionaries(
            {"source": one_of("tree-one", "tree-two")}, optional={"exclusive": one_of(True), "owner": _OWNER}
        )
    },
    "files": {
        "/srv/t/a/f": _FILE,
        "/srv/t/a/x": _FILE,
        "/srv/t/b": _FILE,
        "/srv/t/b/f": _FILE,
        "/etc/t.conf": st.one_of(_FILE, fields(mode=_MODE)),
        "/etc/lab-service-01.conf": fields(mode=_MODE, owner=_OWNER),
    },
    "links": {
        "/srv/t/l": one_of("/srv/t/a", "b", "absent", {"to": "/etc", "force": True}),
        "/srv/t/a/x": one_of("f", {"to": "f", "force": True}),
    },
    "lines": {
        "tl1": one_of(
            {"path": "/etc/t-lines.conf", "line": "a=1", "match": "^a=", "create": True},
            {"path": "/etc/t-lines.conf", "line": "a=2", "match": "^a="},
            {"path": "/etc/t-lines.conf", "match": "^a=", "state": "absent"},
        ),
        "tl2": one_of(
            {"path": "/etc/lab-service-01.conf", "line": "workers = 4", "match": "^workers"},
            {"path": "/etc/lab-conf.conf", "line": "more = 1"},
        ),
    },
    "text_blocks": {
        "tb1": one_of(
            {"path": "/etc/t-lines.conf", "content": "x\ny\n", "create": True},
            {"path": "/etc/t-lines.conf", "state": "absent"},
            {"path": "/etc/t.conf", "content": "z\n"},
        )
    },
    "units": {
        "t-hello.service": one_of(
            {"content": UNIT.format("one")}, {"content": UNIT.format("two")}, "absent", {"content": UNIT.format("one")}
        ),
        "lab-service-01.service": one_of(
            {"drop_in": "t", "content": "[Service]\nNice=1\n"}, {"drop_in": "t", "content": "[Service]\nNice=2\n"}
        ),
    },
    "services": {"t-hello": _SERVICE, "lab-service-01": _SERVICE, "lab-service-02": _SERVICE},
    "cron_jobs": {
        "tc1": st.one_of(
            one_of("absent"),
            st.fixed_dictionaries(
                {"command": one_of("/bin/true", "/bin/false")}, optional={"user": _OWNER, "minute": one_of("5", "*/7")}
            ),
        )
    },
    "sysctls": {
        "net.ipv4.conf.all.log_martians": one_of("0", "1"),
        "net.ipv4.ip_forward": one_of("0", "1", {"value": "1", "reload": False}),
    },
    "mounts": {
        "/srv/t/m": one_of(
            {"device": "tmpfs", "fstype": "tmpfs", "options": "size=1m,mode=0755"},
            {"device": "tmpfs", "fstype": "tmpfs", "options": "size=2m,mode=0755"},
            {"device": "tmpfs", "fstype": "tmpfs", "state": "present"},
            "absent",
        )
    },
    "commands": {
        "c-creates": one_of(
            {"run": "echo ran > /var/tmp/made2", "creates": "/var/tmp/made2"},
            {"run": "echo ran > /var/tmp/made", "creates": "/var/tmp/made", "user": "tu1"},
        ),
        "c-unless": one_of(
            command("c-unless", unless=["/usr/bin/test", "-s", f"{MARKS}/c-unless.mark"]),
            command("c-unless", unless=f"test -s {MARKS}/c-unless.mark || grep -q two /etc/t.conf"),
        ),
        "c-changed": one_of(
            command("c-changed", when_changed="file:/etc/t.conf"), command("c-changed", when_changed="*")
        ),
    },
}
TYPES = {
    "package_repositories": "package_repository",
    "directories": "directory",
    "authorized_keys": "authorized_key",
}

_SHARED = (("directories", "/srv/t"),)
# what is usually declared beside something
COMPANIONS: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("services", "t-hello"): (("units", "t-hello.service"),),
    ("services", "lab-service-01"): (("packages", "lab-service-01"),),
    ("services", "lab-service-02"): (("packages", "lab-service-02"),),
    ("packages", "lab-extra-01"): (("package_repositories", "extra"),),
    ("packages", "lab-unsigned"): (("package_repositories", "unsigned"),),
    ("authorized_keys", "tu1"): (("users", "tu1"),),
    ("users", "tu1"): (("unix_groups", "tg1"), ("unix_groups", "tg2")),
    ("users", "tu2"): (("unix_groups", "tg1"), ("unix_groups", "tg2")),
    ("directories", "/srv/t/a"): (*_SHARED, ("users", "tu1")),
    ("directories", "/srv/t/b"): (*_SHARED, ("users", "tu1")),
    ("directories", "/srv/t/m"): _SHARED,
    ("trees", "/srv/t/tree"): (*_SHARED, ("users", "tu1")),
    ("files", "/srv/t/a/f"): (("directories", "/srv/t/a"),),
    ("files", "/srv/t/a/x"): (("directories", "/srv/t/a"),),
    ("files", "/srv/t/b"): (*_SHARED, ("users", "tu1")),
    ("files", "/srv/t/b/f"): (("directories", "/srv/t/b"),),
    ("files", "/etc/t.conf"): (("users", "tu1"),),
    ("files", "/etc/lab-service-01.conf"): (("packages", "lab-service-01"), ("users", "tu1")),
    ("links", "/srv/t/l"): _SHARED,
    ("links", "/srv/t/a/x"): (("directories", "/srv/t/a"),),
    ("lines", "tl2"): (("packages", "lab-service-01"), ("packages", "lab-conf")),
    ("mounts", "/srv/t/m"): (("directories", "/srv/t/m"),),
    ("commands", "c-creates"): (("users", "tu1"),),
}

# what people do: each line alone, where it can be done
BREAKING = (
    "rm -rf /srv/t/a",
    "mkdir -p /srv/t/a; touch /srv/t/a/extra",
    "rm -rf /srv/t/b; echo file > /srv/t/b",
    "rm -rf /srv/t/b; mkdir -p /srv/t/b",
    "echo more >> /etc/t.conf",
    "chmod 0777 /etc/t.conf /srv/t",
    "rm -f /etc/t-lines.conf",
    "sed -i s/y/broken/ /etc/t-lines.conf",
    "sed -i '/END/d' /etc/t-lines.conf",
    "ln -sfn /etc /srv/t/l",
    "rm -f /srv/t/l; mkdir -p /srv/t/l",
    "userdel tu1",
    "useradd -m tu1",
    "usermod -s /bin/false -c broken tu1",
    "groupdel tg1",
    "groupadd tg2",
    "groupmod -g 4999 tg1",
    "apt-get remove -qq -y lab-tool-01",
    "apt-get install -qq -y --allow-downgrades lab-tool-02=1.0",
    "apt-get install -qq -y lab-conflict",
    "apt-mark hold lab-tool-03",
    "apt-mark unhold lab-tool-01 lab-tool-02 lab-tool-03",
    "apt-get install -qq -y lab-service-01",
    "apt-get purge -qq -y lab-service-01",
    "systemctl stop lab-service-01",
    "systemctl disable --now t-hello",
    "systemctl mask lab-service-02",
    "systemctl unmask lab-service-02 t-hello",
    "echo '# by hand' >> /etc/systemd/system/t-hello.service",
    "rm -f /etc/systemd/system/t-hello.service",
    "rm -f /etc/lab-service-01.conf",
    "echo '# by hand' >> /etc/cron.d/statectl-tc1",
    "sysctl -q -w net.ipv4.ip_forward=0",
    "rm -f /etc/sysctl.d/60-statectl.conf",
    "umount /srv/t/m",
    "sed -i '\\|/srv/t/m|d' /etc/fstab",
    "rm -f /etc/apt/sources.list.d/extra.sources",
    "sed -i s/extra/nowhere/ /etc/apt/sources.list.d/extra.sources",
    "rm -rf /home/plain/.ssh",
    "chmod 0700 /srv/t/tree/a.txt; rm -rf /srv/t/tree/deep",
    "rm -f /var/tmp/made /var/tmp/made2",
)
