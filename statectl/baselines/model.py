"""What a patch baseline says. Made of YAML by `project/baselines.py` and, for those that come with statectl, by `predefined.py`."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from statectl.problems import Span

LEVELS = ("critical", "high", "medium", "low", "informational", "unspecified")  # of compliance, worst first
SYSTEMS = (  # values of `os`; what a host is by its facts is said by `system_of` in evaluate.py
    "debian",
    "ubuntu",
    "raspbian",
    "rhel",
    "centos",
    "rocky",
    "almalinux",
    "oracle",
    "fedora",
    "amazon",
    "sles",
    "opensuse",
)
REBOOTS = ("never", "if_needed", "always")
RESTARTS = ("never", "needed")  # services that still run code that was replaced


@dataclass(frozen=True, slots=True)
class Filter:
    """All given fields must match, any of a field's values does. '*' and globs; compared without regard to case.

    () means: not asked. A package without the attribute that is asked for does not match.
    """

    product: tuple[str, ...] = ()  # Debian12, Ubuntu24.04, RedhatEnterpriseLinux9.4, Suse15.6; see `product_of`
    suite: tuple[str, ...] = ()  # apt: the archive's Suite or Codename
    component: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()  # rpm: the repository's id; apt: the archive's Origin or Label
    section: tuple[str, ...] = ()  # apt; `security`: any section, from an archive for security updates
    priority: tuple[str, ...] = ()  # apt
    classification: tuple[str, ...] = ()  # rpm: of the advisory
    severity: tuple[str, ...] = ()  # rpm: of the advisory; apt: of a feed
    package: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Approves what matches, from `after_days` after it was first seen, or what was first seen until the end of `until` (UTC)."""

    filter: Filter
    after_days: int | None = None  # exactly one of the two
    until: dt.date | None = None
    compliance: str = "unspecified"
    include_non_security: bool = False
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """One entry of the approved or rejected list, in one of the forms of `names.py`."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """A package stays at a version (a glob), or where it is when `version` is '*', until the end of a day (UTC)."""

    package: str
    version: str
    until: dt.date
    reason: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class PatchSource:
    """A repository of our own. `kept` False: it is there for scans and installs of this baseline only, and replaces the host's own."""

    name: str
    kept: bool = False
    # apt
    uris: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    signed_by: str = ""  # the text of a key, or an absolute path on the host
    # rpm
    baseurl: str = ""
    gpgkey: str = ""
    trusted: str = ""  # why it needs no signature; '' : it must be signed
    products: tuple[str, ...] = ()  # of which hosts; () : all of the baseline
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Commands on the host, as argv. One that fails skips what follows but `on_exit`, which always runs; the install has failed then."""

    before_install: tuple[str, ...] = ()
    after_install: tuple[str, ...] = ()
    before_reboot: tuple[str, ...] = ()
    after_reboot: tuple[str, ...] = ()
    on_exit: tuple[str, ...] = ()
    timeout_s: int = 600  # of each


@dataclass(frozen=True, slots=True)
class Baseline:
    """Fields as in Systems Manager where it has them; see docs/reference/patches.md."""

    name: str
    os: str
    description: str = ""
    predefined: bool = False
    default: bool = False  # of its os, for hosts with no other
    patch_groups: tuple[str, ...] = ()  # values of the tags `patch_group`, `Patch Group` or `PatchGroup`
    targets: str = ""  # a target expression, '' : none
    filters: Filter | None = None  # what does not match is not looked at by rules
    rules: tuple[Rule, ...] = ()
    approved: tuple[Named, ...] = ()
    approved_compliance: str = "unspecified"
    approved_include_non_security: bool = False
    rejected: tuple[Named, ...] = ()
    rejected_action: str = "allow_as_dependency"  # or block
    pins: tuple[Pin, ...] = ()
    sources: tuple[PatchSource, ...] = ()
    superseded: str = "report"  # or latest: approve the version that replaced an approved one that cannot be had
    dependencies: str = "approved"  # only approved versions may come along; any: whatever is needed
    available_security_updates: str = "compliant"  # or non_compliant: those that are not approved yet
    window: str = ""  # name of a maintenance window in which it may install by itself, '' : none
    reboot: str = "if_needed"
    max_reboots: int = 1  # of a host, in one run
    reboot_timeout_s: int = 900
    restart: str = "needed"
    hooks: Hooks = field(default_factory=Hooks)
    max_index_age_s: int = 7 * 86400  # data that are older say nothing: the host is unknown
    span: Span | None = None

    @property
    def origin(self) -> str:
        """Where it stands, for people."""
        if self.predefined:
            return "comes with statectl"
        return f"{self.span.file}:{self.span.line}" if self.span is not None else ""


Baselines = Mapping[str, Baseline]
