"""Import asyncssh without what its import starts: ldconfig, gcc and ld, to look for two libraries that may add algorithms.

Those processes take a third of the import's time, and inherit our environment, in which secrets may stand (`env:`).
"""

import ctypes.util
import glob
import sys
import sysconfig
import threading

_one = threading.Lock()


def load_asyncssh() -> None:
    """Import it, once. Afterwards `import asyncssh` costs nothing, wherever it stands."""
    if sys.platform != "linux":  # elsewhere libraries are found without starting anything
        import asyncssh

        return
    with _one:
        if "asyncssh" in sys.modules:
            return
        found = ctypes.util.find_library
        ctypes.util.find_library = find_library
        try:
            import asyncssh  # noqa: F401
        finally:
            ctypes.util.find_library = found


def find_library(name: str) -> str | None:
    """The path of lib NAME where distributions and people put libraries; None when it is not there."""
    own = sysconfig.get_config_var("MULTIARCH") or ""
    for directory in ("/usr/local/lib", f"/usr/lib/{own}", "/usr/lib64", "/usr/lib"):
        for path in sorted(glob.glob(f"{glob.escape(directory)}/lib{glob.escape(name)}.so*")):
            return path
    return None
