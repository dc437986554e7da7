"""From a time on the wall to the one moment it stands for, also where clocks are changed.

A time that does not exist (the hour that is skipped in spring) stands for the first moment after the gap, so that nothing is
left out; one that exists twice (the hour that is repeated in autumn) for the first of the two, so that nothing is done twice.
"""

import datetime as dt

_SECOND = dt.timedelta(seconds=1)


def moment_of(local: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """`local` without a zone; the answer in UTC."""
    if zone is dt.UTC:
        return local.replace(tzinfo=dt.UTC)
    before = _offset(local, zone, fold=0)
    after = _offset(local, zone, fold=1)
    if before >= after:  # one such time, or two, of which this is the first
        return (local - before).replace(tzinfo=dt.UTC)
    return _change((local - after).replace(tzinfo=dt.UTC), (local - before).replace(tzinfo=dt.UTC), zone)


def repeated(local: dt.datetime) -> dt.timedelta:
    """How much of the wall's time is lived a second time where `local` (with its zone and fold) stands in the second pass; else 0."""
    if not local.fold or local.tzinfo is None:
        return dt.timedelta(0)
    naive = local.replace(tzinfo=None)
    return max(_offset(naive, local.tzinfo, fold=0) - _offset(naive, local.tzinfo, fold=1), dt.timedelta(0))


def _offset(local: dt.datetime, zone: dt.tzinfo, *, fold: int) -> dt.timedelta:
    offset = zone.utcoffset(local.replace(tzinfo=zone, fold=fold))
    assert offset is not None, "a time zone knows its offset"
    return offset


def _change(low: dt.datetime, high: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The moment between `low` (old offset) and `high` (new offset) from which the new offset holds."""
    old = low.astimezone(zone).utcoffset()
    before, after = 0, (high - low) // _SECOND
    while after - before > 1:
        middle = (before + after) // 2
        if (low + middle * _SECOND).astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return low + after * _SECOND
