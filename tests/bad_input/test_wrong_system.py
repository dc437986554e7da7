"""Row B041: a package manager that the host does not have is told with the one it has, before anything is written."""

import pytest

from statectl.onhost.failure import Failed
from statectl.onhost.resources import package


class System:
    """A host of which only its tools matter."""

    def __init__(self, manager, tools):
        self.facts = {"package_manager": manager}
        self._tools = tools

    def which(self, name):
        return f"/usr/bin/{name}" if name in self._tools else None


APT = System("apt", ("apt-get", "dpkg", "dpkg-query", "apt-cache", "apt-mark"))
DNF = System("dnf", ("dnf", "rpm"))
NOTHING = System(None, ())


@pytest.mark.parametrize(
    ("host", "manager", "said"),
    [
        pytest.param(DNF, "apt", "package manager apt is not on this host; it has dnf", id="B041 apt on a dnf host"),
        pytest.param(APT, "dnf", "package manager dnf is not on this host; it has apt", id="B041 dnf on an apt host"),
        pytest.param(NOTHING, "auto", "none of the package managers", id="B041 no package manager at all"),
    ],
)
def test_a_manager_that_is_not_there(host, manager, said):
    """The line names what was asked for, what is there, and the two ways to mend it."""
    with pytest.raises(Failed) as caught:
        package.read(host, [package.Desired("nginx", state="present", manager=manager)])
    assert said in caught.value.message
    if manager != "auto":
        assert "leave `manager` out, or limit the targets" in caught.value.message
