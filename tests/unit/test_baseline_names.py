"""Entries of approved and rejected lists: every form names what it says and nothing that only looks like it."""

import pytest

from statectl.baselines.model import Named
from statectl.baselines.names import Name, NameList, NotAName, OverrideEntry, belongs_to, parse_name
from statectl.baselines.scan import Advisory
from tests.unit.baselines import deb, rpm

DEBS = {
    "curl": [("curl", "7.88.1-10", "amd64")],
    "gcc-12-base": [("gcc-12-base", "12.2.0-14", "amd64")],
    "gcc-1?-base": [("gcc-12-base", "12.2.0-14", "amd64")],
    "lib32stdc++6": [("lib32stdc++6", "12.2.0-14", "amd64")],
    "lib*4": [("libsigsegv4", "2.14-1", "amd64")],
    "libc6:i386": [("libc6", "2.36-9", "i386")],
    "libc6.i386": [("libc6", "2.36-9", "i386")],
    "libc6": [("libc6", "2.36-9", "amd64"), ("libc6", "2.36-9", "i386")],
    "libc6=2.36-*": [("libc6", "2.36-9", "amd64"), ("libc6", "2.36-9", "i386")],
    "libc6:i386=2.36-9": [("libc6", "2.36-9", "i386")],
    "openssl=3.0.11-1": [("openssl", "1:3.0.11-1", "amd64")],
    "openssl=1:3.0.*": [("openssl", "1:3.0.11-1", "amd64")],
    "openssl=2:3.0.*": [],
    "openssl=3.0.1": [],
    "ope": [],
    "python3.11": [("python3.11", "3.11.2-6", "amd64")],
    "python3": [],
    "7zip": [("7zip", "22.01-8", "amd64")],
    "[lm]ib*": [("lib32stdc++6", "12.2.0-14", "amd64"), ("libsigsegv4", "2.14-1", "amd64"),
                ("libc6", "2.36-9", "amd64"), ("libc6", "2.36-9", "i386")],
}  # fmt: skip
ALL_DEBS = [deb(name, version, 0, arch=arch) for name, version, arch in dict.fromkeys(
    [*(one for found in DEBS.values() for one in found), ("openssl-tool", "3.0.11-1", "amd64")]
)]  # fmt: skip


@pytest.mark.parametrize("text", DEBS)
def test_names_of_debian_packages(text):
    """A text names the packages that are meant, whatever digits, dashes, dots and pluses they hold, and no others."""
    listed = NameList([Named(text)], "apt")
    found = [(one.name, one.version, one.arch) for one in ALL_DEBS if listed.find(one, ())]
    assert sorted(found) == sorted(DEBS[text])


RPMS = {
    "bash": [("bash", "5.1.8-9.el9", "x86_64")],
    "java-*-openjdk": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "java-11-openjdk.x86_64": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "java-11-openjdk-11.0.25.0.9-2.el9.x86_64": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "java-11-openjdk-1:11.0.25.0.9-2.el9.x86_64": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "1:java-11-openjdk-11.0.25.0.9-2.el9.x86_64": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "2:java-11-openjdk-11.0.25.0.9-2.el9.x86_64": [],
    "java-11-openjdk-11.0.25.0.9-2.el9.i686": [],
    "java-11-openjdk-11.0.25.0.9-2.el9.x86_64.rpm": [("java-11-openjdk", "1:11.0.25.0.9-2.el9", "x86_64")],
    "gcc-c++-11.5.0-*.x86_64": [("gcc-c++", "11.5.0-2.el9", "x86_64")],
    "kernel=5.14.0-503*": [("kernel", "5.14.0-503.el9", "x86_64")],
    "kernel-5.14.0-503.el9.x86_64": [("kernel", "5.14.0-503.el9", "x86_64")],
    "kernel-5.14.0-50.el9.x86_64": [],
    "kernel": [("kernel", "5.14.0-503.el9", "x86_64")],
    "kernel*": [("kernel", "5.14.0-503.el9", "x86_64"), ("kernel-core", "5.14.0-503.el9", "x86_64")],
    "k*4": [],
}
ALL_RPMS = [rpm(name, version, arch=arch) for name, version, arch in dict.fromkeys(
    one for found in RPMS.values() for one in found
)]  # fmt: skip


@pytest.mark.parametrize("text", RPMS)
def test_names_of_rpm_packages(text):
    """Epochs may stand where rpm, dnf and yum put them or nowhere; `.rpm` of zypper is left out; a glob of names is no glob of versions."""
    listed = NameList([Named(text)], "rpm")
    found = [(one.name, one.version, one.arch) for one in ALL_RPMS if listed.find(one, ())]
    assert sorted(found) == sorted(RPMS[text])


