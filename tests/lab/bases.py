"""Base roots: one Debian tree per suite, built once by mmdebstrap, cached, and never written to again.

A base knows the users and the apt sources of every lab host. It has no network sources: hosts reach nothing but each
other, and install from /srv/lab (see repositories.py) or from the base's own pool of real Debian packages.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.places import cache, digest_of, locked, run
from tests.lab.repositories import flat_index, repositories

RECIPE = "1"  # count up when _build changes
OPERATOR_PASSWORD = "operator-test-password"
USERS = """set -e
useradd -m -s /bin/bash -c 'sudo without a password' admin
useradd -m -N -g operator -s /bin/bash -c 'sudo with a password' operator
useradd -m -s /bin/bash -c 'no sudo' plain
echo 'operator:{password}' | chpasswd
printf 'admin ALL=(ALL:ALL) NOPASSWD: ALL\\noperator ALL=(ALL:ALL) ALL\\n' > /etc/sudoers.d/lab
chmod 0440 /etc/sudoers.d/lab
for home in /root /home/admin /home/operator /home/plain; do mkdir -p -m 0700 $home/.ssh; done
for user in admin operator plain; do chown $user:$user /home/$user/.ssh; done
"""
# What writes to a host by itself would spoil "the plan changed nothing" and costs memory times the number of hosts.
QUIET = """set -e
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \\
    fstrim.timer systemd-tmpfiles-clean.timer logrotate.timer man-db.timer console-getty.service getty.target \\
    systemd-firstboot.service systemd-resolved.service systemd-networkd.service systemd-networkd.socket \\
    systemd-timesyncd.service dnf-makecache.timer packagekit.service; do
  ln -sfn /dev/null /etc/systemd/system/$unit
