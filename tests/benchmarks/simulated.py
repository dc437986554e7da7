"""Many hosts out of one lab host: one real sshd that answers on tens of thousands of addresses, each a host of its own to whoever logs in.

Real: sshd with its key exchange and login, the network, and the executor, one process for every contact. A login at an address gets
private mounts, so that it has a memory of its own in /var/lib/statectl, an identity of its own there, and its own /srv/fleet. Both
lie over what one address was brought by a real apply (the seed), copy on write and in memory: ten thousand hosts take no
hour to be made. Not of its own: everything else, such as packages, users, services, and the cache of the executor.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from tests.lab import LabHost, network
from tests.lab.places import run
from tests.lab.project import LabProject

FIRST = IPv4Address("100.64.0.0")  # set aside for carriers' own networks: nobody's host stands there
EACH_LAB = 1 << 16  # addresses
CLOSED_PORT = 9
INVENTORY = "inventories/lab/hosts.yml"
FORCED = """\
#!/bin/sh
# a login at one of many addresses: become the host that this address stands for
set -- $SSH_CONNECTION
exec unshare --mount --propagation private /bin/sh /usr/local/sbin/simulated-host "$3"
"""
INSIDE = """\
set -e
mount_at() {  # NAME PLACE: this address's own NAME, over the seed's
  if [ "$own" = /srv/many/SEED ]; then
    mount --bind "/srv/seed/$1" "$2"
  else
    mkdir -p "$own/$1" "$own/$1.work"
    mount -t overlay many -o "lowerdir=/srv/seed/$1,upperdir=$own/$1,workdir=$own/$1.work" "$2"
  fi
}
own=/srv/many/$1
mount_at memory /var/lib/statectl
mount_at fleet /srv/fleet
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""
SSHD = """\
MaxStartups 10000
MaxSessions 100
Match LocalAddress NETWORK
  ForceCommand /usr/local/sbin/simulated-login
"""


class Simulated:
    """Hosts 1, 2, 3 ... that a lab host stands for. `with Simulated(lab_host) as many:` needs root here, as the lab does."""

    def __init__(self, lab_host: LabHost) -> None:
        self.lab_host = lab_host
        self._first = FIRST + lab_host.slot * EACH_LAB
        self._network = f"{self._first}/16"

    def __enter__(self) -> "Simulated":
        host = self.lab_host
        host.write("/usr/local/sbin/simulated-login", FORCED, 0o755)
        host.write("/usr/local/sbin/simulated-host", INSIDE.replace("SEED", self.address(0)), 0o755)
        host.write("/etc/ssh/sshd_config.d/simulated.conf", SSHD.replace("NETWORK", self._network))
        host.sh(
            "mkdir -p /srv/seed/memory /srv/seed/fleet /srv/fleet /srv/many /var/lib/statectl; chmod 0700 /srv/seed/memory"
        )
        host.sh("mount -t tmpfs -o mode=0755,size=40%,nr_inodes=4m many /srv/many && systemctl restart ssh.service")
        host.wait_ssh()
        run(["ip", "-netns", host.namespace, "route", "replace", "local", self._network, "dev", "lo"])
        run(["ip", "route", "replace", self._network, "via", host.address, "dev", network.bridge(host.slot)])
        return self

    def __exit__(self, *_: object) -> None:
        run(["ip", "route", "delete", self._network])

    def address(self, number: int) -> str:
        """Of host `number`; number 0 is the seed."""
        if not 0 <= number < EACH_LAB - 256:
            raise ValueError(f"{number} simulated hosts are more than one network has")
        return str(self._first + 256 + number)

    def project(self, place: Path, states: str) -> LabProject:
        """A project that declares `states`, applied to the seed by a real run; its inventory is the seed."""
        project = LabProject(place, [self.lab_host])
        ssh = project.home / ".ssh"
        (ssh / "config").write_text(f"Host *\n  IdentityFile {ssh}/id_ed25519\n  IdentitiesOnly yes\n")
        project.write("states/fleet.yml", states)
        self.inventory(project, [0])
        project.statectl("apply", "--yes", expect=0, timeout=900)
        self.lab_host.sh("rm /srv/seed/memory/identity.json")  # every address makes its own
        return project

    def inventory(self, project: LabProject, numbers: Sequence[int], closed: Sequence[int] = ()) -> None:
        """These hosts; at the port of those in `closed` nothing listens. Each stands in known_hosts, as it would."""
        shut = frozenset(closed)
        lines = [
            f"  web{number:05}: {{address: {self.address(number)}, user: root, groups: [group{number % 10}]"
            + (f", port: {CLOSED_PORT}}}\n" if number in shut else "}\n")
            for number in numbers
        ]
        project.write(INVENTORY, "hosts:\n" + "".join(lines))
        known = [f"{self.address(number)} {self.lab_host.host_key}\n" for number in numbers]
        (project.home / ".ssh" / "known_hosts").write_text("".join(known))
        project.commit("these hosts")

    @contextmanager
    def silent(self, numbers: Sequence[int]) -> Iterator[None]:
        """Packets to these hosts are lost, as on the way to a machine that is switched off behind a firewall."""
        members = ", ".join(self.address(number) for number in numbers)
        drop = f"ip daddr {{ {members} }} drop;" if members else ""
        rules = f"table inet silent {{\nchain inward {{ type filter hook input priority -10; {drop} }}\n}}\n"
        command = ["ip", "netns", "exec", self.lab_host.namespace, "nft", "-f", "-"]
        run(command, text=rules)
        try:
            yield
        finally:
            run(command, text="delete table inet silent\n")


def states(resources: int) -> str:
    """So many resources, harmless ones: of ten a directory, six files, a link and two lines; half of all are rendered for their host.

    What they render to is the same on every host, so that all lie over one seed; the compiler cannot know that.
    """
    directories, files, links, lines = [], [], [], []
    for number in range(resources):
        group, kind = divmod(number, 10)
        top = f"/srv/fleet/{group:03}"
        if kind == 0:
            directories.append(f"      {top}: {{mode: 0755}}\n")
        elif kind <= 5:
            text = f"{{ host.name[:3] }} {number}\\nworkers = {{ workers }}\\n"
            files.append(f'      {top}/app-{kind}.conf: {{mode: 0644, content: "{text}"}}\n')
        elif kind == 6:
            files.append(f'      {top}/fixed.conf: {{mode: 0600, content: "the same everywhere {number}\\n"}}\n')
        elif kind == 7:
            links.append(f"      {top}/current: app-1.conf\n")
        else:
            lines.append(
                f"      line {number}: {{path: {top}/fixed-{kind}.conf, line: option {number}, create: true}}\n"
            )
    sections = {"directories": directories, "files": files, "links": links, "lines": lines}
    body = "".join(f"    {name}:\n{''.join(found)}" for name, found in sections.items() if found)
    return f"associations:\n  fleet:\n    targets: all\n    vars: {{workers: 4}}\n{body}"
