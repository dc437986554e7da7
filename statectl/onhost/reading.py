"""Reading many things of which some cannot be read: one that fails costs the others nothing."""

from statectl.onhost.failure import Failed


def each(wanted, read_one):
    """-> {name: what read_one(want) returned, or the Failed that it raised}"""
    found = {}
    for want in wanted:
        try:
            found[want.name] = read_one(want)
        except Failed as error:
            found[want.name] = error
    return found
