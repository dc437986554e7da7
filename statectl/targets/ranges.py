"""Host ranges: `web[01-36]` to names and names back to `web[01-36]`. Pure.

In a range, `-` joins two ends and `,` separates entries: `web[01-03,07]`. Two ends of equal length keep their zeros. One
letter to another (`db-[a-c]`) works too. Ansible's spelling (`web[01:36:2]`) is read by `expand_ansible`.
"""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

MAX_HOSTS = 100_000
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_EXPONENT = re.compile(r"([0-9]{1,18})e([0-9]{1,3})")
_NUMBER = re.compile(r"[0-9]{1,18}")


class RangeError(ValueError):
    """A range that cannot be expanded. The text is the summary of a Problem; `column` counts from 0 inside the pattern."""

    def __init__(self, summary: str, column: int = 0) -> None:
        super().__init__(summary)
        self.column = column


def has_range(pattern: str) -> bool:
    return "[" in pattern or "]" in pattern


def expand(pattern: str, limit: int = MAX_HOSTS) -> list[str]:
    """All names of a pattern in order; the last range turns fastest. Raises RangeError before anything big is made."""
    return _expand(pattern, limit, ansible=False)


def expand_ansible(pattern: str, limit: int = MAX_HOSTS) -> list[str]:
    """The same for Ansible's `[begin:end:step]`."""
    return _expand(pattern, limit, ansible=True)


def _expand(pattern: str, limit: int, *, ansible: bool) -> list[str]:
    literals: list[str] = []
    choices: list[list[Sequence[str] | _Numbers]] = []
    position = 0
    count = 1
    for match in _BRACKETS.finditer(pattern):
        literals.append(_literal(pattern, position, match.start()))
        entries = _ansible_entry(match) if ansible else _entries(match)
        choices.append(entries)
        count *= sum(len(entry) for entry in entries)
        if count > limit:
            raise RangeError(f"range makes {count:,} hosts (max {limit:,})", match.start())
        position = match.end()
    literals.append(_literal(pattern, position, len(pattern)))
    if not choices:
        return [pattern]
    spread = [[text for entry in entries for text in entry] for entries in choices]
    return [
        "".join(part for pair in zip(literals, (*chosen, ""), strict=True) for part in pair)
        for chosen in product(*spread)
    ]


def _literal(pattern: str, start: int, end: int) -> str:
    text = pattern[start:end]
    for index, character in enumerate(text):
        if character == "[":
            raise RangeError(f'pattern "{pattern[start + index :]}" is not closed', start + index)
        if character == "]":
            raise RangeError("a range is closed here that was not opened", start + index)
    return text


