"""Baseline, scan, ledger and a moment -> what is approved and what is missing on one host, with the reason of each.

Order, as in Systems Manager: global filters, rules, approved list, rejected list; then pins and the host's own holds. Of several approved
versions the newest approved one is wanted, which need not be the newest that there is.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import replace

from statectl.baselines.decide import Decider, Decision
from statectl.baselines.evaluation import COMPLIANT, STATES, Evaluation, PatchState, Wanted
from statectl.baselines.model import Baseline
from statectl.baselines.names import OverrideEntry
from statectl.baselines.on_host import Judge
from statectl.baselines.scan import Scan
from statectl.baselines.seen import Ledger
from statectl.baselines.systems import APT, RPM, product_of

__all__ = ["COMPLIANT", "STATES", "Decision", "Evaluation", "Evaluator", "PatchState", "Wanted", "evaluate"]

CLOCKS_MAY_DIFFER = dt.timedelta(hours=1)
DAY_S = 86400


def evaluate(
    baseline: Baseline,
    scan: Scan,
    ledger: Ledger,
    now: dt.datetime,
    *,
    override: Sequence[OverrideEntry] | None = None,
    failed: Collection[tuple[str, str, str]] = (),
    scanned_at: dt.datetime | None = None,
) -> Evaluation:
    """One host by one baseline; for many hosts keep an Evaluator, which remembers decisions."""
    return Evaluator(baseline, ledger, now).evaluate(scan, override=override, failed=failed, scanned_at=scanned_at)


class Evaluator:
    """One baseline and one moment, for any number of hosts. `now` has a zone."""

    def __init__(self, baseline: Baseline, ledger: Ledger, now: dt.datetime) -> None:
        self.baseline = baseline
        self.ledger = ledger
        self.now = now.astimezone(dt.UTC)
        self._judges: dict[tuple[str, str, dt.datetime], Judge] = {}

    def evaluate(
        self,
        scan: Scan,
        *,
        override: Sequence[OverrideEntry] | None = None,
        failed: Collection[tuple[str, str, str]] = (),
        scanned_at: dt.datetime | None = None,
    ) -> Evaluation:
        """What this host has and misses.

        override: what an install takes instead of what the rules approve; states and compliance stay those of the baseline
        failed: (name, arch, version) whose last installation failed
        scanned_at: when the scan arrived, by the controller's clock
        """
        name = self.baseline.name
        if scan.trouble:
            return Evaluation(name, unknown=scan.trouble)
        host_now, clock, trouble = self._clock(scan, scanned_at)
        unknown = self._too_old(scan, host_now)
        if unknown:
            return Evaluation(name, trouble=trouble, unknown=unknown)
        trouble += [*scan.stale, *scan.broken]
        trouble += [
            f"the pin of {pin.package} is over since the end of {pin.until}: it holds nothing any more"
            for pin in self.baseline.pins
            if self.now.date() > pin.until
        ]
        found = self._judge(scan, self.now).host(scan).evaluation(trouble, override, failed)
        if clock >= self.now:
            return found
        # nothing is installed before both clocks say so; a host whose clock stands still does not comply by that
        early = self._judge(scan, clock).host(scan).evaluation([], override, failed)
        return replace(found, install=early.install, allowed=early.allowed, blocked=early.blocked)

    def decisions(self, scan: Scan, name: str, *, scanned_at: dt.datetime | None = None) -> list[Decision]:
        """The decision on every version of a package, the installed ones too, newest first."""
        _, clock, _ = self._clock(scan, scanned_at)
        return self._judge(scan, min(clock, self.now)).host(scan).decisions(name)

    def _judge(self, scan: Scan, clock: dt.datetime) -> Judge:
        key = (APT if scan.manager == "apt" else RPM, product_of(scan.system), clock)
        judge = self._judges.get(key)
        if judge is None:
            judge = self._judges[key] = Judge(Decider(self.baseline, self.ledger, clock, key[0], key[1]))
        return judge

    def _clock(self, scan: Scan, scanned_at: dt.datetime | None) -> tuple[dt.datetime, dt.datetime, list[str]]:
        """Now by the host's clock, now for what is installed, and what is to be said of it.

        Where the two clocks differ much one of them is wrong, and nobody knows which: nothing is installed before both say so.
        """
        if scanned_at is None or not scan.taken:
            return self.now, self.now, []
        host = dt.datetime.fromtimestamp(scan.taken, dt.UTC) + (self.now - scanned_at)
        if abs(host - self.now) <= CLOCKS_MAY_DIFFER:
            return host, self.now, []
        ahead = "ahead of" if host > self.now else "behind"
        text = f"the host's clock is {_span(abs(host - self.now))} {ahead} the controller's: what is not approved by the earlier one is not installed"
        return host, min(host, self.now).replace(second=0, microsecond=0), [text]

    def _too_old(self, scan: Scan, host_now: dt.datetime) -> str:
        """Why the package data say nothing, '' when they are fresh enough."""
        if not scan.archives:
            return "no repository is set up on the host, or none was ever fetched"
        most = self.baseline.max_index_age_s
        now = host_now.timestamp()
        old = []
        for one in scan.archives:
            what = one.label or one.key
            if not one.fetched:
                old.append(f"when the data of {what} were fetched is not known")
            elif now - one.fetched > most:
                age = _span(dt.timedelta(seconds=now - one.fetched))
                old.append(f"the data of {what} are {age} old, more than {_span(dt.timedelta(seconds=most))}")
        return "; ".join(dict.fromkeys(old))


def _span(time: dt.timedelta) -> str:
    seconds = int(time.total_seconds())
    if seconds >= 2 * DAY_S:
        return f"{seconds // DAY_S} days"
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{seconds // 60} min"
