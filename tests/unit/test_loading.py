"""asyncssh is imported without starting processes that would inherit our environment."""

import subprocess
import sys

from statectl.transport import loading

LOOK = """
import sys
started = []
sys.addaudithook(lambda event, _: started.append(event) if event in ("subprocess.Popen", "os.posix_spawn", "os.fork") else None)
from statectl.transport.loading import load_asyncssh
load_asyncssh()
import asyncssh, ctypes.util
assert ctypes.util.find_library.__module__ == "ctypes.util"
print(started)
"""


def test_the_import_starts_nothing():
    """ldconfig, gcc and ld would see the secrets in our environment, and take a third of the time."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_library_that_is_there_is_found():
    """Who installed one has the algorithms that it brings."""
    found = loading.find_library("c")
    assert found is not None
    assert "/libc.so" in found
    assert loading.find_library("surely-not-there") is None