class _Numbers:
    """A run of numbers as text, made only when asked for: its length is known before."""

    def __init__(self, first: int, last: int, step: int = 1, width: int = 0) -> None:
        self.numbers = range(first, last + 1, step)
        self.width = width

    def __len__(self) -> int:
        # len() of a range fails above the platform's word size, and a count that large is what the limit refuses
        return min((self.numbers.stop - self.numbers.start + self.numbers.step - 1) // self.numbers.step, 10**18)

    def __iter__(self) -> Iterator[str]:
        return (str(number).zfill(self.width) for number in self.numbers)


def _entries(match: re.Match[str]) -> list[Sequence[str] | _Numbers]:
    entries: list[Sequence[str] | _Numbers] = []
    column = match.start(1)
    for entry in match[1].split(","):
        first, dash, last = entry.partition("-")
        if ":" in entry:
            raise RangeError("a range is written with -, such as [01-36]", column)
        entries.append(_run(first, last, 1, column) if dash else [_single(entry, column)])
        column += len(entry) + 1
    return entries


def _single(entry: str, column: int) -> str:
    if _NUMBER.fullmatch(entry) or (len(entry) == 1 and entry in string.ascii_letters):
        return entry
    raise RangeError("a range holds numbers or single letters, such as [01-36] or [a-c]", column)


def _ansible_entry(match: re.Match[str]) -> list[Sequence[str] | _Numbers]:
    ends = match[1].split(":")
    column = match.start(1)
    if len(ends) not in (2, 3):
        raise RangeError("a range is written [begin:end] or [begin:end:step]", column)
    step = 1
    if len(ends) == 3:
        if not _NUMBER.fullmatch(ends[2]) or int(ends[2]) == 0:
            raise RangeError("the step of a range is a number from 1", column)
        step = int(ends[2])
    return [_run(ends[0] or "0", ends[1], step, column)]


def _run(first: str, last: str, step: int, column: int) -> Sequence[str] | _Numbers:
    if not last:
        raise RangeError("a range needs an end", column)
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters:
        if letters.index(first) > letters.index(last):
            raise RangeError("a range begins with its smaller end", column)
        return letters[letters.index(first) : letters.index(last) + 1 : step]
    low, high = _number(first, column), _number(last, column)
    if low > high:
        raise RangeError("a range begins with its smaller end", column)
    run = _Numbers(low, high, step)
    if len(run) <= MAX_HOSTS:
        for end in (first, last):
            if not _NUMBER.fullmatch(end):
                raise RangeError("the ends of a range are plain numbers", column)
        if first.startswith("0") and len(first) > 1:
            if len(first) != len(last):
                raise RangeError("the ends of a range with leading zeros have the same length", column)
            run.width = len(first)
    return run


def _number(text: str, column: int) -> int:
    """The value of an end. `1e9` is understood only so far that its size can be told."""
    if _NUMBER.fullmatch(text):
        return int(text)
    exponent = _EXPONENT.fullmatch(text)
    if exponent is not None and int(exponent[2]) <= 18:
        return int(exponent[1] + "0" * int(exponent[2]))
    raise RangeError("a range holds numbers or single letters, such as [01-36] or [a-c]", column)


_DIGITS = re.compile(r"[0-9]+")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts web2 before web10. Long digit runs compare by length first, so no number is ever made of them."""
    return tuple(
        (1, len(part.lstrip("0")), part.lstrip("0") + "/" + part) if part.isdecimal() else (0, 0, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    )


def compress(names: Iterable[str]) -> str:
    """`web01 web02 web03 db1` to `db1, web[01-03]`. Expanding the result gives the same names."""
    return ", ".join(compressed(names))


def compressed(names: Iterable[str]) -> list[str]:
    """The entries of `compress`, in natural order."""
    unique = sorted(set(names), key=natural_key)
    sizes: dict[tuple[str, str], int] = {}
    runs_of: dict[str, list[re.Match[str]]] = {}
    for name in unique:
        runs_of[name] = [run for run in _DIGITS.finditer(name) if len(run[0]) <= 18]
        for run in runs_of[name]:
            template = (name[: run.start()], name[run.end() :])
            sizes[template] = sizes.get(template, 0) + 1
    members: dict[tuple[str, str] | str, list[str]] = {}
    for name in unique:
        templates = [((name[: run.start()], name[run.end() :]), run[0]) for run in runs_of[name]]
        best = max(templates, key=lambda item: sizes[item[0]], default=None)
        if best is None or sizes[best[0]] == 1:
            members[name] = []
        else:
            members.setdefault(best[0], []).append(best[1])
    result: list[str] = []
    for key, numbers in members.items():
        if isinstance(key, str):
            result.append(key)
        elif len(numbers) == 1:
            result.append(key[0] + numbers[0] + key[1])
        else:
            result.append(f"{key[0]}[{','.join(_joined(numbers))}]{key[1]}")
    return result


def _joined(numbers: list[str]) -> Iterator[str]:
    padded = {len(number) for number in numbers if number.startswith("0")}  # 08 and 10 belong together when 08 is there
    first = last = ""
    for number in sorted(numbers, key=lambda text: (len(text) if len(text) in padded else 0, int(text))):
        if first and number == str(int(last) + 1).zfill(len(first)) and _keeps_width(first, number):
            last = number
            continue
        if first:
            yield first if first == last else f"{first}-{last}"
        first = last = number
    if first:
        yield first if first == last else f"{first}-{last}"


def _keeps_width(first: str, last: str) -> bool:
    """Ends with leading zeros must have one length, or the range would not read back."""
    return not (first.startswith("0") and len(first) > 1) or len(first) == len(last)
