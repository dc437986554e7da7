"""facts.virtualization: "none", a container (docker, podman, lxc, systemd-nspawn, container) or a machine (kvm, vmware ...).

The words are those of systemd-detect-virt; inside a container the container counts.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

from statectl.onhost.facts import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts

VENDORS = (  # (what sys_vendor or product_name begins with, word)
    ("Amazon EC2", "amazon"),
    ("Bochs", "bochs"),
    ("Google Compute Engine", "google"),
    ("Microsoft Corporation Virtual", "microsoft"),
    ("OpenStack", "kvm"),
    ("Parallels", "parallels"),
    ("QEMU", "qemu"),
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("VirtualBox", "oracle"),
    ("innotek", "oracle"),
    ("Xen", "xen"),
)


def gather(host: "Host", known: "Facts") -> str:
    named = text_of(host, "/run/systemd/container") or _container_of_init(host)
    if named:
        return named
    if host.lstat("/.dockerenv") is not None:
        return "docker"
    if host.lstat("/run/.containerenv") is not None:
        return "podman"
    hypervisor = text_of(host, "/sys/hypervisor/type")
    if hypervisor:
        return hypervisor
    vendor, product = (text_of(host, "/sys/class/dmi/id/" + name) for name in ("sys_vendor", "product_name"))
    for text in (product, vendor, vendor + " " + product):
        for start, word in VENDORS:
            if text.startswith(start):
                return word
    flags = text_of(host, "/proc/cpuinfo", 8192)
    return "vm" if " hypervisor" in flags else "none"


def _container_of_init(host: "Host") -> str:
    """The variable that container managers give to process 1. Readable by root only; others do without."""
    from statectl.onhost.failure import Failed

    try:
        data = host.read_file("/proc/1/environ", 65536) or b""
    except Failed:
        return ""
    for entry in data.split(b"\0"):
        if entry.startswith(b"container="):
            return entry[len(b"container=") :].decode("ascii", "replace") or "container"
    return ""
