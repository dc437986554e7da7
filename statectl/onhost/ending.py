"""End: what the executor says last, raised from wherever the session is over and returned from where it has gone through."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from statectl.onhost.shapes import JSON, Counts, Holder


class End(Exception):
    """outcome  planned, applied, done, stopped, stale, refused or failed
    reason   one line; '' when the outcome says all
    code     of an error, '' for none
    counts   {word: number}
    armed_s  seconds until what was changed is undone, unless a new login confirms it; 0: nothing is armed
    holder   who holds the lock that was not to be had, None when that is not why
    reboot   what a reboot is asked for with, None: none is; it waits for the controller's word
    """

    def __init__(
        self,
        outcome: str,
        reason: str = "",
        code: str = "",
        counts: "Optional[Counts]" = None,
        armed_s: float = 0,
        holder: "Optional[Holder]" = None,
        reboot: "Optional[Dict[str, JSON]]" = None,
    ) -> None:
        super(End, self).__init__(reason or outcome)
        self.outcome = outcome
        self.reason = reason
        self.code = code
        self.counts = counts or {}
        self.armed_s = armed_s
        self.holder = holder
        self.reboot = reboot
