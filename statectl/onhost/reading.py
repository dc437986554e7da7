"""Reading many things of which some cannot be read: one that fails costs the others nothing."""

from statectl.onhost.failure import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Union

    from statectl.onhost.shapes import Want


def each(wanted: "Iterable[Want]", read_one: "Callable[[Want], Want]") -> "Dict[str, Union[Want, Failed]]":
    """-> {name: what read_one(want) returned, or the Failed that it raised}"""
    found: "Dict[str, Union[Want, Failed]]" = {}
    for want in wanted:
        try:
            found[want.name] = read_one(want)
        except Failed as error:
            found[want.name] = error
    return found