done
rm -f /etc/ssh/ssh_host_*_key* /etc/resolv.conf /etc/machine-id /etc/hostname
: > /etc/machine-id
mkdir -p /srv/lab
"""
SSHD = """HostKey /etc/ssh/ssh_host_ed25519_key
MaxStartups 1000:30:2000
UseDNS no
"""
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "iproute2", "sudo", "procps"),
    *("ca-certificates", "acl", "attr", "cron", "gpgv", "kmod", "nftables", "tzdata"),
)
# Real packages that hosts may install though they have no network; their dependencies come along.
POOL = (
    *("nginx", "chrony", "systemd-timesyncd", "unattended-upgrades", "haproxy", "logrotate", "rsyslog", "rsync"),
    *("auditd", "libpam-pwquality", "curl", "tmux", "postgresql", "git", "locales", "fail2ban", "python3-systemd"),
)
ALONE = ("systemd-timesyncd",)  # conflicts with another one: fetched by itself


@dataclass(frozen=True)
class Suite:
    """How one base root is made. `environment` goes to systemd-nspawn."""

    name: str
    debian: str
    packages: tuple[str, ...] = ()
    sshd: str = ""
    script: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


DNF = """set -e
mkdir -p /etc/rpm /var/lib/rpm /etc/dnf/vars /etc/yum.repos.d /etc/zypp/repos.d
echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros.dbpath
echo 9 > /etc/dnf/vars/releasever
printf '[lab]\\nname=lab\\nbaseurl=file:///srv/lab/rpm\\nenabled=1\\ngpgcheck=0\\n' > /etc/yum.repos.d/lab.repo
printf '[lab]\\nname=lab\\nbaseurl=dir:///srv/lab/rpm\\nenabled=1\\ngpgcheck=0\\n' > /etc/zypp/repos.d/lab.repo
rpm --initdb
"""
MODERN_SSHD = "PerSourceMaxStartups none\n"
SUITES = {
    suite.name: suite
    for suite in (
        Suite("bullseye", "bullseye"),
        Suite("bookworm", "bookworm", sshd=MODERN_SSHD),
        Suite("trixie", "trixie", sshd=MODERN_SSHD + "PerSourcePenalties no\n"),
        Suite("rpm", "bookworm", packages=("dnf", "rpm", "createrepo-c", "zypper"), sshd=MODERN_SSHD, script=DNF),
        Suite(
            "forky",
            "forky",
            sshd=MODERN_SSHD + "PerSourcePenalties no\n",
            environment={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        ),
    )
}


def base(name: str) -> Path:
    """The directory of a base: `root` and `pool`. Built when it is not there yet (half a minute and network access)."""
    suite = SUITES[name]
    shared = repositories()
    key = (shared / "apt" / "keys" / "lab.gpg").read_bytes()
    recipe = digest_of(RECIPE, repr(suite), repr(PACKAGES + POOL), USERS + QUIET + SSHD, shared.name, key)
    place = cache() / f"{name}-{recipe}"
    if not place.is_dir():
        with locked(cache() / f"{name}.lock"):
            if not place.is_dir():
                made = cache() / f"{name}-{recipe}.tmp{os.getpid()}"
                _remove(made)
                made.mkdir(parents=True)
                try:
                    _build(suite, made, shared)
                except BaseException:
                    _remove(made)
                    raise
                made.rename(place)
                _forget_older(name, place)
    return place


def _build(suite: Suite, made: Path, shared: Path) -> None:
    root = made / "root"
    # in as few calls as can be: each of them reads all that the archive has
    fetches = (" ".join(package for package in POOL if package not in ALONE), *ALONE)
    fetch = "apt-get -qq --yes --download-only -o APT::Sandbox::User=root -o Dir::Cache::archives=/pool install"
    run(
        [
            *("mmdebstrap", "--variant=minbase", "--format=directory"),
            f"--include={','.join(PACKAGES + suite.packages)}",
            *(f"--aptopt={option}" for option in _machine_options()),
            '--aptopt=APT::Install-Recommends "false"',
            '--customize-hook=mkdir -p "$1/pool/partial"',
            *(f'--customize-hook=chroot "$1" {fetch} {packages}' for packages in fetches),
            f'--customize-hook=rm -rf "$1/pool/partial" "$1/pool/lock"; mv "$1/pool" {made}/pool',
            suite.debian,
            root,
            *_mirror(suite.debian),
        ]
    )
    flat_index(made / "pool")
    (root / "etc" / "apt" / "apt.conf.d" / "99mmdebstrap").unlink(missing_ok=True)
    sources = root / "etc" / "apt" / "sources.list.d"
    (root / "etc" / "apt" / "sources.list").unlink(missing_ok=True)
    for old in sources.iterdir():
        old.unlink()
    (sources / "debian.list").write_text("deb [trusted=yes] file:/srv/debian ./\n")
    (sources / "lab.list").write_text("deb [signed-by=/usr/share/keyrings/lab.gpg] file:/srv/lab/apt/main lab main\n")
    shutil.copy(shared / "apt" / "keys" / "lab.gpg", root / "usr" / "share" / "keyrings" / "lab.gpg")
    (root / "etc" / "ssh" / "sshd_config.d" / "lab.conf").write_text(SSHD + suite.sshd)
    (root / "srv" / "debian").mkdir(parents=True)
    script = USERS.format(password=OPERATOR_PASSWORD) + suite.script + QUIET + "apt-get update\napt-get check\n"
    # a mount namespace of its own: whatever happens, no mount is left behind
    inside = (
        "set -e; mkdir -p {r}/srv/lab; mount --bind {s} {r}/srv/lab; mount --bind {p} {r}/srv/debian; "
        "mount -t proc proc {r}/proc; mount --bind /dev {r}/dev; exec chroot {r} /bin/sh"
    ).format(r=root, s=shared, p=made / "pool")
    run(["unshare", "--mount", "sh", "-c", inside], text=script)


def _mirror(debian: str) -> list[str]:
    """The archive this machine's own apt uses, asked of apt; nothing when it uses none: then mmdebstrap knows one."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)", "Created-By: Packages"])
    for line in listed.splitlines():
        uri, origin, label = line.split("|")
        if origin == label == "Debian":
            return [f"deb {uri} {debian} main"]
    return []


def _machine_options() -> list[str]:
    """Proxy and certificate settings of this machine's apt; the lab has no clock to compare an archive's dates with."""
    kept = [
        line.rstrip(";")
        for line in run(["apt-config", "dump"]).splitlines()
        if line.startswith(("Acquire::http", "Acquire::https", "Acquire::Retries")) and not line.endswith('"";')
    ]
    return [*kept, 'Acquire::Check-Valid-Until "false"']


def _forget_older(name: str, current: Path) -> None:
    """Bases of earlier recipes go, unless a running host stands on them."""
    mounted = Path("/proc/self/mountinfo").read_text()
    for old in cache().glob(f"{name}-*"):
        if old != current and old.is_dir() and str(old) not in mounted:
            _remove(old)


def _remove(tree: Path) -> None:
    if tree.exists():
        run(["rm", "-rf", "--one-file-system", "--", tree])
