"""facts.package_manager: apt, dnf, yum, zypper, pacman, apk, or '' when none is installed.

The one of the system's family comes first: a Debian with dnf installed still has apt.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts

OF_FAMILY = {
    "debian": ("apt-get",),
    "redhat": ("dnf", "yum"),
    "suse": ("zypper",),
    "arch": ("pacman",),
    "alpine": ("apk",),
}
COMMANDS = (
    ("apt-get", "apt"),
    ("dnf", "dnf"),
    ("yum", "yum"),
    ("zypper", "zypper"),
    ("pacman", "pacman"),
    ("apk", "apk"),
)


def gather(host: "Host", known: "Facts") -> str:
    preferred = OF_FAMILY.get(known.get("os", {}).get("family", ""), ())
    names = dict(COMMANDS)
    for command in preferred + tuple(command for command, _ in COMMANDS):
        if host.which(command):
            return names[command]
    return ""