ADVISORY = Advisory("RHSA-2017:0864", cves=("CVE-2017-2615",), bugs=("rhbz#1418200", "77"))


@pytest.mark.parametrize(
    ("text", "advisory", "fits"),
    [
        ("RHSA-2017:0864", ADVISORY, True),
        ("rhsa-2017-0864", ADVISORY, True),
        ("RHSA-2017:086", ADVISORY, False),
        ("CVE-2017-2615", ADVISORY, True),
        ("cve-2017-2615", ADVISORY, True),
        ("CVE-2017-26150", ADVISORY, False),
        ("1418200", ADVISORY, True),
        ("141820", ADVISORY, False),
        ("77", ADVISORY, True),
        ("ALAS2023-2024-123", Advisory("ALAS2023-2024-123"), True),
        ("SUSE-SLE-Example-Package-12-2018-123", Advisory("SUSE-SLE-Example-Package-12-2018-123"), True),
        ("openSUSE-2023-12", Advisory("openSUSE-2023-12"), True),
        ("FEDORA-2024-abcdef1234", Advisory("FEDORA-2024-abcdef1234"), True),
        ("LAB-2026:001", Advisory("LAB-2026:001"), True),
        ("DSA-5678", Advisory("DSA-5678-2"), True),
        ("DSA-5678-1", Advisory("DSA-5678-2"), False),
        ("DSA-567", Advisory("DSA-5678-2"), False),
        ("USN-6789", Advisory("USN-6789-1"), True),
    ],
)
def test_advisories_cves_and_bugs(text, advisory, fits):
    """An id names every version of an advisory that has it, compared as a whole."""
    packages = "apt" if text.startswith(("DSA", "USN")) else "rpm"
    found = NameList([Named(text)], packages).find(rpm("bash", "5.1-1"), [Advisory("OTHER-2020:1"), advisory])
    assert (found is not None) == fits


@pytest.mark.parametrize(
    ("text", "packages", "instead"),
    [
        ("CVE-2026", "apt", ""),
        ("CVE 2024-3094", "apt", ""),
        ("CVE2024-3094", "rpm", "CVE-2024-3094"),
        ("KB5034441", "rpm", ""),
        ("MS10-048", "apt", ""),
        ("DSA5678", "apt", ""),
        ("RHSA2024:1", "rpm", ""),
        ("Curl", "apt", "curl"),
        ("curl_7.88.1-10_amd64.deb", "apt", "curl=7.88.1-10"),
        ("bash.amd64", "rpm", ""),
        ("bash.rpm", "rpm", ""),
        ("kernel-5.14.0-1.x86_64", "apt", ""),
        ("name=", "apt", ""),
        ("=1.0", "apt", ""),
        ("name=1 0", "apt", ""),
        (" curl ", "apt", "curl"),
        ("a/b", "apt", ""),
        ("", "apt", ""),
        ("x" * 300, "apt", ""),
    ],
)
def test_texts_that_name_nothing(text, packages, instead):
    """What could never match is refused, with what was probably meant."""
    found = parse_name(text, packages)
    assert isinstance(found, NotAName), found
    assert found.instead == instead


def test_whose_advisory_it_is():
    """An advisory of Debian on an rpm system can be warned of; one of nobody known cannot."""
    of = {text: belongs_to(parse_name(text, "rpm")) for text in ("DSA-5678", "RHSA-2024:1234", "LAB-2026:1", "bash")}
    assert of == {"DSA-5678": "apt", "RHSA-2024:1234": "rpm", "LAB-2026:1": "", "bash": ""}
    assert isinstance(parse_name("cve-bin-tool", "rpm"), Name)


def test_the_first_entry_that_names_it_is_told():
    """The entry that decided is the first written one, exact or not."""
    listed = NameList([Named("op*"), Named("openssl"), Named("openssl=3*")], "apt")
    assert listed.find(deb("openssl", "3.0-1", 0), ())[0].text == "op*"
    assert NameList([Named("x"), Named("openssl=3*"), Named("o*")], "apt").find(deb("openssl", "3.0-1", 0), ())[
        0
    ].text == ("openssl=3*")


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        (OverrideEntry("kernel.x86_64"), True),
        (OverrideEntry("kern*.x86_64", "32:9.8.2-0.62.*"), True),
        (OverrideEntry("kernel.x86_64", "kernel.x86_64:32:9.8.2-*"), True),
        (OverrideEntry("kernel.*", "32:9.8.1-*"), False),
        (OverrideEntry("kernel"), False),
        (OverrideEntry("kernel.i686"), False),
    ],
)
def test_entries_of_an_override_list(entry, fits):
    """name.arch with globs anywhere, and a version with its epoch, as Systems Manager has them."""
    assert entry.names(rpm("kernel", "32:9.8.2-0.62.el9")) == fits
