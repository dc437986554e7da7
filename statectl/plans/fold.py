"""Fold: hosts with the same changes form a block. Pure; 10,000 changes in well under 100 ms.

A host's own name and addresses are replaced by expressions before changes are compared, else files that hold them never fold.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import TypeAdapter

from statectl.plans.plan import Block, Change, HostPlan, Pending, Source, Verdict

OUTLIER_SHARE = 0.05
_VERDICTS = TypeAdapter(list[Verdict])
_OF_THE_FILES = {"__all__": {"association", "source"}}  # not of the host, whatever it is called
# words of the dump itself: a host of such a name is compared under its own name
_RESERVED = frozenset(
    [
        "change",
        "unknown",
        "orphan",
        "refused",
        "add",
        "remove",
        "run",
        "none",
        "intended",
        "corrective",
        "of",
        "reason",
        "until",
        "by",
        "sha256",
        "size",
        "true",
        "false",
        "null",
    ]
) | {*Verdict.model_fields, *Change.model_fields, *Source.model_fields, *Pending.model_fields}


def fold(
    hosts: Mapping[str, HostPlan], own_names: Mapping[str, Mapping[str, str]], order: Sequence[str] = ()
) -> list[Block]:
    """Blocks by association (in `order`, then by name), large to small.

    own_names: {host: {text: what stands for it}}, such as {"web01": "{{ host.name }}", "10.0.0.1": "{{ host.address }}"}.
    """
    groups: dict[tuple[str, tuple[tuple[str, int] | None, ...], str], list[str]] = {}
    touched: dict[str, int] = {}
    for name, plan in hosts.items():
        by_association: dict[str, list[Verdict]] = {}
        for verdict in plan.verdicts:
            by_association.setdefault(verdict.association, []).append(verdict)
        neutral = neutraliser(own_names.get(name, {}))
        for association, verdicts in by_association.items():
            text = neutral(_VERDICTS.dump_json(verdicts, exclude=_OF_THE_FILES).decode())
            key = association, tuple(_place(verdict) for verdict in verdicts), text
            groups.setdefault(key, []).append(name)
            touched[association] = touched.get(association, 0) + 1
    blocks = []
    for (association, _, shown), names in groups.items():
        peers = touched[association]
        outlier = peers >= 10 and len(names) / peers <= OUTLIER_SHARE
        changes = [verdict for verdict in hosts[names[0]].verdicts if verdict.association == association]
        if len(names) > 1:
            neutrals = _VERDICTS.validate_json(shown)
            for verdict, of_one in zip(neutrals, changes, strict=True):
                verdict.association, verdict.source = association, of_one.source
            changes = neutrals
        blocks.append(
            Block(association=association, hosts=sorted(names, key=natural), changes=changes, outlier=outlier)
        )
    rank = {association: position for position, association in enumerate(order)}
    blocks.sort(
        key=lambda block: (
            rank.get(block.association, len(rank)),
            block.association,
            -len(block.hosts),
            natural(block.hosts[0]),
        )
    )
    return blocks


def _place(verdict: Verdict) -> tuple[str, int] | None:
    return (verdict.source.file, verdict.source.line) if verdict.source is not None else None


def neutraliser(own: Mapping[str, str]) -> Callable[[str], str]:
    """A function that replaces a host's own names in a text, whole words only, longest first.

    Searched for by hand: compiling a pattern for each of thousands of hosts would be most of the time of a fold.
    """
    words = sorted((word for word in own if len(word) > 1 and word not in _RESERVED), key=len, reverse=True)

    def neutral(text: str) -> str:
        for word in words:
            if word in text:
                text = _replaced(text, word, own[word])
        return text

    return neutral


def _replaced(text: str, word: str, by: str) -> str:
    parts: list[str] = []
    start = 0
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        before, after = text[at - 1 : at], text[end : end + 1]
        if not (_inside(before) or before == "." or _inside(after)):
            parts += (text[start:at], by)
            start = end
        at = text.find(word, end)
    return "".join((*parts, text[start:]))


def _inside(character: str) -> bool:
    """Does the word go on here?"""
    return character.isalnum() or character in ("_", "-")


def natural(name: str) -> tuple[tuple[int, str | int], ...]:
    """Sort key: web2 before web10."""
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name))
