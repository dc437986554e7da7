"""Unit files of systemd and drop-ins for them, below /etc/systemd/system.

After every write, and where the manager says that it has an older state of the unit in memory, comes a daemon-reload. What
runs is not touched: restarting is the service's part. On a machine that systemd does not run, only the files are managed.

at the path       manager          wanted present                    wanted absent
nothing                            written, reload                   ok
nothing           has it loaded    written, reload                   reload
a file                             content compared: written, reload removed, reload
a file            has an older one written if it differs; reload     removed, reload
a link            (masked, alias)  refused                           refused
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.kinds import in_the_way, kind
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("drop_in",)
DIRECTORY = "/etc/systemd/system"
NOT_LOADED = ", not loaded"
STILL_LOADED = ", still loaded"


class Desired(NamedTuple):
    """content is a Content. Found: state is 'present' or 'absent', with what the manager has not seen yet behind it, or the
    kind of what is in the way.
    """

    name: str
    content: Any = None
    drop_in: Optional[str] = None
    state: Optional[str] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    """All files, then one question to the manager about all units whose file is as it should be."""
    found = each(wanted, lambda want: _read_file(host, want))
    right = [want.name for want in wanted if _is_right(want, found[want.name])]
    stale = _stale(host, [name for name in right if "@." not in name])  # a template is never loaded itself
    for name in stale:
        there: "Any" = found[name]  # a file that is right was read
        found[name] = there._replace(state=there.state + (STILL_LOADED if there.state == "absent" else NOT_LOADED))
    return found


def path_of(want: "Desired") -> str:
    unit = "%s/%s" % (DIRECTORY, want.name)
    return "%s.d/%s.conf" % (unit, want.drop_in) if want.drop_in else unit


def _read_file(host: "Host", want: "Desired") -> "Desired":
    path = path_of(want)
    status = host.lstat(path)
    if status is None:
        return Desired(want.name, state="absent")
    found_kind = kind(status)
    if found_kind != "file":
        return Desired(want.name, state=found_kind)
    content = None if want.content is None else Content.of_file(host.path(path))
    return Desired(want.name, content=content, state="present")


def _is_right(want: "Desired", found: "Union[Desired, Failed]") -> bool:
    return (
        isinstance(found, Desired)
        and found.state == want.state
        and (want.content is None or found.content == want.content)
    )


def _runs_systemd(host: "Host") -> bool:
    return host.lstat("/run/systemd/system") is not None


def _stale(host: "Host", names: "Sequence[str]") -> "List[str]":
    """-> those of the units that the manager has in memory as they were before their files changed."""
    if not names or not _runs_systemd(host):
        return []
    argv = ["systemctl", "show", "--property=NeedDaemonReload", "--"]
    answers = host.run([*argv, *names], timeout=60).out.split()  # one line per unit, in order
    if len(answers) != len(names):
        raise Failed(
            "systemctl show gave %d answers about %d units" % (len(answers), len(names)), "answer not understood"
        )
    return [name for name, answer in zip(names, answers) if answer == "NeedDaemonReload=yes"]


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What is in the way and will not be touched, told before anything is written. '' : nothing."""
    assert found.state is not None  # a reading always says
    if found.state.startswith(("present", "absent")):
        return ""
    path = path_of(want)
    advice = "remove it first"
    if found.state == "link":
        advice = (
            "the unit is masked" if host.readlink(path) == "/dev/null" else "it is an alias or was enabled by its path"
        )
        advice += "; unmask or disable it first"
    return in_the_way(host, path, found.state, advice)


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:
    trouble = validate(host, want, found)
    if trouble:
        raise Failed(trouble, "something else is at the path of a unit")
    path = path_of(want)
    directory = path.rpartition("/")[0]
    if want.state == "absent":
        host.remove_file(path)
        if want.drop_in and host.lstat(directory) is not None and not host.listdir(directory):
            host.remove_tree(directory)
    elif "content" in differing:
        if want.drop_in and host.lstat(directory) is None:
            host.make_directory(directory)
        new_secret = want.content.secret and found.state == "absent"
        host.replace_file(path, want.content, mode="0600" if new_secret else None)
    if _runs_systemd(host):
        host.run(["systemctl", "daemon-reload"], timeout=120)


def removal(record: "Removal") -> "Optional[Desired]":
    """A unit file we made goes; one that was there gets back its content."""
    want, before = record["want"], record["before"]
    if want.get("state") == "absent":
        return None
    there = Desired(record["name"], drop_in=want.get("drop_in"))
    if record["created"]:
        return there._replace(state="absent")
    if before.get("content") is None:
        return None
    return there._replace(content=before["content"], state="present")
