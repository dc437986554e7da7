"""Reading many things of which some cannot be read: one that fails is unknown, and costs the others nothing."""

from statectl.onhost.failure import Failed, Unknown


def each(wanted, read_one):
    """-> {name: what read_one(want) returned, or Unknown with the reason why it could not}"""
    found = {}
    for want in wanted:
        try:
            found[want.name] = read_one(want)
        except Failed as error:
            found[want.name] = Unknown(error.message)
    return found
