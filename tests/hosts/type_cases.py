"""What every resource type must be able to do on a real host, as data; test_types.py is the runner.

A case is an association of its own, so that one failing case stops no other. A new type is tested by adding cases here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent

from testinfra.host import Host

DEBIAN = ("bullseye", "bookworm", "trixie")
EVERYWHERE = (*DEBIAN, "rpm")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt kit"
Check = Callable[[Host], Mapping[str, bool]]


def nothing(_host: Host) -> Mapping[str, bool]:
    return {}


@dataclass(frozen=True)
class Case:
    """`addresses`: what the first plan must name. `breaking`: what a person would do by hand; drift must then name `broken`.

    `absent`: the body that takes it away ('': the type, or this case, has no such form); `gone` holds afterwards.
    `pruned` holds after the declaration was deleted and `apply --prune` has run: things made are gone, things adopted are
    as `prepare` left them.
    """

    name: str
    body: str
    addresses: tuple[str, ...]
    check: Check
    breaking: str
    broken: tuple[str, ...] | None = None  # None: all of `addresses`
    prepare: str = ""
    absent: str = ""
    gone: Check = nothing
    pruned: Check = nothing
    forgotten: tuple[str, ...] = ()  # declared absent: no orphan when the declaration goes
    suites: tuple[str, ...] = DEBIAN
    project: Mapping[str, str] = field(default_factory=dict)  # files of the project, below states/

    @property
    def drifting(self) -> tuple[str, ...]:
        return self.addresses if self.broken is None else self.broken

    @property
    def orphaned(self) -> list[str]:
        return [a for a in self.addresses if a not in self.forgotten and not a.startswith("command:")]

    def yaml(self, body: str) -> str:
        return (
            f"associations:\n  kit-{self.name}:\n    targets: all\n" + indent(dedent(body).strip("\n"), "    ") + "\n"
        )


def has(host: Host, path: str, text: str, mode: int = 0o644, owner: str = "root") -> Mapping[str, bool]:
    """A file with exactly this content, mode and owner."""
    file = host.file(path)
    if not file.is_file:
        return {f"{path} exists": False}
    return {
        f"content of {path}": file.content_string == text,
        f"mode of {path}": file.mode == mode,
        f"owner of {path}": file.user == owner,
    }


def missing(host: Host, *paths: str) -> Mapping[str, bool]:
    return {f"{path} is gone": not host.file(path).exists for path in paths}


def says(host: Host, script: str, text: str) -> Mapping[str, bool]:
    """A shell line prints exactly this."""
    return {f"`{script}` prints {text!r}": host.run(script).stdout.strip() == text}


def installed(host: Host, name: str, version: str = "") -> Mapping[str, bool]:
    there = host.run("dpkg-query -W -f '${db:Status-Status} ${Version}' %s", name).stdout.split()
    return {f"{name} {version} installed": there[:1] == ["installed"] and (not version or there[1] == version)}


def removed(host: Host, name: str) -> Mapping[str, bool]:
    return {f"{name} not installed": not any(installed(host, name).values())}


SOURCE = "/etc/apt/sources.list.d/kit-extra.sources"
UNIT = "[Unit]\nDescription=Kit\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"

CASES = (
    # -- packages --------------------------------------------------------------------------------------------------
    Case(
        "repository",
        """
        package_repositories:
          kit-extra:
            uris: ["file:/srv/lab/apt/extra"]
            suites: [lab]
            components: [main]
            signed_by: /srv/lab/apt/keys/extra.asc
        packages: [lab-extra-01]
        """,
        ("package_repository:kit-extra", "package:lab-extra-01"),
        lambda h: {"source": h.file(SOURCE).contains("/srv/lab/apt/extra"), **installed(h, "lab-extra-01", "1.0")},
        breaking=f"sed -i 's/extra$/nowhere/' {SOURCE}",
        broken=("package_repository:kit-extra",),
        absent="""
        package_repositories: {kit-extra: absent}
        packages: {lab-extra-01: absent}
        """,
        gone=lambda h: {**missing(h, SOURCE), **removed(h, "lab-extra-01")},
        pruned=lambda h: {**missing(h, SOURCE), **removed(h, "lab-extra-01")},
    ),
    Case(
        "repository-unsigned",
        """
        package_repositories:
          kit-unsigned: {uris: ["file:/srv/lab/apt/unsigned"], suites: [./], allow_unsigned: true}
        packages: [lab-unsigned]
        """,
        ("package_repository:kit-unsigned", "package:lab-unsigned"),
        lambda h: installed(h, "lab-unsigned"),
        breaking="apt-get purge -qq -y lab-unsigned",
        broken=("package:lab-unsigned",),
        pruned=lambda h: removed(h, "lab-unsigned"),
    ),
    Case(
        "repository-dnf",
        """
        package_repositories:
          kit-rpm: {baseurl: ["file:///srv/lab/rpm"], gpgcheck: false, allow_unsigned: true, manager: dnf}
        packages:
          lab-gamma: {version: "1.0-1", manager: dnf}
        """,
        ("package_repository:kit-rpm", "package:lab-gamma"),
        lambda h: {
            "repo file": h.file("/etc/yum.repos.d/kit-rpm.repo").contains("/srv/lab/rpm"),
            **says(h, "rpm -q --qf '%%{VERSION}' lab-gamma".replace("%%", "%"), "1.0"),
        },
        breaking="rpm -e lab-gamma; sed -i s/enabled=1/enabled=0/ /etc/yum.repos.d/kit-rpm.repo",
        absent="""
        package_repositories: {kit-rpm: {state: absent, manager: dnf}}
        packages: {lab-gamma: {state: absent, manager: dnf}}
        """,
        gone=lambda h: {**missing(h, "/etc/yum.repos.d/kit-rpm.repo", "/usr/share/lab-gamma/version")},
        pruned=lambda h: {**missing(h, "/etc/yum.repos.d/kit-rpm.repo", "/usr/share/lab-gamma/version")},
        suites=("rpm",),
    ),
    Case(
        "packages",
        """
        packages:
          lab-tool-01: present
          lab-tool-02: "1.0*"
          lab-tool-03: latest
          lab-tool-04: absent
          lab-conf: purged
          lab-tool-05: {version: "1.0", hold: true}
        """,
        tuple(f"package:lab-{name}" for name in ("tool-01", "tool-02", "tool-03", "tool-04", "conf", "tool-05")),
        lambda h: {
            **installed(h, "lab-tool-01", "1.1"),
            **installed(h, "lab-tool-02", "1.0"),
            **installed(h, "lab-tool-03", "1.1"),
            **removed(h, "lab-tool-04"),
            **removed(h, "lab-conf"),
            **missing(h, "/etc/lab-conf.conf"),
            **installed(h, "lab-tool-05", "1.0"),
            **says(h, "apt-mark showhold", "lab-tool-05"),
        },
        prepare="apt-get install -qq -y lab-tool-03=1.0 lab-tool-04 lab-conf lab-tool-02",
        breaking="apt-mark -qq unhold lab-tool-05; apt-get purge -qq -y lab-tool-01; apt-get install -qq -y lab-tool-04 "
        "lab-tool-02 lab-tool-03=1.0 --allow-downgrades",
        broken=tuple(f"package:lab-tool-0{number}" for number in range(1, 6)),
        absent="packages: {lab-tool-01: absent, lab-tool-02: purged}",
        forgotten=("package:lab-tool-04", "package:lab-conf"),
        gone=lambda h: {**removed(h, "lab-tool-01"), **removed(h, "lab-tool-02")},
    ),
    Case(
        "package-prune",
        "packages: [lab-tool-11, lab-tool-12]",
        ("package:lab-tool-11", "package:lab-tool-12"),
        lambda h: {**installed(h, "lab-tool-11"), **installed(h, "lab-tool-12")},
        breaking="apt-get purge -qq -y lab-tool-11 lab-tool-12",
        pruned=lambda h: {**removed(h, "lab-tool-11"), **removed(h, "lab-tool-12")},
    ),
    Case(
        "packages-dnf",
        """
        packages:
          lab-alpha: {manager: dnf}
          lab-beta: {version: "1.0-1", manager: dnf}
        """,
        ("package:lab-alpha", "package:lab-beta"),
        lambda h: {
            **says(h, "cat /usr/share/lab-alpha/version", "1.1-1"),
            **says(h, "cat /usr/share/lab-beta/version", "1.0-1"),
        },
        breaking="rpm -e lab-alpha; dnf -q -y upgrade lab-beta",
        absent="packages: {lab-alpha: {state: absent, manager: dnf}, lab-beta: {state: absent, manager: dnf}}",
        gone=lambda h: missing(h, "/usr/share/lab-alpha/version", "/usr/share/lab-beta/version"),
        pruned=lambda h: missing(h, "/usr/share/lab-alpha/version", "/usr/share/lab-beta/version"),
        suites=("rpm",),
    ),
    # -- accounts --------------------------------------------------------------------------------------------------
    Case(
        "group",
        "unix_groups: {kit-group: {gid: 4711}}",
        ("unix_group:kit-group",),
        lambda h: {"gid": h.group("kit-group").exists and h.group("kit-group").gid == 4711},
        breaking="groupmod -g 54711 kit-group",
        absent="unix_groups: {kit-group: absent}",
        gone=lambda h: {"group gone": not h.group("kit-group").exists},
        pruned=lambda h: {"group gone": not h.group("kit-group").exists},
        suites=EVERYWHERE,
    ),
    Case(
        "user",
        """
        unix_groups: [kit-main, kit-more]
        users:
          kit-user:
            uid: 4800
            group: kit-main
            groups: [kit-more]
            shell: /bin/sh
            comment: made by the kit
            password_hash: "!"
            remove_home: true
        """,
        ("unix_group:kit-main", "unix_group:kit-more", "user:kit-user"),
        lambda h: {
            **says(h, "id -un 4800", "kit-user"),
            **says(h, "id -gn kit-user", "kit-main"),
            **says(h, "id -Gn kit-user", "kit-main kit-more"),
            "shell": h.user("kit-user").shell == "/bin/sh",
            "comment": h.user("kit-user").gecos == "made by the kit",
            "home": h.file("/home/kit-user").is_directory,
        },
        breaking="usermod -s /bin/bash -c changed -G '' kit-user",
        broken=("user:kit-user",),
        absent="users: {kit-user: {state: absent, remove_home: true}}\nunix_groups: {kit-main: absent, kit-more: absent}",
        gone=lambda h: {"user gone": not h.user("kit-user").exists, **missing(h, "/home/kit-user")},
        pruned=lambda h: {"user gone": not h.user("kit-user").exists, **missing(h, "/home/kit-user")},
        suites=EVERYWHERE,
    ),
    Case(
        "user-adopted",
        "users: {kit-old: {shell: /bin/bash, comment: adopted}}",
        ("user:kit-old",),
        lambda h: {"shell": h.user("kit-old").shell == "/bin/bash", "comment": h.user("kit-old").gecos == "adopted"},
        prepare="useradd -m -s /bin/sh -c before kit-old",
        breaking="usermod -s /bin/false kit-old",
        pruned=lambda h: {
            "shell": h.user("kit-old").shell == "/bin/sh",
            "comment": h.user("kit-old").gecos == "before",
        },
    ),
    Case(
        "authorized-key",
        f"authorized_keys: {{plain: ['{KEY}']}}",
        ("authorized_key:plain",),
        lambda h: {
            "key": h.file("/home/plain/.ssh/authorized_keys").contains("ssh-ed25519 .* kit$"),
            "old key kept": h.file("/home/plain/.ssh/authorized_keys").contains("statectl-lab"),
            "mode": h.file("/home/plain/.ssh/authorized_keys").mode == 0o600,
            "owner": h.file("/home/plain/.ssh/authorized_keys").user == "plain",
        },
        breaking="sed -i '/ kit$/d' /home/plain/.ssh/authorized_keys",
        absent=f"authorized_keys: {{plain: {{state: absent, keys: ['{KEY}']}}}}",
        gone=lambda h: {"key gone": not h.file("/home/plain/.ssh/authorized_keys").contains(" kit$")},
        pruned=lambda h: {
            "key gone": not h.file("/home/plain/.ssh/authorized_keys").contains(" kit$"),
            "old key kept": h.file("/home/plain/.ssh/authorized_keys").contains("statectl-lab"),
        },
        suites=EVERYWHERE,
    ),
    Case(
        "authorized-key-exclusive",
        f"""
        users: [kit-keys]
        authorized_keys: {{kit-keys: {{keys: ['{KEY}'], exclusive: true}}}}
        """,
        ("user:kit-keys", "authorized_key:kit-keys"),
        lambda h: has(h, "/home/kit-keys/.ssh/authorized_keys", KEY + "\n", 0o600, "kit-keys"),
        breaking="cat /root/.ssh/authorized_keys >> /home/kit-keys/.ssh/authorized_keys",
        broken=("authorized_key:kit-keys",),
        pruned=lambda h: {"user gone": not h.user("kit-keys").exists},
    ),
    # -- paths -----------------------------------------------------------------------------------------------------
    Case(
        "directory",
        """
        directories:
          /srv/kit: {owner: plain, group: plain, mode: 0750}
          /srv/kit/below: {mode: 0700}
        """,
        ("directory:/srv/kit", "directory:/srv/kit/below"),
        lambda h: {
            "mode": h.file("/srv/kit").mode == 0o750,
            "owner": h.file("/srv/kit").user == "plain",
            "below": h.file("/srv/kit/below").mode == 0o700,
        },
        breaking="chmod 0777 /srv/kit; chown root /srv/kit; rmdir /srv/kit/below",
        absent="directories: {/srv/kit: absent}",
        gone=lambda h: missing(h, "/srv/kit"),
        pruned=lambda h: missing(h, "/srv/kit"),
        suites=EVERYWHERE,
    ),
    Case(
        "directory-exclusive",
        """
        directories:
          /srv/kit-exclusive: {exclusive: true}
        files:
          /srv/kit-exclusive/ours.conf: {content: "ours\\n"}
        """,
        ("directory:/srv/kit-exclusive", "file:/srv/kit-exclusive/ours.conf"),
        lambda h: {
            **has(h, "/srv/kit-exclusive/ours.conf", "ours\n"),
            **missing(h, "/srv/kit-exclusive/theirs.conf", "/srv/kit-exclusive/more"),
        },
        prepare="mkdir -p /srv/kit-exclusive/more; touch /srv/kit-exclusive/theirs.conf /srv/kit-exclusive/more/x",
        breaking="touch /srv/kit-exclusive/theirs.conf",
        broken=("directory:/srv/kit-exclusive",),
        pruned=lambda h: missing(h, "/srv/kit-exclusive/ours.conf"),
    ),
    Case(
        "tree",
        """
        vars: {title: from the kit}
        trees:
          /srv/kit-site: {source: kit-site, templates: ["*.j2"], exclusive: true, owner: plain, mode: 0640}
        """,
        ("tree:/srv/kit-site",),
        lambda h: {
            **has(h, "/srv/kit-site/index.html", "<h1>from the kit</h1>\n", 0o640, "plain"),
            **has(h, "/srv/kit-site/img/raw.txt", "{{ raw }}\n", 0o640, "plain"),
            **missing(h, "/srv/kit-site/extra"),
        },
        breaking="echo x >> /srv/kit-site/index.html; echo y > /srv/kit-site/extra; rm /srv/kit-site/img/raw.txt",
        pruned=lambda h: missing(h, "/srv/kit-site/index.html", "/srv/kit-site/img/raw.txt"),
        suites=EVERYWHERE,
        project={"kit-site/index.html.j2": "<h1>{{ title }}</h1>\n", "kit-site/img/raw.txt": "{{ raw }}\n"},
    ),
    Case(
        "file",
        """
        vars: {greeting: hello}
        files:
          /etc/kit-content.conf: {content: "plain text\\n", owner: root, group: root, mode: 0600}
          /etc/kit-template.conf: {template: kit.conf.j2, mode: 0644}
          /etc/kit-source.conf: {source: kit-source.conf}
          /etc/kit-fragments.conf:
            owner: root
            fragments:
              20-second: {content: "second\\n"}
              10-first: {content: "first\\n"}
        """,
        tuple(f"file:/etc/kit-{name}.conf" for name in ("content", "template", "source", "fragments")),
        lambda h: {
            **has(h, "/etc/kit-content.conf", "plain text\n", 0o600),
            **has(h, "/etc/kit-template.conf", f"hello from {h.backend.hostname}\n"),
            **has(h, "/etc/kit-source.conf", "{{ not a template }}\n"),
            **has(h, "/etc/kit-fragments.conf", "first\nsecond\n"),
        },
        breaking="echo more >> /etc/kit-content.conf; chmod 0666 /etc/kit-template.conf; rm /etc/kit-source.conf; "
        "chown plain /etc/kit-fragments.conf; : > /etc/kit-fragments.conf",
        absent="".join(
            f"{'files:' if name == 'content' else ''}\n  /etc/kit-{name}.conf: absent"
            for name in ("content", "template", "source", "fragments")
        ),
        gone=lambda h: missing(h, "/etc/kit-content.conf", "/etc/kit-template.conf", "/etc/kit-source.conf"),
        pruned=lambda h: missing(h, "/etc/kit-content.conf", "/etc/kit-template.conf", "/etc/kit-source.conf"),
        suites=EVERYWHERE,
        project={
            "kit.conf.j2": "{{ greeting }} from {{ host.name }}\n",
            "kit-source.conf": "{{ not a template }}\n",
        },
    ),
    Case(
        "file-adopted",
        'files: {/etc/kit-adopted.conf: {content: "ours\\n", mode: 0644, owner: root}}',
        ("file:/etc/kit-adopted.conf",),
        lambda h: has(h, "/etc/kit-adopted.conf", "ours\n"),
        prepare="echo theirs > /etc/kit-adopted.conf; chmod 0640 /etc/kit-adopted.conf; chown plain /etc/kit-adopted.conf",
        breaking="echo broken > /etc/kit-adopted.conf",
        pruned=lambda h: has(h, "/etc/kit-adopted.conf", "theirs\n", 0o640, "plain"),
        suites=EVERYWHERE,
    ),
    Case(
        "file-policies",
        """
        files:
          /etc/kit-left.conf: {content: "stays\\n", on_removal: leave}
          /etc/kit-deleted.conf: {content: "goes\\n", on_removal: delete}
          /etc/kit-unwanted.conf: absent
        """,
        ("file:/etc/kit-left.conf", "file:/etc/kit-deleted.conf", "file:/etc/kit-unwanted.conf"),
        lambda h: {
            **has(h, "/etc/kit-left.conf", "stays\n"),
            **has(h, "/etc/kit-deleted.conf", "goes\n"),
            **missing(h, "/etc/kit-unwanted.conf"),
        },
        prepare="echo before > /etc/kit-deleted.conf; echo x > /etc/kit-unwanted.conf",
        breaking="echo y > /etc/kit-unwanted.conf; rm /etc/kit-left.conf",
        broken=("file:/etc/kit-left.conf", "file:/etc/kit-unwanted.conf"),
        forgotten=("file:/etc/kit-unwanted.conf",),
        pruned=lambda h: {
            **has(h, "/etc/kit-left.conf", "stays\n"),
            **missing(h, "/etc/kit-deleted.conf", "/etc/kit-unwanted.conf"),
        },
    ),
    Case(
        "link",
        "links: {/etc/kit-link: /etc/hostname, /etc/kit-relative: ../usr/share}",
        ("link:/etc/kit-link", "link:/etc/kit-relative"),
        lambda h: {
            **says(h, "readlink /etc/kit-link", "/etc/hostname"),
            **says(h, "readlink /etc/kit-relative", "../usr/share"),
        },
        breaking="ln -sfn /etc/hosts /etc/kit-link; rm /etc/kit-relative",
        absent="links: {/etc/kit-link: absent, /etc/kit-relative: absent}",
        gone=lambda h: missing(h, "/etc/kit-link", "/etc/kit-relative"),
        pruned=lambda h: missing(h, "/etc/kit-link", "/etc/kit-relative"),
        suites=EVERYWHERE,
    ),
    Case(
        "line",
        """
        lines:
          kit-b: {path: /etc/kit-lines.conf, line: b=3, match: "^b="}
          kit-d: {path: /etc/kit-lines.conf, line: d=4, insert_after: "^b="}
          kit-new: {path: /etc/kit-new-lines.conf, line: only=1, create: true}
        """,
        ("line:kit-b", "line:kit-d", "line:kit-new"),
        lambda h: {
            **has(h, "/etc/kit-lines.conf", "a=1\nb=3\nd=4\nc=3\n", 0o640),
            **has(h, "/etc/kit-new-lines.conf", "only=1\n"),
        },
        prepare="printf 'a=1\\nb=2\\nc=3\\n' > /etc/kit-lines.conf; chmod 0640 /etc/kit-lines.conf",
        breaking="sed -i 's/b=3/b=9/; /d=4/d' /etc/kit-lines.conf; rm /etc/kit-new-lines.conf",
        pruned=lambda h: {
            **has(h, "/etc/kit-lines.conf", "a=1\nb=2\nc=3\n", 0o640),
            **missing(h, "/etc/kit-new-lines.conf"),
        },
        suites=EVERYWHERE,
    ),
    Case(
        "line-absent",
        'lines: {kit-gone: {path: /etc/kit-debug.conf, match: "^debug", state: absent}}',
        ("line:kit-gone",),
        lambda h: has(h, "/etc/kit-debug.conf", "keep\n"),
        prepare="printf 'debug=1\\nkeep\\ndebug=2\\n' > /etc/kit-debug.conf",
        breaking="echo debug=3 >> /etc/kit-debug.conf",
        forgotten=("line:kit-gone",),
    ),
    Case(
        "text-block",
        """
        text_blocks:
          kit:
            path: /etc/kit-block.conf
            content: "one\\ntwo\\n"
            marker: "; {mark} kit"
        """,
        ("text_block:kit",),
        lambda h: has(h, "/etc/kit-block.conf", "start\n; BEGIN kit\none\ntwo\n; END kit\n"),
        prepare="echo start > /etc/kit-block.conf",
        breaking="sed -i s/two/three/ /etc/kit-block.conf",
        absent='text_blocks: {kit: {path: /etc/kit-block.conf, marker: "; {mark} kit", state: absent}}',
        gone=lambda h: has(h, "/etc/kit-block.conf", "start\n"),
        pruned=lambda h: has(h, "/etc/kit-block.conf", "start\n"),
        suites=EVERYWHERE,
    ),
    # -- systemd ---------------------------------------------------------------------------------------------------
    Case(
        "unit",
        f"""
        units:
          kit-hello.service: {{content: {UNIT!r}}}
        services:
          kit-hello: running
        """.replace("'", '"'),
        ("unit:kit-hello.service", "service:kit-hello"),
        lambda h: {
            **has(h, "/etc/systemd/system/kit-hello.service", UNIT),
            "runs": h.service("kit-hello").is_running,
            "starts at boot": h.service("kit-hello").is_enabled,
            **says(h, "systemctl show -p NeedDaemonReload --value kit-hello", "no"),
        },
        breaking="echo '# by hand' >> /etc/systemd/system/kit-hello.service; systemctl daemon-reload; systemctl stop kit-hello",
        absent="services: {kit-hello: stopped}\nunits: {kit-hello.service: absent}",
        gone=lambda h: {
            **missing(h, "/etc/systemd/system/kit-hello.service"),
            "stopped": not h.service("kit-hello").is_running,
        },
        pruned=lambda h: {
            **missing(h, "/etc/systemd/system/kit-hello.service"),
            "stopped": not h.service("kit-hello").is_running,
        },
        suites=EVERYWHERE,
    ),
    Case(
        "service",
        """
        packages: [lab-service-01]
        services:
          lab-service-01: running
        """,
        ("package:lab-service-01", "service:lab-service-01"),
        lambda h: {
            "runs": h.service("lab-service-01").is_running,
            "starts at boot": h.service("lab-service-01").is_enabled,
        },
        breaking="systemctl disable -q --now lab-service-01",
        broken=("service:lab-service-01",),
        absent="services: {lab-service-01: stopped}",
        gone=lambda h: {
            "stopped": not h.service("lab-service-01").is_running,
            "not at boot": not h.service("lab-service-01").is_enabled,
        },
        pruned=lambda h: {"stopped": not h.service("lab-service-01").is_running, **removed(h, "lab-service-01")},
    ),
    Case(
        "service-adopted",
        "services: {lab-service-02: {state: running, enabled: true}, lab-service-03: {masked: true, state: stopped}}",
        ("service:lab-service-02", "service:lab-service-03"),
        lambda h: {
            "02 runs": h.service("lab-service-02").is_running,
            "02 starts at boot": h.service("lab-service-02").is_enabled,
            "03 stopped": not h.service("lab-service-03").is_running,
            "03 masked": h.service("lab-service-03").is_masked,
        },
        prepare="apt-get install -qq -y lab-service-02 lab-service-03; systemctl enable -q --now lab-service-03",
        breaking="systemctl stop lab-service-02; systemctl unmask -q lab-service-03; systemctl start lab-service-03",
        pruned=lambda h: {
            "02 stopped": not h.service("lab-service-02").is_running,
            "02 not at boot": not h.service("lab-service-02").is_enabled,
            "03 runs": h.service("lab-service-03").is_running,
        },
    ),
    # -- settings --------------------------------------------------------------------------------------------------
    Case(
        "cron-job",
        """
        cron_jobs:
          kit: {command: /bin/true kit, user: plain, minute: "*/10", hour: 3, env: {MAILTO: root}}
          kit-daily: {command: /bin/true daily, special: daily}
        """,
        ("cron_job:kit", "cron_job:kit-daily"),
        lambda h: {
            "job": h.file("/etc/cron.d/statectl-kit").contains(
                r"^\*/10[[:space:]]\+3[[:space:]].*plain[[:space:]].*/bin/true kit"
            ),
            "env": h.file("/etc/cron.d/statectl-kit").contains("^MAILTO="),
            "special": h.file("/etc/cron.d/statectl-kit-daily").contains("^@daily"),
            "mode": h.file("/etc/cron.d/statectl-kit").mode == 0o644,
        },
        breaking="sed -i s/true/false/ /etc/cron.d/statectl-kit; rm /etc/cron.d/statectl-kit-daily",
        absent="cron_jobs: {kit: absent, kit-daily: absent}",
        gone=lambda h: missing(h, "/etc/cron.d/statectl-kit", "/etc/cron.d/statectl-kit-daily"),
        pruned=lambda h: missing(h, "/etc/cron.d/statectl-kit", "/etc/cron.d/statectl-kit-daily"),
        suites=EVERYWHERE,
    ),
    Case(
        "sysctl",
        "sysctls: {net.ipv4.ip_forward: 1, net.ipv4.conf.all.log_martians: 1}",
        ("sysctl:net.ipv4.ip_forward", "sysctl:net.ipv4.conf.all.log_martians"),
        lambda h: {
            **says(h, "cat /proc/sys/net/ipv4/ip_forward", "1"),
            **says(h, "cat /proc/sys/net/ipv4/conf/all/log_martians", "1"),
            "file": h.file("/etc/sysctl.d/60-statectl.conf").contains("^net.ipv4.ip_forward = 1"),
        },
        prepare="sysctl -q -w net.ipv4.ip_forward=0 net.ipv4.conf.all.log_martians=0",
        breaking="sysctl -q -w net.ipv4.ip_forward=0; sed -i /log_martians/d /etc/sysctl.d/60-statectl.conf",
        pruned=lambda h: {
            **says(h, "cat /proc/sys/net/ipv4/ip_forward", "0"),
            **says(h, "grep -s ip_forward /etc/sysctl.d/60-statectl.conf", ""),
        },
        suites=EVERYWHERE,
    ),
    Case(
        "mount",
        """
        directories:
          /srv/kit-mount: {mode: 0755}
          "/srv/kit mount": {mode: 0755}
          /srv/kit-adopted: {mode: 0755}
        mounts:
          /srv/kit-mount: {device: tmpfs, fstype: tmpfs, options: [size=1m, mode=0755, noexec]}
          "/srv/kit mount": {device: /srv/kit-mount, fstype: none, options: bind}
          /srv/kit-adopted: {device: tmpfs, fstype: tmpfs, options: "size=2m,mode=0755"}
        """,
        ("mount:/srv/kit-mount", "mount:/srv/kit mount", "mount:/srv/kit-adopted"),
        lambda h: {
            **says(h, "findmnt -n -o FSTYPE /srv/kit-mount", "tmpfs"),
            **says(h, "findmnt -n -o OPTIONS /srv/kit-mount | grep -o noexec", "noexec"),
            **says(h, "findmnt -n -o FSTYPE '/srv/kit mount'", "tmpfs"),
            **says(h, "findmnt -n -b -o SIZE /srv/kit-adopted", "2097152"),
            **says(h, r"grep -c '^/srv/kit-mount /srv/kit\\040mount none bind 0 0$' /etc/fstab", "1"),
            **says(h, "grep -c '^# kit' /etc/fstab", "1"),
        },
        prepare=(
            "mkdir /srv/kit-adopted; echo '# kit' >> /etc/fstab; "
            "echo 'tmpfs /srv/kit-adopted tmpfs size=1m,mode=0755 0 0' >> /etc/fstab; mount /srv/kit-adopted"
        ),
        breaking="umount '/srv/kit mount'; mount -o remount,exec /srv/kit-mount; sed -i /kit-adopted/d /etc/fstab",
        absent="""
        mounts: {/srv/kit-mount: absent, "/srv/kit mount": absent}
        """,
        gone=lambda h: {
            **says(h, "grep -c kit.mount /proc/self/mountinfo", "0"),
            **says(h, "grep -E 'kit.*mount' /etc/fstab", ""),
        },
        pruned=lambda h: {
            **says(h, "grep -c kit.mount /proc/self/mountinfo", "0"),
            **says(h, "grep -E 'kit.*mount' /etc/fstab", ""),
            **says(h, "grep kit-adopted /etc/fstab", "tmpfs /srv/kit-adopted tmpfs size=1m,mode=0755 0 0"),
            **says(h, "findmnt -n -b -o SIZE /srv/kit-adopted", "1048576"),
        },
    ),
    # -- commands --------------------------------------------------------------------------------------------------
    Case(
        "command",
        """
        files:
          /etc/kit-trigger.conf: {content: "one\\n"}
        commands:
          kit-creates: {run: [/bin/touch, /var/lib/kit-created], creates: /var/lib/kit-created}
          kit-unless:
            run: "echo $KIT_TEXT > /var/lib/kit-unless"
            unless: [/bin/grep, -q, hello, /var/lib/kit-unless]
            user: root
            cwd: /tmp
            env: {KIT_TEXT: hello}
          kit-changed: {run: "echo ran >> /var/lib/kit-changed", when_changed: "file:/etc/kit-trigger.conf"}
        """,
        ("command:kit-creates", "command:kit-unless", "command:kit-changed"),
        lambda h: {
            "creates": h.file("/var/lib/kit-created").exists,
            **says(h, "cat /var/lib/kit-unless", "hello"),
            "when_changed": h.file("/var/lib/kit-changed").exists,
        },
        breaking="rm /var/lib/kit-created; echo bye > /var/lib/kit-unless",
        broken=(),  # drift compares states; a command leaves none, and runs again in the next apply
        pruned=lambda h: {**says(h, "cat /var/lib/kit-unless", "hello"), **missing(h, "/etc/kit-trigger.conf")},
        suites=EVERYWHERE,
    ),
)
