"""How much later one host begins than its slot says, so that a fleet does not begin at one instant."""

import datetime as dt
import hashlib


def delay_of(association: str, host: str, within: dt.timedelta) -> dt.timedelta:
    """From 0 up to, not with, `within`, in milliseconds. The same for the same names everywhere and always: no state, no chance."""
    milliseconds = within // dt.timedelta(milliseconds=1)
    if milliseconds <= 0:
        return dt.timedelta(0)
    # neither name may hold a NUL, so no two pairs look the same
    digest = hashlib.sha256(f"{association}\0{host}".encode()).digest()
    return dt.timedelta(milliseconds=int.from_bytes(digest[:8], "big") % milliseconds)
