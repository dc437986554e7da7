"""Versions in the order that dpkg and rpm give them, and in one for all other texts. Each returns -1, 0 or 1."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

_DEB_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_RPM_PARTS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")


def compare_versions(one: str, other: str, kind: str = "") -> int:
    """`kind`: deb, rpm, or anything else for versions of no package manager, which are compared as dpkg would."""
    return compare_rpm(one, other) if kind == "rpm" else compare_deb(one, other)


def compare_deb(one: str, other: str) -> int:
    """Epoch, upstream version, revision, as `dpkg --compare-versions`. A missing revision is the same as 0."""
    for left, right in zip(_deb_fields(one), _deb_fields(other)):
        order = _compare_deb(left, right)
        if order:
            return order
    return 0


def _deb_fields(version: str) -> "Tuple[str, str, str]":
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", epoch
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "")


def _compare_deb(one: str, other: str) -> int:
    """Turn by turn a part without digits, in which ~ comes before the end and letters before the rest, and a number."""
    left, right = _DEB_PARTS.findall(one), _DEB_PARTS.findall(other)
    for place in range(max(len(left), len(right))):
        text, number = left[place] if place < len(left) else ("", "")
        text_, number_ = right[place] if place < len(right) else ("", "")
        if text != text_:
            return 1 if [*map(_deb_rank, text), 0] > [*map(_deb_rank, text_), 0] else -1
        order = _compare_numbers(number, number_)
        if order:
            return order
    return 0


def _deb_rank(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character < "\x80" and character.isalpha() else ord(character) + 0x110000


def compare_rpm(one: str, other: str) -> int:
    """Epoch, version and release, as rpm. Without a release comes before any release."""
    first, second = _rpm_fields(one), _rpm_fields(other)
    for place, (left, right) in enumerate(zip(first, second)):
        if place == 2 and not (left and right):
            return bool(left) - bool(right)
        order = _compare_rpm(left, right)
        if order:
            return order
    return 0


def _rpm_fields(version: str) -> "Tuple[str, str, str]":
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", epoch
    number, _, release = rest.partition("-")
    return epoch or "0", number, release


def _compare_rpm(one: str, other: str) -> int:
    """~ comes before the end, ^ after it and before all else, numbers after letters; what separates them says nothing."""
    left, right = _RPM_PARTS.findall(one), _RPM_PARTS.findall(other)
    for place in range(max(len(left), len(right))):
        part = left[place] if place < len(left) else ""
        part_ = right[place] if place < len(right) else ""
        if part == part_:
            continue
        rank, rank_ = _rpm_rank(part), _rpm_rank(part_)
        if rank != rank_:
            return 1 if rank > rank_ else -1
        order = _compare_numbers(part, part_) if rank == _NUMBER else 1 if part > part_ else -1
        if order:
            return order
    return 0


_NUMBER = 4


def _rpm_rank(part: str) -> int:
    if not part or part in "~^":
        return {"~": 0, "": 1, "^": 2}[part]
    return _NUMBER if part[0].isdigit() else 3


def _compare_numbers(one: str, other: str) -> int:
    """Of digits only, as long as they may be: without leading zeros the longer one is greater."""
    left, right = one.lstrip("0"), other.lstrip("0")
    if len(left) != len(right):
        return 1 if len(left) > len(right) else -1
    return (left > right) - (left < right)
