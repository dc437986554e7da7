"""Which hosts change in which wave: batches that associations ask for, and hosts that come after others. Pure.

An association counts only the hosts that it changes: `[1, 10%, 100%]` is one of them, then a tenth of them, then the rest. Where several
associations change things, a host begins in the first wave in which all of its own have room for it: the strictest holds.
"""

from collections.abc import Collection, Mapping, Sequence

from statectl.rollout.budget import concurrency


def waves(
    hosts: Sequence[str],
    changes: Mapping[str, Sequence[str]],
    batch: Mapping[str, Sequence[str]],
    after: Mapping[str, Collection[str]] | None = None,
) -> list[list[str]]:
    """Hosts in order, cut into waves.

    `changes`: {host: associations that change it}; `batch`: {association: entries such as "1" or "10%"}, of those that ask for it.
    A host that none of them changes waits for no batch. The last entry repeats. `after`: {host: hosts of earlier waves}; where hosts
    come after each other, the one that waits for the fewest begins.
    """
    asks = {host: [name for name in changes.get(host, ()) if name in batch] for host in hosts}
    totals = {name: sum(name in asked for asked in asks.values()) for name in batch}
    begun = dict.fromkeys(batch, 0)  # batches of each association
    cut: list[list[str]] = []
    left = list(hosts)
    while left:
        room = {
            name: concurrency(entries[min(begun[name], len(entries) - 1)], totals[name])
            for name, entries in batch.items()
        }
        wave: list[str] = []
        for host in _able(left, after or {}):
            if all(room[name] > 0 for name in asks[host]):
                wave.append(host)
                for name in asks[host]:
                    room[name] -= 1
        for name in {name for host in wave for name in asks[host]}:
            begun[name] += 1
        taken = set(wave)
        left = [host for host in left if host not in taken]
        cut.append(wave)
    return cut


def _able(left: Sequence[str], after: Mapping[str, Collection[str]]) -> Sequence[str]:
    """Those of the hosts that are left that may begin."""
    if not after:
        return left
    waiting = set(left)
    ahead = {host: len(waiting.intersection(after.get(host, ()))) for host in left}
    return [host for host in left if not ahead[host]] or [min(left, key=lambda host: ahead[host])]
