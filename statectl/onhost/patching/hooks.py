"""Commands of a baseline around an install and a reboot. Values reach them in the environment only.

before_install   a transaction is about to be made
after_install    it was made
before_reboot    the host is about to be rebooted
after_reboot     it was rebooted by us, and is up
on_exit          all is over, whatever came of it; not when nothing was begun

One that fails is the failure of what it stands around, and what would follow is skipped, but on_exit.
"""

import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Any

    from statectl.onhost.host import Host

DEFAULT_S = 600


def has(want: "Any", name: str) -> bool:
    return bool((want.hooks or {}).get(name))


def run(host: "Host", want: "Any", name: str, run_id: str, patches: int) -> float:
    """patches: how many were to be installed -> seconds that it took; 0 when there is none of this name. Raises Failed."""
    argv = list((want.hooks or {}).get(name) or ())
    if not argv:
        return 0.0
    if host.limits.get("paths"):
        raise Failed("hook %s: limits.paths is set, so no command runs on this host" % name, "no command may run")
    begun = time.monotonic()
    env = {
        "STATECTL_RUN": run_id,
        "STATECTL_BASELINE": want.name,
        "STATECTL_PATCHES": str(patches),
        "STATECTL_HOOK": name,
    }
    try:
        host.run(argv, timeout=float(want.hooks.get("timeout_s") or DEFAULT_S), env=env)
    except Failed as error:
        raise Failed(
            "hook %s: %s" % (name, error.message), "hook %s failed" % name, error.argv, error.code, error.output
        )
    return time.monotonic() - begun
