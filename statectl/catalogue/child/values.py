"""Values that templates meet: variables that refer to others, secrets, and names that cannot be used yet.

A variable is rendered when it is first touched, not when it is defined, and then kept. A secret can be put out and nothing else.
"""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, SupportsIndex


class SecretUsed(Exception):
    """A filter, a condition or an operation on a secret."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


class NotYetKnown(Exception):
    """Facts or probes of a host that was never contacted."""


class Guarded:
    """Base of values that refuse every use; `_refuse` raises. The methods are those that templates and filters reach."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" and name[-2:] == "__":  # Python's own probing, such as __html__ and __deepcopy__
            raise AttributeError(name)
        self._refuse()

    def __str__(self) -> str:  # noqa: PLE0307 it never returns
        self._refuse()

    def __repr__(self) -> str:
        self._refuse()

    def __format__(self, spec: str) -> str:
        self._refuse()

    def __bool__(self) -> bool:  # noqa: PLE0304 it never returns
        self._refuse()

    def __len__(self) -> int:  # noqa: PLE0303 it never returns
        self._refuse()

    def __iter__(self) -> Iterator[Any]:
        self._refuse()

    def __eq__(self, other: object) -> bool:
        self._refuse()

    def __ne__(self, other: object) -> bool:
        self._refuse()

    def __hash__(self) -> int:  # noqa: PLE0309 it never returns
        self._refuse()

    def __contains__(self, item: object) -> bool:
        self._refuse()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self._refuse()

    def _operate(self, *_: Any) -> Any:
        self._refuse()

    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _operate
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _operate
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pos__ = __int__ = __float__ = __index__ = _operate


class SecretText(Guarded):
    """Text with secrets in it. `parts`: text and numbers of secrets; `mark` is what stands for it in rendered text."""

    __slots__ = ("label", "mark", "parts")

    def __init__(self, parts: list[str | int], mark: str, label: str) -> None:
        self.parts = parts
        self.mark = mark
        self.label = label

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SecretUsed(self.label)


class Broken(Guarded):
    """A name whose value could not be made. Standing in a branch that is never taken it does no harm."""

    __slots__ = ("failure",)

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise self.failure.with_traceback(None)


class Pending:
    """A place in a variable whose value is an expression. `make` renders it; asked again while it does, it is a cycle."""

    __slots__ = ("busy", "eid", "make")

    def __init__(self, eid: int, make: Callable[["Pending"], Any]) -> None:
        self.eid = eid
        self.make = make
        self.busy = False


class LazyDict(dict[Any, Any]):
    """A map that holds Pending values; any access renders what it needs, anything wholesale renders all."""

    __slots__ = ()

    def _all(self) -> "LazyDict":
        for key, value in dict.items(self):
            if type(value) is Pending:
                dict.__setitem__(self, key, value.make(value))
        return self

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        if type(value) is Pending:
            value = value.make(value)
            dict.__setitem__(self, key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 dict.get would not render it

    def items(self) -> Any:
        return dict.items(self._all())

    def values(self) -> Any:
        return dict.values(self._all())

    def copy(self) -> dict[Any, Any]:
        return dict.copy(self._all())

    def __iter__(self) -> Iterator[Any]:  # overridden so that dict(this) does not copy the raw storage
        return iter(list(dict.keys(self)))

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self._all(), _rendered(other))

    def __ne__(self, other: object) -> bool:
        return dict.__ne__(self._all(), _rendered(other))

    def __repr__(self) -> str:
        return dict.__repr__(self._all())

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self.items()) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self.items())


class LazyList(list[Any]):
    """A list that holds Pending values."""

    __slots__ = ()

    def _all(self) -> "LazyList":
        for index, value in enumerate(list.__iter__(self)):
            if type(value) is Pending:
                list.__setitem__(self, index, value.make(value))
        return self

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        if isinstance(index, slice):
            return list.__getitem__(self._all(), index)
        value = list.__getitem__(self, index)
        if type(value) is Pending:
            value = value.make(value)
            list.__setitem__(self, index, value)
        return value

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def __reversed__(self) -> Iterator[Any]:
        return list.__reversed__(self._all())

    def __contains__(self, item: object) -> bool:
        return list.__contains__(self._all(), item)

    def __eq__(self, other: object) -> bool:
        return list.__eq__(self._all(), _rendered(other))

    def __ne__(self, other: object) -> bool:
        return list.__ne__(self._all(), _rendered(other))

    def __lt__(self, other: Any) -> bool:
        return list.__lt__(self._all(), other)

    def __gt__(self, other: Any) -> bool:
        return list.__gt__(self._all(), other)

    def __le__(self, other: Any) -> bool:
        return list.__le__(self._all(), other)

    def __ge__(self, other: Any) -> bool:
        return list.__ge__(self._all(), other)

    def __repr__(self) -> str:
        return list.__repr__(self._all())

    __hash__ = None

    def __add__(self, other: Any) -> Any:
        return list(self) + list(other) if isinstance(other, list) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return list(other) + list(self) if isinstance(other, list) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return list(self) * times

    __rmul__ = __mul__

    def index(self, *args: Any) -> int:
        return list.index(self._all(), *args)

    def count(self, item: Any) -> int:
        return list.count(self._all(), item)

    def copy(self) -> list[Any]:
        return list(self)


def _rendered(value: object) -> object:
    """C code that compares lists and maps looks at the raw storage of both sides."""
    return value._all() if isinstance(value, LazyDict | LazyList) else value  # noqa: SLF001
