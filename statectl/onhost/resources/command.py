"""Commands with a guard. Reading runs the guard, which only reads; applying runs the command and then asks the guard again.

guard                                      verdict
`creates`: something is at the path        nothing to do
`unless` exits 0                           nothing to do
`unless` exits with anything else          will run
`unless` cannot start                      will run: its program, user or directory is not there yet
`unless` does not end in time              fails: nobody can tell
`when_changed`                             the engine knows what changed
"""

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional, Sequence

from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, List, Union

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import Removal

KIND_RUN = True
OPTIONS = ("run", "user", "cwd", "env", "timeout", "when_changed")
GUARD_TIMEOUT_S = 60


class Desired(NamedTuple):
    """creates, unless of a found one: as wanted when they hold, else what was seen instead."""

    name: str
    run: Any = None  # list: argv; text: for a shell
    unless: Any = None
    creates: Optional[str] = None
    when_changed: Optional[Sequence[str]] = None
    user: Optional[str] = None
    cwd: Optional[str] = None
    env: Optional[Mapping[str, str]] = None
    timeout: Optional[float] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    found = Desired(want.name, when_changed=want.when_changed)
    if want.creates is not None:
        return found._replace(creates=want.creates if host.lstat(want.creates) is not None else "nothing there")
    if want.unless is not None:
        said = _guard(host, want)
        return found._replace(unless=want.unless if said == "" else said)
    return found


def _guard(host: "Host", want: "Desired") -> str:
    """-> '' when it holds, else why not."""
    try:
        ran = _run(host, want, want.unless, min(want.timeout or GUARD_TIMEOUT_S, GUARD_TIMEOUT_S), check=False)
    except Failed as error:
        return error.cause
    if ran.timed_out:
        raise Failed(
            "`unless` of command %s did not end in time; it must be a quick check" % want.name, "guard timed out"
        )
    return "" if ran.code == 0 else "exit code %s" % ran.code


def argv(invocation: "Union[str, Sequence[str]]") -> "List[str]":
    return ["/bin/sh", "-c", invocation] if isinstance(invocation, str) else list(invocation)


def _run(host: "Host", want: "Desired", invocation: "Union[str, Sequence[str]]", timeout: float, check: bool) -> "Ran":
    return host.run(argv(invocation), timeout=timeout, env=want.env, cwd=want.cwd, user=want.user, check=check)


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  it runs, or it does not
    _run(host, want, want.run, want.timeout or 300, check=True)
    if want.creates is not None and host.lstat(want.creates) is None:
        raise Failed(
            "ran, but `creates` path %s is still missing" % want.creates, "command did not do what its guard asks"
        )
    if want.unless is not None:
        said = _guard(host, want)
        if said:
            raise Failed("ran, but `unless` still does not hold: %s" % said, "command did not do what its guard asks")


def removal(record: "Removal") -> None:  # noqa: ARG001  the contract of every type
    """What a command did is not known, so nothing is undone."""
    return
