"""What a project says of patching itself, beside its baselines: `patching` of statectl.yml."""

from dataclasses import dataclass

FEED_KINDS = ("debian", "osv", "oval")


@dataclass(frozen=True, slots=True)
class Index:
    """An index of packages that the controller reads. With `uri` it is one of apt, with `baseurl` one of rpm.

    signed_by, gpgkey   files of keys, relative to the project
    repository          rpm: the id that the repository has on hosts
    trusted             why it needs no signature, '': it must be signed
    """

    name: str
    uri: str = ""
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    signed_by: str = ""
    baseurl: str = ""
    gpgkey: str = ""
    repository: str = ""
    trusted: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """Vulnerabilities from somewhere else. `source`: https, http or file address, or a path relative to the project."""

    name: str
    kind: str  # of FEED_KINDS
    source: str


@dataclass(frozen=True, slots=True)
class Patching:
    refresh_s: int = 3600  # a host whose indexes are older fetches them for a scan, into a place of our own
    poll_s: int = 0  # how often `serve` reads the indexes, 0: it does not
    indexes: tuple[Index, ...] = ()
    feeds: tuple[Feed, ...] = ()
    cache: str = ""  # directory, relative to the project, '': no packages are kept
    cache_max: int = 10 * 1024**3  # bytes
    cache_days: int = 90
    snapshot_days: int = 30
